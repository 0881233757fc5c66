"""The typed tables of a schema in a database: made, changed where nothing is lost, described, and their views."""

from sqlalchemy import Connection, inspect
from sqlalchemy.schema import SetColumnComment, SetTableComment

from schemas.errors import TableError
from workers.store import reshape, views
from workers.store.records import RecordTables
from workers.store.session import Exclusive, wait_for_turn


def ensure(conn: Connection, tables: RecordTables) -> None:
    """Make what is missing of a schema's tables and views.

    The embedded database also takes what only adds to tables that exist; a server's are changed by a revision.

    Raises:
        TableError: a table exists and has to be changed by a revision first.
    """
    wait_for_turn(conn, Exclusive.MAKE_TABLES)
    plan = reshape.plan(conn, tables)
    if plan.is_additive and conn.dialect.name == "sqlite":
        reshape.apply(conn, plan)
    elif plan.notes:
        name = tables.main.name
        raise TableError(
            f"The schema {name} does not match its tables: {' '.join(plan.notes)}",
            hint=f"Run `gleaner schemas migrate {name}`, then `gleaner db upgrade`.",
            differences=plan.notes,
        )
    for name in set(inspect(conn).get_view_names()) & {table.name for table in tables.all}:
        raise TableError(
            f"The schema {tables.main.name} would get the table {name}, and there is a view of that name.",
            hint="Rename the schema or the field.",
            name=name,
        )
    tables.main.metadata.create_all(conn)
    _describe(conn, tables)
    views.ensure(conn, tables)


def drop(conn: Connection, tables: RecordTables) -> None:
    """Drop the views and tables that exist, with their rows."""
    views.drop(conn, tables)
    tables.main.metadata.drop_all(conn)


def _describe(conn: Connection, tables: RecordTables) -> None:
    """Give indexes and comments to tables that were made without them, or with others."""
    found = inspect(conn)
    for table in tables.all:
        for index in table.indexes:
            index.create(conn, checkfirst=True)
        if not conn.dialect.supports_comments:
            continue
        if found.get_table_comment(table.name)["text"] != table.comment:
            conn.execute(SetTableComment(table))
        present = {column["name"]: column["comment"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if present[column.name] != column.comment:
                conn.execute(SetColumnComment(column))
