"""Which names a typed table and its columns may have: those that people can write in SQL without quotes."""

import re

from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS as POSTGRESQL_WORDS

from schemas.errors import TableError
from workers.store.models import Base

# PostgreSQL cuts longer names off
MAX_BYTES = 63
# the longest of the names made from a table's: `fk_<table>_extraction`
_CONSTRAINT_BYTES = len("fk__extraction")

# SQLAlchemy's list has some words that PostgreSQL does not reserve, and lacks some that it does
_FREE = {"new", "of", "off", "old", "over"}
_LACKING = {"collation", "concurrently", "fetch", "lateral", "system_user", "tablesample"}
_SQLITE_DEFINITIONS = {"add", "alter", "autoincrement", "drop", "exists", "if", "index", "nothing"}
_SQLITE_CHANGES = {"commit", "delete", "escape", "insert", "raise", "set", "transaction", "update", "values"}
RESERVED_WORDS = frozenset(POSTGRESQL_WORDS - _FREE | _LACKING | _SQLITE_DEFINITIONS | _SQLITE_CHANGES)

# a schema has views of its own name and these
VIEW_KINDS = ("documents", "fields", "review")

_VIEWS = {"batch_progress", "job_errors", "pipeline_runs", "stale_records", "usage_daily"}
_STORE_TABLES = frozenset(Base.metadata.tables) | _VIEWS | {"alembic_version", "alembic_version_schemas"}
_OTHERS_PREFIXES = ("pg_", "sqlite_")


def check_table(name: str, source: str) -> None:
    """Refuse the name of a table; `source` says what it comes from, as "The schema invoice".

    Raises:
        TableError: it is reserved, too long, taken or not an identifier.
    """
    _check(name, source, MAX_BYTES - _CONSTRAINT_BYTES)
    if name in _STORE_TABLES or name.startswith(_OTHERS_PREFIXES):
        raise TableError(
            f"{source} would get the table {name}, which is not free.", hint="Rename it.", name=name
        )


def check_column(name: str, source: str) -> None:
    """Refuse the name of a column; raises as `check_table`."""
    _check(name, source, MAX_BYTES)


def _check(name: str, source: str, max_bytes: int) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise TableError(
            f"{source} would be named {name!r} in SQL.",
            hint="Rename it with small letters a to z, digits and underscores, a letter first.",
            name=name,
        )
    if name in RESERVED_WORDS:
        hint = f"Rename it, as to {name}_value."
        raise TableError(f"{source} would be named {name}, a reserved word of SQL.", hint=hint, name=name)
    if len(name) > max_bytes:
        raise TableError(
            f"{source} would be named {name} in SQL, {len(name)} bytes where {max_bytes} are allowed.",
            hint="Shorten it, or the names of what it stands in.",
            name=name,
        )
