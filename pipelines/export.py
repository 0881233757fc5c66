"""The records of a batch as a file: JSON Lines as stored, CSV and Parquet one row a document."""

import csv
import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from schemas.errors import ConfigurationError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from workers.store import reads
from workers.store.session import reading

Row = dict[str, Any]
Writer = Callable[[Path, Iterable[Row], ObjectForm], int]

# what is known of a document before the columns of its record
_ABOUT = ("origin", "document_id", "confidence")


def export(store: sa.Engine, batch_id: int, form: ObjectForm, path: Path) -> int:
    """Write the origin, document id, confidence and record of every document whose record holds; how many.

    Raises:
        ConfigurationError: the file cannot be written, or not in this format.
    """
    write = writer(path)
    with reading(store) as conn:
        try:
            return write(path, (row._asdict() for row in reads.records(conn, batch_id)), form)
        except OSError as exc:
            raise unwritable(path, exc) from exc


def unwritable(path: Path, exc: OSError) -> ConfigurationError:
    """The error of a file that cannot be written."""
    return ConfigurationError(
        f"{path} cannot be written: {exc.strerror}.",
        hint="Name another file and run the command again; it extracts nothing twice.",
    )


def writer(path: Path) -> Writer:
    """How to write this file; its directory is made if missing.

    Raises:
        ConfigurationError: it ends in none of .jsonl, .csv, .parquet, pyarrow is missing for the last, or its
            directory cannot be made, or it cannot be written.
    """
    writers = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise ConfigurationError(
            f"{path} ends in {path.suffix or 'nothing'}; .jsonl, .csv and .parquet can be written.",
            hint="Name the file with one of these endings.",
        )
    if suffix == ".parquet":
        require_arrow()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(
            f"The directory of {path} cannot be made: {exc.strerror}.", hint="Name another file."
        ) from exc
    if path.is_dir():
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return writers[suffix]


def _write_jsonl(path: Path, rows: Iterable[Row], form: ObjectForm) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            ordered = {**row, "record": in_order(form, row["record"])}
            file.write(json.dumps(ordered, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_csv(path: Path, rows: Iterable[Row], form: ObjectForm) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        made = csv.writer(file)
        made.writerow(_header(form))
        for row in rows:
            cells = [_cell(value) for _, value in _flat(form, in_order(form, row["record"]))]
            made.writerow([*(row[name] for name in _ABOUT), *cells])
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterable[Row], form: ObjectForm) -> int:
    arrow = require_arrow()
    listed = [
        [*(row[name] for name in _ABOUT), *(_typed(f, value) for f, value in _flat(form, row["record"]))]
        for row in rows
    ]
    try:
        columns = {name: [cells[i] for cells in listed] for i, name in enumerate(_header(form))}
        made = arrow.table(columns)
    except arrow.ArrowException as exc:
        raise ConfigurationError(
            f"The records cannot be written as Parquet: {exc}.", hint="Write .jsonl or .csv."
        ) from exc
    arrow.parquet.write_table(made, path)
    return len(listed)


def require_arrow() -> Any:
    """pyarrow, or the error that it is missing."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise ConfigurationError(
            "Parquet files need pyarrow.", hint="Install it with `pip install 'gleaner[parquet]'`."
        ) from exc
    return pyarrow


def in_order(form: Form, value: Any) -> Any:
    """A part of a record with its fields in the schema's order, which JSONB does not keep."""
    if value is None or isinstance(form, Leaf):
        return value
    if isinstance(form, ListForm):
        return [in_order(form.item, item) for item in value]
    return {name: in_order(field, value.get(name)) for name, field in form.fields}


def _header(form: ObjectForm) -> Sequence[str]:
    names = ["_".join(path) for path, _ in _columns(form)]
    return [*(f"document_{name}" if name in names else name for name in _ABOUT), *names]


def _columns(form: ObjectForm, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Form]]:
    """The path and form of each column: nested objects are columns of their own, lists are not."""
    for name, field in form.fields:
        if isinstance(field, ObjectForm):
            yield from _columns(field, (*above, name))
        else:
            yield (*above, name), field


def _flat(form: ObjectForm, record: Row) -> Iterator[tuple[Form, Any]]:
    for path, field in _columns(form):
        value: Any = record
        for name in path:
            value = None if value is None else value.get(name)
        yield field, value


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _typed(form: Form, value: Any) -> Any:
    """A part of a record in Python's types, which stand in JSON as text."""
    if value is None:
        return None
    if isinstance(form, ListForm):
        return [_typed(form.item, item) for item in value]
    if isinstance(form, ObjectForm):
        return {name: _typed(field, value.get(name)) for name, field in form.fields}
    return _READ[form.kind](value) if form.kind in _READ else value


def _moment(value: str) -> datetime:
    """Without a zone, as in the typed tables: one with a zone is given in UTC."""
    read = datetime.fromisoformat(value)
    return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read


_READ: dict[Kind, Callable[[str], Any]] = {
    Kind.DATE: date.fromisoformat,
    Kind.DATETIME: _moment,
    Kind.DECIMAL: Decimal,
}
