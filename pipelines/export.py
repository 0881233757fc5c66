"""The records of a batch as a file: JSON Lines as stored, CSV and Parquet one row a document."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from schemas.errors import ConfigurationError
from schemas.forms import ObjectForm
from workers.store import reads
from workers.store.session import reading

Row = dict[str, Any]
Writer = Callable[[Path, Iterable[Row], ObjectForm], int]


def export(store: sa.Engine, batch_id: int, form: ObjectForm, path: Path) -> int:
    """Write the origin, document id, confidence and record of every document whose record holds; how many.

    Raises:
        ConfigurationError: the file's ending is not supported.
    """
    write = writer(path)
    with reading(store) as conn:
        return write(path, (row._asdict() for row in reads.records(conn, batch_id)), form)


def writer(path: Path) -> Writer:
    """How to write a file of this ending.

    Raises:
        ConfigurationError: it is none of .jsonl, .csv, .parquet, or pyarrow is missing for the last.
    """
    writers = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise ConfigurationError(
            f"{path} ends in {path.suffix or 'nothing'}; .jsonl, .csv and .parquet can be written.",
            hint="Name the file with one of these endings.",
        )
    if path.suffix == ".parquet":
        _arrow()
    return writers[path.suffix]


def _write_jsonl(path: Path, rows: Iterable[Row], form: ObjectForm) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            ordered = {**row, "record": in_order(form, row["record"])}
            file.write(json.dumps(ordered, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_csv(path: Path, rows: Iterable[Row], form: ObjectForm) -> int:
    columns = ["origin", "document_id", "confidence", *(name for name, _ in _flat_fields(form))]
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        made = csv.DictWriter(file, columns)
        made.writeheader()
        for row in rows:
            cells = {name: _cell(value) for name, value in _flat(form, row["record"])}
            made.writerow({**{name: row[name] for name in columns[:3]}, **cells})
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterable[Row], form: ObjectForm) -> int:
    listed = [
        {
            **{name: row[name] for name in ("origin", "document_id", "confidence")},
            **dict(_flat(form, row["record"])),
        }
        for row in rows
    ]
    arrow = _arrow()
    arrow.parquet.write_table(arrow.Table.from_pylist(listed), path)
    return len(listed)


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise ConfigurationError(
            "Parquet files need pyarrow.", hint="Install it with `pip install 'gleaner[parquet]'`."
        ) from exc
    return pyarrow


def in_order(form: ObjectForm, record: Row) -> Row:
    """The record with its fields in the schema's order, which JSONB does not keep."""
    return {name: record.get(name) for name, _ in form.fields}


def _flat_fields(form: ObjectForm, prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, field in form.fields:
        if isinstance(field, ObjectForm):
            for column, path in _flat_fields(field, f"{prefix}{name}_"):
                yield column, (name, *path)
        else:
            yield f"{prefix}{name}", (name,)


def _flat(form: ObjectForm, record: Row) -> Iterator[tuple[str, Any]]:
    for column, path in _flat_fields(form):
        value: Any = record
        for name in path:
            value = None if value is None else value.get(name)
        yield column, value


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
