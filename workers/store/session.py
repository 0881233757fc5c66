"""Opening a store, and transactions whose errors say whether the database is away."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import DeclarativeBase

from schemas.errors import ConfigurationError, DatabaseAwayError, GleanerError
from workers.store.bulk import copy

T = TypeVar("T")

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
IDLE_IN_TRANSACTION_S = 120

_JSON = {"json_serializer": partial(json.dumps, ensure_ascii=False)}
# too many connections, the server is stopping, crashed or starting, and a transaction that was idle for too long
_AWAY_STATES = frozenset({"53300", "57P01", "57P02", "57P03", "25P03"})
# disk full, out of memory, a limit of the server's, an error of the disk: it may be mended
_STARVED_STATES = frozenset({"53100", "53200", "53400", "58030"})
_STARVED_FILE_WORDS = ("locked", "disk is full", "disk I/O error")
# serialization failure and deadlock: the server rolled one transaction back and asks to try again
_ROLLED_BACK_STATES = frozenset({"40001", "40P01"})
# libpq gives no SQLSTATE for a refused login, only the server's words
_REFUSED_WORDS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
_UNUSABLE_FILE_WORDS = ("unable to open", "readonly database", "not a database")


def open_store(url: str) -> Engine:
    """An engine for a SQLite file, whose directory is made if missing, or a PostgreSQL server.

    Raises:
        ConfigurationError: the URL is not one of a database that is supported.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    timeout = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(parsed, pool_pre_ping=True, connect_args=timeout, **_JSON)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "do_execute", copy)
    event.listen(engine, "do_executemany", copy)
    return engine


def _set_up(connection: Any, _record: object) -> None:
    # moments are shown in UTC, wherever the client is
    connection.execute("SET TIME ZONE 'UTC'")
    # a process that is frozen within a transaction would keep its rows from everyone else, for ever
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'")
    connection.commit()


def _parse(url: str) -> URL:
    allowed = "Use sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database."
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        # without the URL: it may hold a password
        raise ConfigurationError("The database URL cannot be read.", hint=allowed) from exc
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ConfigurationError(f"{parsed.drivername} is not a database that is supported.", hint=allowed)
    return parsed


def _open_sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigurationError(
                f"The directory of {url.database} cannot be made: {exc.strerror}.",
                hint="Name another file for the database.",
            ) from exc
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **_JSON)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # BEGIN is ours: the driver would open a transaction too late, after the first reads
    connection.isolation_level = None
    _use_wal(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Keep a write-ahead log; where others open the new file at the same time, SQLite may refuse without waiting."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            return connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as exc:
            # the lower byte is the kind of an extended code
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _begin(conn: Connection) -> None:
    # SQLite refuses at once, without waiting, a writer that began by reading while another wrote
    reads = conn.get_execution_options().get("reads_only", False)
    conn.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; it commits at the end and leaves nothing behind after an error.

    Raises:
        DatabaseAwayError: the database does not answer or asks to try again.
        ConfigurationError: it refuses us.
    """
    with _translated(engine), engine.begin() as conn:
        yield conn


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: on SQLite it waits for no writer; raises as `transaction`."""
    with _translated(engine), engine.execution_options(reads_only=True).begin() as conn:
        yield conn


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as exc:
        error = _edge_error(engine, exc)
        if error is None:
            raise
        raise error from exc


def _edge_error(engine: Engine, exc: DBAPIError) -> GleanerError | None:
    """The error for a database that is away or refuses us; None for one of the statement."""
    where = engine.url.render_as_string(hide_password=True)
    said = " ".join(str(exc.orig).split())
    said += "" if said.endswith((".", "?")) else "."
    if isinstance(exc.orig, sqlite3.Error):
        away = any(words in said for words in _STARVED_FILE_WORDS)
        refused = any(words in said for words in _UNUSABLE_FILE_WORDS)
    else:
        state = getattr(exc.orig, "sqlstate", None)
        lost = exc.connection_invalidated or (state is None and "Operational" in type(exc).__name__)
        refused = lost and any(words in said for words in _REFUSED_WORDS)
        away = (
            lost
            or state in _AWAY_STATES | _STARVED_STATES | _ROLLED_BACK_STATES
            or str(state).startswith("08")
        )
    if refused:
        return ConfigurationError(f"The database {where} cannot be used: {said}", hint="Check its URL.")
    if away:
        hint = "Check that it runs and can be reached."
        return DatabaseAwayError(f"The database {where} does not answer: {said}", hint=hint)
    return None


class Exclusive(IntEnum):
    """What one transaction at a time may do; the numbers are PostgreSQL's advisory locks."""

    MIGRATE = 7_165_031_901
    MAKE_TABLES = 7_165_031_902
    # two writers of the same documents in different orders would deadlock
    ENQUEUE = 7_165_031_903


def wait_for_turn(conn: Connection, to: Exclusive) -> None:
    """Be the only one to do this until the transaction ends; on SQLite a transaction that writes is alone anyway."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(to.value)))


def insert_into(conn: Connection, model: type[DeclarativeBase]) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that knows `ON CONFLICT` in the dialect of the connection."""
    return postgresql.insert(model) if conn.dialect.name == "postgresql" else sqlite.insert(model)


def in_chunks(items: Iterable[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """Parts of at most `size`: both databases limit the parameters of one statement."""
    rest: Sequence[Any] = list(items)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]
