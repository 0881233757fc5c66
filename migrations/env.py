"""Alembic's entry: runs migrations on the connection it is given, or on `-x url=...` for the command line."""

from alembic import context
from sqlalchemy import Connection

from workers.store.migrate import is_ours
from workers.store.models import Base
from workers.store.session import open_store


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=is_ours,
        version_table=context.config.attributes.get("version_table", "alembic_version"),
        render_as_batch=True,
        # on SQLite too: the store begins its transactions itself
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = open_store(context.get_x_argument(as_dictionary=True)["url"])
    with engine.begin() as connection:
        run(connection)
    engine.dispose()
