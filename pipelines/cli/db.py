"""`gleaner db`: the database's migrations."""

from typing import Annotated

import typer

from pipelines.cli.console import out
from schemas.errors import ConfigurationError
from workers.settings import get_settings
from workers.store import migrate, readers, revisions
from workers.store.session import open_store

app = typer.Typer(no_args_is_help=True, help="The database's migrations.\n\nExample: gleaner db upgrade")


@app.command()
def upgrade() -> None:
    """Bring the database of GLEANER_DATABASE_URL to the newest migration, and typed tables to the newest revision.

    Example: GLEANER_DATABASE_URL=postgresql+psycopg://user@host/gleaner gleaner db upgrade
    """
    store, directory = open_store(get_settings().database), get_settings().revisions
    before = migrate.current(store), revisions.current(store)
    migrate.upgrade(store)
    revisions.upgrade(store, directory)
    for was, now, what in zip(
        before, (migrate.current(store), revisions.current(store)), ("", "typed tables: "), strict=True
    ):
        if now:
            out.print(what + (f"{was or 'empty'} -> {now}" if was != now else f"at {now} already"))


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go back to; default: the one before.")] = "-1",
) -> None:
    """Take back the newest revision of typed tables that `gleaner schemas migrate` wrote.

    Example: gleaner db downgrade
    """
    store, directory = open_store(get_settings().database), get_settings().revisions
    before = revisions.current(store)
    if before is None:
        raise ConfigurationError(
            "The database has no revision of typed tables.", hint="`gleaner db current` shows what it has."
        )
    revisions.downgrade(store, directory, revision)
    out.print(f"typed tables: {before} -> {revisions.current(store) or 'as they were first made'}")


@app.command()
def current() -> None:
    """Print the database's migration and the newest one, and the same of revisions of typed tables.

    Example: gleaner db current
    """
    store, directory = open_store(get_settings().database), get_settings().revisions
    out.print(f"database {migrate.current(store) or 'empty'}, newest {migrate.head()}")
    out.print(
        f"typed tables {revisions.current(store) or 'without revision'}, "
        f"newest {revisions.head(directory) or 'none'} in {directory}"
    )


@app.command("grant-reader")
def grant_reader(
    name: Annotated[str, typer.Argument(help="Role; it is made if there is none of this name.")],
) -> None:
    """Let a role of PostgreSQL read every table and view, now and later, and write nothing.

    Example: gleaner db grant-reader analyst
    """
    made = readers.grant(open_store(get_settings().database), name)
    out.print(f"{name} {'was made and ' if made else ''}reads everything and writes nothing")
    if made:
        out.print(f"it cannot log in before it has a password: ALTER ROLE {name} PASSWORD '...'")
