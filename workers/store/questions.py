"""Questions in SQL from people: one statement, which the database itself keeps from writing."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import psycopg
from sqlalchemy import Connection, Engine

from schemas.errors import ConfigurationError
from workers.store.session import reading

_WRITE_REFUSED = "25006"  # read_only_sql_transaction


class Answer(NamedTuple):
    """Names of the columns and the rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def ask(engine: Engine, sql: str, limit: int | None = None) -> Answer:
    """Run one reading statement as it is written; at most `limit` rows of its answer.

    Raises:
        ConfigurationError: it writes, is more than one statement, or the database cannot run it.
        DatabaseAwayError: the database does not answer.
    """
    # past SQLAlchemy's parameters: a % or a :name of the statement is the statement's own
    with reading(engine) as conn, _explained():
        _make_read_only(conn)
        cursor = conn.connection.cursor()
        try:
            cursor.execute(sql, **_options(conn))
            if cursor.description is None:
                return Answer((), [])
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            return Answer(tuple(column[0] for column in cursor.description), [tuple(row) for row in rows])
        finally:
            cursor.close()


def _options(conn: Connection) -> dict[str, Any]:
    # a prepared statement is one statement: `SELECT 1; COMMIT; DROP TABLE ...` would leave the transaction
    return {"prepare": True} if conn.dialect.name == "postgresql" else {}


def _make_read_only(conn: Connection) -> None:
    # out of the pool and closed at the end: whatever the statement sets goes with it
    conn.detach()
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET TRANSACTION READ ONLY")
        # after a first query the transaction cannot be made writable again
        conn.exec_driver_sql("SELECT 1")
    else:
        conn.exec_driver_sql("PRAGMA query_only = ON")
        driver = cast(sqlite3.Connection, conn.connection.dbapi_connection)
        # ATTACH makes the file it names; VACUUM INTO refuses to run in a transaction
        driver.set_authorizer(lambda action, *_: action == sqlite3.SQLITE_ATTACH and sqlite3.SQLITE_DENY)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as exc:
        said = exc.diag.message_primary or str(exc)
        raise _error(said, writes=exc.sqlstate == _WRITE_REFUSED) from exc
    except (sqlite3.Error, sqlite3.Warning) as exc:
        raise _error(str(exc), writes="readonly database" in str(exc)) from exc


def _error(said: str, *, writes: bool) -> ConfigurationError:
    said = " ".join(said.split()).rstrip(".")
    if writes:
        return ConfigurationError(f"Queries only read, and this one writes: {said}.", hint="Use SELECT.")
    hint = "Check the statement; it is one, in the SQL of the database."
    return ConfigurationError(f"The database cannot run the query: {said}.", hint=hint)
