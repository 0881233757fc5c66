"""The rows of a SQL query, by a cursor column that grows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pipelines.readers.base import Read, first_line, lines_of
from pipelines.readers.formats import PLAIN
from pipelines.readers.text import stored
from pipelines.sources import moving
from pipelines.sources.feed import Asked, Part, Value, filled
from schemas.errors import DocumentError, PipelineError, SourceError

_TOGETHER = 500
# the key under which the cursor says how far rows were read; those of rows begin otherwise
_HIGH = "cursor"


class Query:
    """New rows of a query on any SQLAlchemy URL, in the order of the cursor column.

    `text` is the column that holds the document, or several, which become `column: value` lines. Rows are looked at
    again from `lag` before the highest cursor that was seen, so that one that comes late is not missed: seconds or a
    timedelta for times, days for dates, else a number. A row is new if its key is, or if its text is another.

    Raises:
        PipelineError: a column is not named, the lag is negative, or the URL is none.
    """

    forgets = True

    def __init__(
        self,
        url: str,
        sql: str,
        *,
        key: str,
        text: str | Sequence[str],
        cursor: str,
        lag: float | timedelta = 0,
    ) -> None:
        self._texts = [text] if isinstance(text, str) else list(text)
        if not self._texts or not all((sql.strip(), key, cursor, *self._texts)):
            raise PipelineError(
                "A query needs its SQL and the names of its key, text and cursor columns.",
                hint="Query(url, 'SELECT id, body, changed FROM notes', key='id', text='body', cursor='changed').",
            )
        if (lag.total_seconds() if isinstance(lag, timedelta) else lag) < 0:
            raise PipelineError(f"The lag {lag} is negative.", hint="Say how late a row may come.")
        self._url, self._sql = url, sql.strip().rstrip(";")
        self._key, self._cursor, self._lag = key, cursor, lag
        self._place = _place(url)

    def __str__(self) -> str:
        return f"{self._place}: {' '.join(self._sql.split())}"

    def read(self, asked: Asked) -> Iterator[Part]:
        """What is new, a row at a time, while the database sends it."""
        stored_high = asked.known([_HIGH]).get(_HIGH)
        high = None if stored_high is None else moving.decoded(stored_high)
        if stored_high is not None:
            # seen in every run, or it would be forgotten when the table is empty
            yield Part(cursor={_HIGH: stored_high})
        with self._explained(), self._connected() as conn:
            low = None if high is None else moving.before(high, self._lag)
            found = conn.execute(self._statement(conn, low, asked)).mappings()
            while together := list(islice(found, _TOGETHER)):
                known = asked.known([self._part_key(row) for row in together])
                for row in together:
                    high = self._higher(high, row)
                    yield self._part(row, high, known, asked)

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(_filled(sa.make_url(self._url)), poolclass=sa.NullPool)
        try:
            with engine.connect() as conn:
                yield conn.execution_options(stream_results=True, max_row_buffer=_TOGETHER)
        finally:
            engine.dispose()

    def _statement(self, conn: sa.Connection, low: Any, asked: Asked) -> sa.Select[Any]:
        # a : of the query is its own
        rows = sa.text(f"(\n{self._sql.replace(':', chr(92) + ':')}\n) new_rows")
        key: sa.ColumnClause[Any] = sa.column(self._key)
        cursor: sa.ColumnClause[Any] = sa.column(self._cursor)
        query: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(rows).order_by(cursor, key)
        if low is not None:
            # one without a cursor is not to be passed over in silence
            query = query.where(cursor.is_(None) | (cursor >= sa.literal(low)))
        if asked.since is not None:
            query = query.where(cursor >= sa.literal(_bound(conn, asked.since)))
        if asked.until is not None:
            query = query.where(cursor < sa.literal(_bound(conn, asked.until)))
        return query

    def _part(self, row: RowMapping, high: Any, known: Mapping[str, Value], asked: Asked) -> Part:
        key, one = self._part_key(row), self._document(row, asked)
        value = {"hash": one.content_hash}
        is_same = known.get(key) == value
        cursor = {key: value, _HIGH: moving.encoded(high)}
        return Part(reads=() if is_same else (one,), num_unchanged=int(is_same), cursor=cursor)

    def _document(self, row: RowMapping, asked: Asked) -> Read:
        origin = f"{self._place}#{self._key}={row[self._key]}"
        values = [
            (name, "" if (value := self._of(row, name)) is None else str(value)) for name in self._texts
        ]
        text = values[0][1] if len(values) == 1 else lines_of(values)
        try:
            return Read.done(origin, PLAIN, stored(text, asked.limits))
        except DocumentError as error:
            return Read.failed(origin, PLAIN, error)

    def _part_key(self, row: RowMapping) -> str:
        return f"row {self._filled(row, self._key)}"

    def _higher(self, high: Any, row: RowMapping) -> Any:
        value = self._filled(row, self._cursor)
        return value if high is None else max(high, value)

    def _filled(self, row: RowMapping, column: str) -> Any:
        value = self._of(row, column)
        if value is None:
            raise SourceError(
                f"The column {column} is NULL in a row of {self._place}.",
                hint="Leave such rows out in the query, or give them a value with coalesce.",
            )
        return value

    def _of(self, row: RowMapping, column: str) -> Any:
        if column not in row:
            said = f"The query has no column {column!r}; it has {', '.join(row.keys())}."
            raise SourceError(said, hint="Name the columns as the query does.")
        return row[column]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, ImportError) as exc:
            cause = getattr(exc, "orig", None) or exc
            raise SourceError(
                f"{self._place} cannot be read: {first_line(cause)}.",
                hint="Check the URL, its driver, the rights and the query.",
            ) from exc


def _bound(conn: sa.Connection, text: str) -> Any:
    """A bound that a person wrote; SQLite keeps times as text and compares them as such."""
    value = moving.typed(text)
    return text if conn.dialect.name == "sqlite" and not isinstance(value, int | float) else value


def _filled(url: sa.URL) -> sa.URL:
    """The URL with variables in their places; what they hold needs no quoting."""
    return url.set(
        username=url.username and filled(url.username),
        password=url.password and filled(url.password),
        host=url.host and filled(url.host),
        database=url.database and filled(url.database),
    )


def _place(url: str) -> str:
    """The URL without user, password and options."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError as exc:
        # without the URL: it may hold a password
        hint = "Write it as postgresql+psycopg://reader:${SHOP_PASSWORD}@host/shop."
        raise PipelineError("The database URL of a query cannot be read.", hint=hint) from exc
    bare = sa.URL.create(parsed.drivername, host=parsed.host, port=parsed.port, database=parsed.database)
    return bare.render_as_string(hide_password=True)
