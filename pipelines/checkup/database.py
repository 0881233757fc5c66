"""The database: it answers, its tables are of this version, it keeps what it was told, and its clock is ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, select

from pipelines.checkup.finding import Said, error, ok, warning
from schemas.errors import GleanerError
from workers.runtime import Runtime
from workers.store import migrate
from workers.store.session import open_store, reading
from workers.store.types import db_time

# what the tests run on
OLDEST_TESTED = 15
# of a process: what its pool opens at most
CONNECTIONS = 15
# below it, only what people read is a little off
TOLERATED_CLOCK_S = 2.0

_SERVER = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int / 10000 AS major,
       pg_is_in_recovery() AS is_replica,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS commit,
       current_setting('max_connections')::int AS most,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS taken
"""

T = TypeVar("T")


def database(runtime: Runtime) -> Iterator[Said]:
    """It answers, and has the tables of this version."""
    with _opened(runtime) as store:
        where = store.url.render_as_string(hide_password=True)
        is_sqlite = store.dialect.name == "sqlite"
        revision = migrate.current(store)
        if is_sqlite and revision is None:
            yield ok(f"{where}, empty; it is filled on first use")
            return
        if not is_sqlite:
            yield from _server(store)
        elif runtime.settings.broker:
            found = "the database is a SQLite file, and there is a broker"
            yield warning(found, "Workers of other machines need PostgreSQL; here, one writes at a time.")
        migrate.require_current(store)
        yield ok(f"{where}, at revision {revision}")


@contextmanager
def _opened(runtime: Runtime) -> Iterator[Engine]:
    """The database as it is: that of the runtime may be made or upgraded when it is first used."""
    store = open_store(runtime.settings.database)
    try:
        yield store
    finally:
        store.dispose()


def _server(store: Engine) -> Iterator[Said]:
    with reading(store) as conn:
        has = conn.exec_driver_sql(_SERVER).one()
    if has.is_replica:
        yield error(
            "the server is a replica and refuses to be written", "Name the primary in GLEANER_DATABASE_URL."
        )
    if has.major < OLDEST_TESTED:
        found = f"PostgreSQL {has.version} is older than what Gleaner is tested on"
        yield warning(found, f"Upgrade to {OLDEST_TESTED} or newer.")
    if has.fsync == "off":
        yield warning("fsync is off: a crash may destroy the database", "Set fsync = on in postgresql.conf.")
    if has.commit == "off":
        found = "synchronous_commit is off: a crash may forget the last results"
        yield warning(found, "Set synchronous_commit = on; forgotten documents are extracted again.")
    if has.most - has.taken < CONNECTIONS:
        found = f"{has.taken} of {has.most} connections are taken, and a worker opens up to {CONNECTIONS}"
        yield warning(found, "Raise max_connections, or put a pooler before the server.")


def clock(runtime: Runtime) -> Iterator[Said]:
    """Leases go by the database's clock; ticks of beat, logs and schedules by this machine's."""
    times = ask(runtime, _times)
    if times is None:
        return
    before, there, after = times
    # what the question may have taken is nobody's fault
    ahead = max((before - there).total_seconds(), 0.0) or min((after - there).total_seconds(), 0.0)
    said = (
        f"this machine's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    )
    step = "Have both set by NTP, as with chrony or systemd-timesyncd."
    if abs(ahead) > runtime.settings.sweep_s:
        yield error(f"{said}: the ticks of beat expire before they are taken, or never", step)
    elif abs(ahead) > TOLERATED_CLOCK_S:
        yield warning(said, step)
    else:
        yield ok(f"within {max(0.1, abs(ahead)):.1f} s of the database's")


def _times(conn: Connection) -> tuple[datetime, datetime, datetime]:
    # once for the connection
    conn.execute(select(db_time())).scalar_one()
    before = datetime.now(UTC)
    return before, conn.execute(select(db_time())).scalar_one(), datetime.now(UTC)


def ask(runtime: Runtime, read: Callable[[Connection], T]) -> T | None:
    """The answer of a database that is as it should be; None from another, whose own check says what is wrong."""
    try:
        with _opened(runtime) as store:
            migrate.require_current(store)
            with reading(store) as conn:
                return read(conn)
    except GleanerError:
        return None
