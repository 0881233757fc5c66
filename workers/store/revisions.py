"""Revisions of typed tables: written for one's own schemas, kept in one's own directory, run by Alembic.

They have a line of their own, and a version table of their own: a process without the directory works on.
"""

from argparse import Namespace
from pathlib import Path

from alembic import command
from alembic.autogenerate import render_python_code
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import rev_id
from sqlalchemy import Engine

from schemas.errors import ConfigurationError
from workers.store import reshape
from workers.store.migrate import SCRIPTS, locked
from workers.store.records import RecordTables
from workers.store.session import reading, transaction

VERSION_TABLE = "alembic_version_schemas"
LABEL = "schemas"

_GUARD = "if not sa.inspect(op.get_bind()).has_table({name!r}):\n    return  # made as it is now when it is first used"


def upgrade(engine: Engine, directory: Path, revision: str = "head") -> None:
    """Run the revisions of a directory that the database lacks."""
    if head(directory):
        with transaction(engine) as conn:
            command.upgrade(locked(conn, _config(directory)), revision)


def downgrade(engine: Engine, directory: Path, revision: str = "-1") -> None:
    """Take back the newest revision, or all after a revision."""
    with transaction(engine) as conn:
        command.downgrade(locked(conn, _config(directory)), revision)


def head(directory: Path) -> str | None:
    """The newest revision of a directory."""
    return ScriptDirectory.from_config(_config(directory)).get_current_head() if directory.is_dir() else None


def current(engine: Engine) -> str | None:
    """The revision of the database's typed tables."""
    with reading(engine) as conn:
        context = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def write(engine: Engine, directory: Path, tables: RecordTables) -> Path | None:
    """Write the revision that makes the database's tables those of a schema; None if they are.

    Raises:
        ConfigurationError: revisions of the directory are not applied yet.
    """
    newest, is_, mark = head(directory), current(engine), rev_id()[:8]
    if newest != is_:
        raise ConfigurationError(
            f"The typed tables are at revision {is_ or 'none'}, and {newest or 'none'} is the newest in {directory}.",
            hint="Run `gleaner db upgrade` first, with GLEANER_MIGRATIONS as it was.",
        )
    with reading(engine) as conn:
        plan = reshape.plan(conn, tables, mark)
    if not plan.notes:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    script = ScriptDirectory.from_config(_config(directory)).generate_revision(
        mark,
        _message(tables.main.name, plan, engine.dialect.name),
        head=newest or "base",
        branch_labels=None if newest else LABEL,
        version_path=str(directory),
        upgrades=_code(tables.main.name, ops.UpgradeOps(plan.ups)),
        downgrades=_code(tables.main.name, ops.DowngradeOps(plan.downs)),
    )
    assert isinstance(script, Script)  # noqa: S101  only a dry run gives none
    return Path(script.path)


def _message(name: str, plan: reshape.Plan, dialect: str) -> str:
    lines = "\n".join(f"- {note}" for note in plan.notes)
    return f"{name}: the tables follow the schema\n\n{lines}\n\nWritten for {dialect}.\n"


def _code(name: str, steps: ops.UpgradeOps | ops.DowngradeOps) -> str:
    """The body of a function, its first line without the indentation that the template gives it."""
    rendered = [
        line.removeprefix("    ") for line in render_python_code(steps).splitlines() if "# ###" not in line
    ]
    return "\n".join([_GUARD.format(name=name), *rendered]).replace("\n", "\n    ") if steps.ops else "pass"


def _config(directory: Path) -> Config:
    # nobody asked for Alembic's own words
    config = Config(cmd_opts=Namespace(quiet=True))
    for name, value in {
        "script_location": str(SCRIPTS),
        "version_locations": str(directory.absolute()),
        # a directory may have blanks and colons in its name
        "path_separator": "newline",
    }.items():
        config.set_main_option(name, value.replace("%", "%%"))
    config.attributes["version_table"] = VERSION_TABLE
    return config
