"""Cursors: what a pipeline has taken of its source, written in the transaction that stores the documents."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select

from workers.store.models import Cursor
from workers.store.runs import Claimed
from workers.store.session import in_chunks, insert_into

# PostgreSQL indexes no longer ones
_MAX_KEY_BYTES = 1000


def known(conn: Connection, run: Claimed, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What is known of these keys, by key; those that are not known are left out."""
    stored = {_stored(key): key for key in keys}
    values: dict[str, dict[str, Any]] = {}
    for chunk in in_chunks(stored):
        query = select(Cursor.key, Cursor.value).where(*_of(run), Cursor.key.in_(chunk))
        values.update({stored[row.key]: row.value for row in conn.execute(query)})
    return values


def put(conn: Connection, run: Claimed, values: Mapping[str, dict[str, Any]]) -> None:
    """Store what is known of these keys now."""
    common = {"pipeline": run.pipeline, "scope": run.scope, "run_id": run.run_id}
    statement = insert_into(conn, Cursor)
    new = {"value": statement.excluded.value, "run_id": statement.excluded.run_id}
    statement = statement.on_conflict_do_update(index_elements=["pipeline", "scope", "key"], set_=new)
    rows = [common | {"key": _stored(key), "value": value} for key, value in values.items()]
    if rows:
        conn.execute(statement, rows)


def forget_unseen(conn: Connection, run: Claimed) -> None:
    """Drop what this run, which read everything, did not see."""
    conn.execute(delete(Cursor).where(*_of(run), Cursor.run_id != run.run_id))


def forget(conn: Connection, run: Claimed) -> None:
    """Drop the whole cursor, as that of a backfill when it is over."""
    conn.execute(delete(Cursor).where(*_of(run)))


def _of(run: Claimed) -> tuple[ColumnElement[bool], ...]:
    return Cursor.pipeline == run.pipeline, Cursor.scope == run.scope


def _stored(key: str) -> str:
    data = key.encode()
    return key if len(data) <= _MAX_KEY_BYTES else f"sha256:{hashlib.sha256(data).hexdigest()}"
