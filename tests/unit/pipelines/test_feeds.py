"""What sources give with the cursor of what they gave before."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.readers.base import Limits, Read
from pipelines.sources import messages, moving
from pipelines.sources.feed import Asked, Feed, Part, Value
from pipelines.sources.folder import Files
from pipelines.sources.query import Query
from pipelines.sources.rows import Rows
from schemas.errors import ConfigurationError, SourceError


class Taker:
    """Reads a source as a pipeline does, without a database."""

    def __init__(self, source: Feed) -> None:
        self.source = source
        self.cursor: dict[str, Value] = {}
        self.num_unchanged = 0

    def known(self, keys: Iterable[str]) -> Mapping[str, Value]:
        return {key: self.cursor[key] for key in keys if key in self.cursor}

    def take(self, most: int | None = None, **span: Any) -> list[Read]:
        """What is new; it breaks off after the part with which there are `most` documents."""
        taken: list[Read] = []
        self.num_unchanged = 0
        seen: set[str] = set()
        for part in self.source.read(Asked(known=self.known, **span)):
            self._commit(part, taken, seen)
            if most is not None and len(taken) >= most:
                return taken
        if self.source.forgets:
            self.cursor = {key: value for key, value in self.cursor.items() if key in seen}
        return taken

    def _commit(self, part: Part, taken: list[Read], seen: set[str]) -> None:
        # as the database keeps it
        self.cursor |= json.loads(json.dumps(dict(part.cursor)))
        seen |= set(part.cursor)
        taken += part.reads
        self.num_unchanged += part.num_unchanged

    def texts(self, most: int | None = None, **span: Any) -> list[str | None]:
        return [one.text for one in self.take(most, **span)]


def write(path: Path, text: str, age_s: float = 60.0) -> None:
    """A file that was last written a while ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    moment = path.stat().st_mtime - age_s
    os.utime(path, (moment, moment))


def test_new_and_changed_files_are_taken_once(tmp_path: Path) -> None:
    taker = Taker(Files(tmp_path))
    assert taker.texts() == []
    write(tmp_path / "a.txt", "one")
    write(tmp_path / "deep/b.txt", "two")
    assert taker.texts() == ["one", "two"]
    assert taker.texts() == [] and taker.num_unchanged == 2
    write(tmp_path / "a.txt", "three", age_s=30)
    (tmp_path / "deep/b.txt").unlink()
    write(tmp_path / "c.txt", "four")
    assert taker.texts() == ["three", "four"] and taker.num_unchanged == 0


def test_a_file_that_was_only_touched_is_as_it_was(tmp_path: Path) -> None:
    taker = Taker(Files(tmp_path / "*.txt"))
    write(tmp_path / "a.txt", "one")
    taker.take()
    write(tmp_path / "a.txt", "one", age_s=10)
    assert taker.texts() == [] and taker.num_unchanged == 1


def test_a_file_written_twice_within_one_tick_of_the_clock_is_noticed(tmp_path: Path) -> None:
    taker = Taker(Files(tmp_path))
    file = tmp_path / "a.txt"
    write(file, "one", age_s=0)
    before = file.stat()
    assert taker.texts() == ["one"]
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert taker.texts() == ["two"]


def test_what_cannot_be_read_is_one_document_until_it_is_another(tmp_path: Path) -> None:
    taker = Taker(Files(tmp_path))
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    write(tmp_path / "b.pdf", "%PDF-broken")
    assert [one.error is not None for one in taker.take()] == [True, True]
    assert taker.take() == [] and taker.num_unchanged == 2


def test_a_glob_may_match_nothing_yet_and_a_missing_directory_is_told(tmp_path: Path) -> None:
    assert Taker(Files(tmp_path / "*.txt")).texts() == []
    with pytest.raises(SourceError, match="There is no file or directory"):
        Taker(Files(tmp_path / "nowhere")).texts()


def test_variables_stand_for_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.txt", "one")
    taker = Taker(Files("${INBOX_OF_TEST}/a.txt"))
    with pytest.raises(SourceError, match="The variable INBOX_OF_TEST is not set"):
        taker.texts()
    monkeypatch.setenv("INBOX_OF_TEST", str(tmp_path))
    assert taker.texts() == ["one"]


def test_files_of_a_url_are_told_by_what_the_file_system_says() -> None:
    files = fsspec.filesystem("memory")
    files.store.clear()
    taker = Taker(Files("memory://bucket/*.txt"))
    files.pipe("/bucket/a.txt", b"one")
    assert taker.texts() == ["one"]
    files.pipe("/bucket/b.txt", b"two")
    assert taker.texts() == ["two"] and taker.num_unchanged == 1
    files.pipe("/bucket/a.txt", b"three")
    assert taker.texts() == ["three"]
    files.store.clear()


