"""Rows of SQL queries by their cursor column."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.sources import moving
from pipelines.sources.query import Query
from schemas.errors import SourceError
from tests.cases.takers import Taker


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as conn:
        conn.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, changed TEXT)")
        yield conn


def insert(conn: sqlite3.Connection, *rows: tuple[int, str, str | None]) -> None:
    conn.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)
    conn.commit()


def of_notes(tmp_path: Path, **given: Any) -> Taker:
    columns = {"key": "id", "text": "body", "cursor": "changed"} | given
    sql = columns.pop("sql", "SELECT * FROM notes -- all of them: 100%")
    return Taker(Query(f"sqlite:///{tmp_path / 'shop.db'}", sql, **columns))


def test_rows_of_a_query_are_taken_by_their_cursor(tmp_path: Path, notes: sqlite3.Connection) -> None:
    taker = of_notes(tmp_path)
    assert taker.texts() == []
    insert(notes, (1, "one", "2024-01-01 10:00:00"), (2, "two", "2024-01-01 11:00:00"))
    found = taker.take()
    assert [one.text for one in found] == ["one", "two"]
    assert found[1].origin == f"sqlite:///{tmp_path / 'shop.db'}#id=2"
    # one with the same time as the last that was taken
    insert(notes, (3, "three", "2024-01-01 11:00:00"))
    assert taker.texts() == ["three"]
    # one that was changed
    insert(notes, (1, "one, corrected", "2024-01-01 12:00:00"))
    assert taker.texts() == ["one, corrected"]
    assert taker.texts() == []


def test_late_rows_are_taken_within_the_lag(tmp_path: Path, notes: sqlite3.Connection) -> None:
    taker, hasty = of_notes(tmp_path, lag=timedelta(hours=1)), of_notes(tmp_path)
    insert(notes, (1, "one", "2024-01-01 10:00:00"), (2, "two", "2024-01-01 11:00:00.250"))
    assert taker.texts() == hasty.texts() == ["one", "two"]
    insert(notes, (3, "late", "2024-01-01 10:30:00"), (4, "too late", "2024-01-01 09:59:59"))
    assert hasty.texts() == []
    assert taker.texts() == ["late"]
    assert taker.texts() == [] and taker.num_unchanged == 3
    # rows out of the lag are forgotten, and not taken again
    insert(notes, (5, "five", "2024-01-02 10:00:00"))
    assert taker.texts() == ["five"]
    assert taker.texts() == []
    assert len(taker.cursor) == 2


def test_a_table_that_was_emptied_is_not_read_anew(tmp_path: Path, notes: sqlite3.Connection) -> None:
    taker = of_notes(tmp_path)
    insert(notes, (1, "one", "2024-01-01"), (2, "two", "2024-01-02"))
    taker.take()
    notes.execute("DELETE FROM notes WHERE id = 2")
    notes.commit()
    assert taker.texts() == [] and taker.texts() == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_row_within_the_lag_is_taken_exactly_once(tmp_path: Path, data: st.DataObject) -> None:
    """Rows come in any order up to five behind, and a reading may break off anywhere."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT, changed TEXT)")
        conn.execute("DELETE FROM notes")
        conn.commit()
        taker = of_notes(
            tmp_path, sql="SELECT id, body, CAST(changed AS INTEGER) AS at FROM notes", cursor="at", lag=5
        )
        taken: list[str | None] = []
        number, high = 0, 5
        for _ in range(data.draw(st.integers(1, 5))):
            committed = high
            for _ in range(data.draw(st.integers(0, 5))):
                at = data.draw(st.integers(committed - 5, committed + 4))
                number, high = number + 1, max(high, at)
                insert(conn, (number, f"row {number}", str(at)))
            taken += taker.texts(data.draw(st.none() | st.integers(1, 4)))
            high = taker.cursor["cursor"]["value"] if "cursor" in taker.cursor else 5
        taken += taker.texts()
    assert sorted(map(str, taken)) == sorted(f"row {n}" for n in range(1, number + 1))


def test_several_columns_become_lines(tmp_path: Path, notes: sqlite3.Connection) -> None:
    insert(notes, (1, "one", "2024-01-01"))
    assert of_notes(tmp_path, text=["id", "body"]).texts() == ["id: 1\nbody: one"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": "text"}, "no column 'text'; it has id, body, changed"),
        ({"sql": "SELECT * FROM orders"}, "no such table: orders"),
        ({"sql": "SELECT id, body, NULL AS changed FROM notes"}, "changed is NULL in a row"),
    ],
)
def test_a_query_that_cannot_be_says_why(
    tmp_path: Path, notes: sqlite3.Connection, given: dict[str, Any], said: str
) -> None:
    insert(notes, (1, "one", "2024-01-01"))
    with pytest.raises(SourceError, match=said):
        of_notes(tmp_path, **given).take()


def test_rows_of_a_span(tmp_path: Path, notes: sqlite3.Connection) -> None:
    insert(notes, *((day, f"day {day}", f"2024-01-0{day} 00:00:00") for day in (1, 2, 3)))
    assert of_notes(tmp_path).texts(since="2024-01-02", until="2024-01-03") == ["day 2"]
    numbers = of_notes(tmp_path, cursor="id")
    assert numbers.texts(since="2") == ["day 2", "day 3"]


VALUES = (
    st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes()
    | st.dates()
    | st.text()
)


@given(VALUES)
def test_cursor_values_survive_json(value: Any) -> None:
    again = moving.decoded(json.loads(json.dumps(moving.encoded(value))))
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize(
    ("value", "lag", "expected"),
    [
        (10, 3, 7),
        (Decimal("1.5"), 1, Decimal("0.5")),
        (date(2024, 3, 1), 1, date(2024, 2, 29)),
        (datetime(2024, 3, 1, 0, 0, 30), 60, datetime(2024, 2, 29, 23, 59, 30)),
        ("2024-03-01 00:00:30.500", 60, "2024-02-29 23:59:30"),
        ("2024-03-01T00:00:30+00:00", 60, "2024-02-29T23:59:30"),
        ("2024-03-01", timedelta(days=1), "2024-02-29"),
        ("v7", 0, "v7"),
    ],
)
def test_a_lag_is_taken_from_every_kind(value: Any, lag: Any, expected: Any) -> None:
    assert moving.before(value, lag) == expected


@pytest.mark.parametrize(("value", "lag"), [("v7", 1), (7, timedelta(hours=1))])
def test_a_lag_that_does_not_fit_is_refused(value: Any, lag: Any) -> None:
    with pytest.raises(SourceError, match="cannot be taken from"):
        moving.before(value, lag)
