"""Migrations of the store, run from code so that they work from an installed package too."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from schemas.errors import DatabaseOutOfDateError
from workers.store.models import Base
from workers.store.session import Exclusive, reading, transaction, wait_for_turn

# beside `workers`, in a clone and in an installed package; not imported, for migrations import the store
SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision, by default the newest; two at once wait for each other."""
    with transaction(engine) as conn:
        command.upgrade(locked(conn, _config()), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to a revision; `base` is an empty one."""
    with transaction(engine) as conn:
        command.downgrade(locked(conn, _config()), revision)


def current(engine: Engine) -> str | None:
    """The revision of the database, None if it has none."""
    with reading(engine) as conn:
        return MigrationContext.configure(conn).get_current_revision()


def head() -> str | None:
    """The newest revision."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def require_current(engine: Engine) -> None:
    """Check that the database is at the newest revision.

    Raises:
        DatabaseOutOfDateError: it is not.
    """
    is_, newest = current(engine), head()
    if is_ == newest:
        return
    where = engine.url.render_as_string(hide_password=True)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if is_ is not None and is_ not in known:
        message = f"The database {where} is at revision {is_}, which this version of Gleaner does not know."
        raise DatabaseOutOfDateError(message, hint="Install the version that upgraded it.", current=is_)
    state = f"is at revision {is_} and {newest} is needed" if is_ else "has no tables yet"
    raise DatabaseOutOfDateError(
        f"The database {where} {state}.", hint="Run `gleaner db upgrade`.", current=is_
    )


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Alembic's filter of names: typed tables of schemas and tables of others are none of its business."""
    return kind != "table" or name in Base.metadata.tables


def locked(conn: Connection, config: Config) -> Config:
    """The settings for running migrations on this connection, alone."""
    wait_for_turn(conn, Exclusive.MIGRATE)
    if conn.dialect.name == "postgresql":
        # rather fail than make everyone wait behind a migration that waits for a long query
        conn.exec_driver_sql("SET LOCAL lock_timeout = '30s'")
    config.attributes["connection"] = conn
    return config


def _config() -> Config:
    config = Config()
    # the file format of Alembic's settings reads % as its own
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config
