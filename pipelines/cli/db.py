"""`gleaner db`: the database's migrations."""

import typer

from pipelines.cli.console import out
from workers.settings import get_settings
from workers.store import migrate
from workers.store.session import open_store

app = typer.Typer(no_args_is_help=True, help="The database's migrations.\n\nExample: gleaner db upgrade")


@app.command()
def upgrade() -> None:
    """Bring the database of GLEANER_DATABASE_URL to the newest migration.

    Example: GLEANER_DATABASE_URL=postgresql+psycopg://user@host/gleaner gleaner db upgrade
    """
    store = open_store(get_settings().database)
    before = migrate.current(store)
    migrate.upgrade(store)
    after = migrate.current(store)
    out.print(f"{before or 'empty'} -> {after}" if before != after else f"at {after} already")


@app.command()
def current() -> None:
    """Print the database's migration and the newest one.

    Example: gleaner db current
    """
    store = open_store(get_settings().database)
    out.print(f"database {migrate.current(store) or 'empty'}, newest {migrate.head()}")