def test_a_span_of_time_is_by_modification_time(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        write(tmp_path / f"{day}.txt", f"day {day}")
        moment = datetime(2024, 1, day, 12).timestamp()
        os.utime(tmp_path / f"{day}.txt", (moment, moment))
    assert Taker(Files(tmp_path)).texts(since="2024-01-02", until="2024-01-03") == ["day 2"]
    with pytest.raises(ConfigurationError, match="'yesterday' is no date"):
        Taker(Files(tmp_path)).texts(since="yesterday")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(1, 3)), min_size=1, max_size=6))
def test_appended_rows_are_taken_exactly_once_wherever_it_breaks_off(
    tmp_path: Path, steps: list[tuple[int, int | None]]
) -> None:
    file = tmp_path / "table.csv"
    taker, rows, taken = Taker(Rows(file, text_column="text")), ["first"], []
    for number, (num_new, most) in enumerate(steps):
        rows += [f"row {number}.{n}" for n in range(num_new)]
        write(file, "text\n" + "".join(f"{row}\n" for row in rows), age_s=60 - number)
        taken += taker.texts(most)
    taken += taker.texts()
    assert taken == rows
    assert taker.texts() == [] and taker.num_unchanged == len(rows)


def test_a_table_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    taker = Taker(Rows(file, text_column="text"))
    write(file, "text\none\ntwo\n")
    assert taker.texts() == ["one", "two"]
    write(file, "text\nzero\none\ntwo\n", age_s=30)
    assert taker.texts() == ["zero", "one", "two"]
    write(file, "text\nzero\n", age_s=20)
    assert taker.texts() == ["zero"]


def test_rows_of_parquet_are_documents(tmp_path: Path) -> None:
    file = tmp_path / "notes.parquet"
    table = pyarrow.table({"id": [1, 2, 3], "body": ["one", None, "three"]})
    pyarrow.parquet.write_table(table, file)
    found = Taker(Rows(tmp_path, text_column="body")).take()
    assert [one.text for one in found] == ["one", None, "three"]
    assert found[0].origin == f"{file}#row=1"
    assert Taker(Rows(tmp_path)).texts() == ["id: 1\nbody: one", "id: 2", "id: 3\nbody: three"]
    (missing,) = Taker(Rows(tmp_path, text_column="text")).take()
    assert "no column 'text'; there are: 'id', 'body'" in str(missing.error)


def test_what_is_no_table_fails_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "one")
    taker = Taker(Rows(tmp_path))
    (one,) = taker.take()
    assert "It is no table" in str(one.error)
    assert taker.take() == [] and taker.num_unchanged == 1


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"] = "March", "Ann <ann@example.org>"
    message.set_content("The bills are attached.")
    message.add_related(b"\x89PNG", "image", "png", filename="logo.png", disposition="inline", cid="<1>")
    message.add_attachment("Total: 12.30", filename="../bill.txt")
    message.add_attachment("text\nfirst\nsecond\n", subtype="csv", filename="table.csv")
    inner = EmailMessage()
    inner["Subject"] = "Older"
    inner.set_content("From before.")
    message.add_attachment(inner)
    return message.as_bytes()


def test_a_message_is_its_body_and_its_attachments() -> None:
    found = list(messages.documents(mail(), "imap://a@h/INBOX/;UID=7", Limits(), ["*"]))
    body, *attached = found
    assert body.text is not None and body.text.startswith("Subject: March\nFrom: Ann <ann@example.org>")
    assert body.parent_origin is None
    origin = "imap://a@h/INBOX/;UID=7"
    assert [
        (one.origin.removeprefix(origin), one.text and one.text.strip().split("\n")[-1]) for one in attached
    ] == [
        ("#attachment=1/bill.txt", "Total: 12.30"),
        ("#attachment=2/table.csv#row=1", "text: first"),
        ("#attachment=2/table.csv#row=2", "text: second"),
        ("#attachment=3/file.eml", "From before."),
    ]
    assert {one.parent_origin for one in attached} == {origin}


def test_patterns_choose_attachments() -> None:
    found = list(messages.documents(mail(), "imap://a@h/INBOX/;UID=7", Limits(), ["*.TXT"]))
    assert [one.origin.rpartition("/")[2] for one in found] == [";UID=7", "bill.txt"]
