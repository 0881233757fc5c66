"""A record as rows of its typed tables, and replacing the rows of a document."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Connection, delete

from schemas.errors import ConversionError
from workers.store.bulk import Row, insert_rows
from workers.store.records import ListTable, RecordTables
from workers.store.session import in_chunks

_BIGINT = 2**63


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What goes into the tables of one record."""

    document_id: int
    confidence: float | None
    # the fields of the main table
    values: Row
    # rows of the tables of lists, by table name
    items: dict[str, list[Row]]


def rows(tables: RecordTables, document_id: int, confidence: float | None, record: Mapping[str, Any]) -> Rows:
    """The rows of a record in Python values, as `model_dump()` gives them.

    Raises:
        ConversionError: a number is larger than its column holds.
    """
    items: dict[str, list[Row]] = {table.name: [] for table in tables.all[1:]}
    for below in tables.lists:
        _add_items(items, below, (document_id,), record)
    values = _values(tables, record)
    return Rows(document_id=document_id, confidence=confidence, values=values, items=items)


def _add_items(found: dict[str, list[Row]], of: ListTable, key: Row, around: Any) -> None:
    for position, item in enumerate(_at(around, of.path) or ()):
        values = item if isinstance(item, Mapping) else {"value": item}
        here = (*key, position)
        found[of.table.name].append(here + _values(of, values))
        for below in of.lists:
            _add_items(found, below, here, values)


def _values(of: RecordTables | ListTable, record: Mapping[str, Any]) -> Row:
    return tuple([_stored(_at(record, path), path) for path in of.leaves])


def _at(value: Any, path: Sequence[str]) -> Any:
    """The value below an object; None if an object on the way is."""
    for name in path:
        if value is None:
            return None
        value = value[name]
    return value


def _stored(value: Any, path: Sequence[str]) -> Any:
    match value:
        case None:
            return None
        case Enum():
            return value.value
        case str():
            return storable_text(value)
        case datetime(tzinfo=zone) if zone is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case int() if not -_BIGINT <= value < _BIGINT:
            raise ConversionError(f"{'.'.join(path)} is {value}, which is larger than a BIGINT column holds.")
        case float() | Decimal() if not math.isfinite(value):
            raise ConversionError(f"{'.'.join(path)} is {value}, which is not a number that can be stored.")
        case _:
            return value


def storable_text(text: str) -> str:
    """The text without what PostgreSQL refuses: NUL and halves of surrogate pairs become U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def replace(conn: Connection, tables: RecordTables, new: Mapping[int, Rows]) -> None:
    """Put rows, by their extraction, in the place of all that their documents had; children go with their parents."""
    main = tables.main
    for chunk in in_chunks(rows_.document_id for rows_ in new.values()):
        conn.execute(delete(main).where(main.c.document_id.in_(chunk)))
    heads = [(each.document_id, id_, each.confidence, *each.values) for id_, each in new.items()]
    insert_rows(conn, main, heads)
    for table in tables.all[1:]:
        insert_rows(conn, table, [row for rows_ in new.values() for row in rows_.items[table.name]])
