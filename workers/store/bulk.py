"""Many rows into a table as the driver takes them: SQLAlchemy's work for each would cost more than the database's."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, FromClause, Table

Row = tuple[Any, ...]

# the execution option of a COPY of ours: who asks a database may write the word, too
_COPIES = "copies"


def insert_rows(conn: Connection, table: Table | FromClause, rows: Sequence[Row]) -> None:
    """Insert rows of values in the order of the table's columns; errors are those of any statement."""
    if not rows:
        return
    names = conn.dialect.identifier_preparer
    columns = ", ".join(names.format_column(column) for column in table.columns)
    into = f"{names.format_table(table)} ({columns})"
    copies = conn.dialect.name == "postgresql"
    if copies:
        statement = f"COPY {into} FROM STDIN"
    else:
        marks = ", ".join("?" for _ in table.columns)
        statement = f"INSERT INTO {into} VALUES ({marks})"  # noqa: S608  only names, quoted
    bound = _bound(table, conn.dialect, rows)
    conn.exec_driver_sql(statement, bound, execution_options={_COPIES: copies})


def copy(cursor: Any, statement: str, rows: Any, context: Any) -> bool:
    """Send the rows of a COPY, which psycopg has another method for; whether it was one."""
    if not context.execution_options.get(_COPIES):
        return False
    with cursor.copy(statement) as copying:
        for row in rows if context.executemany else [rows]:
            copying.write_row(row)
    return True


def _bound(table: Table | FromClause, dialect: Dialect, rows: Sequence[Row]) -> list[Row]:
    """The rows as their column types hand them to the driver."""
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for place, column in enumerate(table.columns):
        bind: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
        columns[place] = map(bind, columns[place]) if bind else columns[place]
    return list(zip(*columns, strict=True))
