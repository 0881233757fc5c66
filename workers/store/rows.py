"""A record as rows of its typed tables, and replacing the rows of a document."""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Connection, delete, insert

from schemas.errors import ConversionError
from workers.store.records import ListTable, RecordTables, leaves
from workers.store.session import in_chunks

Rows = dict[str, list[dict[str, Any]]]

_BIGINT = 2**63


def rows(
    tables: RecordTables,
    document_id: int,
    extraction_id: int,
    confidence: float | None,
    record: Mapping[str, Any],
) -> Rows:
    """Rows by table name of a record in Python values, as `model_dump()` gives them.

    Raises:
        ConversionError: a number is larger than its column holds.
    """
    found: Rows = {table.name: [] for table in tables.all}
    key = {"document_id": document_id}
    columns = {"extraction_id": extraction_id, "confidence": confidence}
    found[tables.main.name].append(key | columns | _columns(tables, record))
    for below in tables.lists:
        _add_items(found, below, key, record)
    return found


def _add_items(found: Rows, of: ListTable, key: dict[str, int], around: Any) -> None:
    for position, item in enumerate(_at(around, of.path) or ()):
        values = item if isinstance(item, Mapping) else {"value": item}
        found[of.table.name].append(key | {"position": position} | _columns(of, values))
        for below in of.lists:
            _add_items(found, below, key | {of.position_name: position}, values)


def _columns(of: RecordTables | ListTable, record: Mapping[str, Any]) -> dict[str, Any]:
    form = of.form if isinstance(of, RecordTables) else of.item
    return {"_".join(path): _stored(_at(record, path), ".".join(path)) for path, _, _ in leaves(form)}


def _at(value: Any, path: Sequence[str]) -> Any:
    """The value below an object; None if an object on the way is."""
    for name in path:
        if value is None:
            return None
        value = value[name]
    return value


def _stored(value: Any, path: str) -> Any:
    match value:
        case Enum():
            return value.value
        case str():
            return storable_text(value)
        case datetime(tzinfo=zone) if zone is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case int() if not -_BIGINT <= value < _BIGINT:
            raise ConversionError(f"{path} is {value}, which is larger than a BIGINT column holds.")
        case float() | Decimal() if not math.isfinite(value):
            raise ConversionError(f"{path} is {value}, which is not a number that can be stored.")
        case _:
            return value


def storable_text(text: str) -> str:
    """The text without what PostgreSQL refuses: NUL and halves of surrogate pairs become U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def replace(conn: Connection, tables: RecordTables, new: Collection[Rows]) -> None:
    """Put the rows of these documents in the place of all that they had; children go with their parents."""
    main = tables.main
    for chunk in in_chunks(row["document_id"] for rows_ in new for row in rows_[main.name]):
        conn.execute(delete(main).where(main.c.document_id.in_(chunk)))
    for table in tables.all:
        together = [row for rows_ in new for row in rows_[table.name]]
        if together:
            conn.execute(insert(table), together)
