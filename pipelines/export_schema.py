"""The typed tables of a schema as files: JSON Lines, or a sheet or sibling file for each of its lists."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import Connection, Label, Row, Table, select

from pipelines.export import in_order, require_arrow, unwritable
from schemas.base import Schema
from schemas.errors import ConfigurationError
from workers.store import records
from workers.store.models import Document, Extraction
from workers.store.records import RecordTables
from workers.store.session import reading

_CHUNK = 1000
# a sheet's name has at most so many characters, a cell so many
_SHEET_CHARS, _CELL_CHARS = 31, 32_767

Answer: TypeAlias = tuple[Sequence[str], Iterator[Row[Any]]]


def export_schema(store: sa.Engine, schema: Schema, path: Path) -> dict[Path, int]:
    """Write the current record of every document with its origin and hash; rows (in .xlsx: of all sheets) by file.

    Raises:
        ConfigurationError: the file cannot be written, or not in this format, or the schema has no tables yet.
    """
    write = _writer(path)
    tables = records.tables(schema.name, schema.form)
    with reading(store) as conn:
        if not sa.inspect(conn).has_table(schema.name):
            raise ConfigurationError(
                f"There are no rows of {schema.name} yet.",
                hint=f"Run `gleaner run {schema.name} PATH` first.",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return write(conn, tables, path)
        except OSError as exc:
            raise unwritable(path, exc) from exc


def _writer(path: Path) -> Callable[[Connection, RecordTables, Path], dict[Path, int]]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _write_jsonl
    if suffix == ".xlsx":
        _openpyxl()
        return _write_xlsx
    if suffix == ".parquet":
        require_arrow()
    files: dict[str, Callable[[Path, Table, Answer], int]] = {".csv": _write_csv, ".parquet": _write_parquet}
    if suffix not in files:
        raise ConfigurationError(
            f"{path} ends in {path.suffix or 'nothing'}; .jsonl, .csv, .parquet and .xlsx can be written.",
            hint="Name the file with one of these endings.",
        )

    def write(conn: Connection, tables: RecordTables, path: Path) -> dict[Path, int]:
        made = {}
        for table in tables.all:
            file = path.with_stem(path.stem + table.name.removeprefix(tables.main.name))
            made[file] = files[suffix](file, table, _rows(conn, table, tables.main))
        return made

    return write


def _rows(conn: Connection, table: Table, main: Table) -> Answer:
    """The rows of a table by document and position; of the main one with the document's origin and hash."""
    about = [Document.origin, Document.content_hash] if table is main else []
    names = [column.name for column in table.columns]
    labelled: list[Label[Any]] = [
        column.label(f"document_{column.key}" if column.key in names else column.key) for column in about
    ]
    query = select(*labelled, *table.columns).order_by(*table.primary_key.columns)
    if about:
        query = query.join_from(table, Document.__table__, Document.id == table.c.document_id)
    result = conn.execution_options(yield_per=_CHUNK).execute(query)
    return list(result.keys()), iter(result)


def _write_jsonl(conn: Connection, tables: RecordTables, path: Path) -> dict[Path, int]:
    main, count = tables.main, 0
    query = (
        select(
            Document.origin, Document.content_hash, main.c.document_id, main.c.confidence, Extraction.record
        )
        .join_from(main, Document.__table__, Document.id == main.c.document_id)
        .join(Extraction, Extraction.id == main.c.extraction_id)
        .order_by(main.c.document_id)
    )
    with path.open("w", encoding="utf-8") as file:
        for row in conn.execution_options(yield_per=_CHUNK).execute(query):
            ordered = {**row._asdict(), "record": in_order(tables.form, row.record)}
            file.write(json.dumps(ordered, ensure_ascii=False) + "\n")
            count += 1
    return {path: count}


def _write_csv(path: Path, _: Table, answer: Answer) -> int:
    columns, rows = answer
    with path.open("w", encoding="utf-8", newline="") as file:
        made, count = csv.writer(file), 0
        made.writerow(columns)
        for row in rows:
            made.writerow(row)
            count += 1
    return count


def _write_parquet(path: Path, table: Table, answer: Answer) -> int:
    arrow = require_arrow()
    columns, rows = answer
    listed = list(rows)
    types = [_arrow_type(arrow, table.columns.get(name)) for name in columns]
    arrays = [arrow.array([row[i] for row in listed], type_) for i, type_ in enumerate(types)]
    arrow.parquet.write_table(arrow.table(dict(zip(columns, arrays, strict=True))), path)
    return len(listed)


def _arrow_type(arrow: Any, column: sa.Column[Any] | None) -> Any:
    """The type of a column, so that it is the same in every file; of a decimal the digits are those it has."""
    types = {
        sa.BIGINT: arrow.int64(),
        sa.Double: arrow.float64(),
        sa.DATE: arrow.date32(),
        sa.TIMESTAMP: arrow.timestamp("us"),
        sa.BOOLEAN: arrow.bool_(),
        sa.TEXT: arrow.string(),
    }
    return arrow.string() if column is None else types.get(type(column.type))


def _write_xlsx(conn: Connection, tables: RecordTables, path: Path) -> dict[Path, int]:
    openpyxl = _openpyxl()
    book, count = openpyxl.Workbook(write_only=True), 0
    for table in tables.all:
        name = table.name.removeprefix(f"{tables.main.name}_")
        # a name that is there already gets a number
        sheet = book.create_sheet(name[:_SHEET_CHARS])
        columns, rows = _rows(conn, table, tables.main)
        sheet.append(columns)
        for row in rows:
            sheet.append([_cell(sheet, value) for value in row])
            count += 1
    book.save(path)
    return {path: count}


def _cell(sheet: Any, value: Any) -> Any:
    """A value as it is: a text of a document that begins with = is no formula."""
    if not isinstance(value, str):
        return value
    openpyxl = _openpyxl()
    legal = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("\ufffd", value)[:_CELL_CHARS]
    cell = openpyxl.cell.WriteOnlyCell(sheet, legal)
    cell.data_type = "s"
    return cell


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError as exc:
        raise ConfigurationError(
            "Excel files need openpyxl.", hint="Install it with `pip install 'gleaner[xlsx]'`."
        ) from exc
    return openpyxl
