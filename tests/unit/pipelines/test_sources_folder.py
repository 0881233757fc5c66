"""Files and tables that come and change."""

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.sources.folder import Files
from pipelines.sources.rows import Rows
from schemas.errors import ConfigurationError, SourceError
from tests.cases.takers import Taker


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


class Remembering(MemoryFileSystem):
    """Lists a directory once, as those of object stores do."""

    protocol = "remembering"
    cachable = True
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("remembering:/"))

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        path = path.rstrip("/")
        if path not in self.dircache:
            self.dircache[path] = super().ls(path, detail=True, **more)
        return self.dircache[path]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.clear()


def test_what_a_file_system_remembers_of_the_last_run_is_not_asked() -> None:
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    files = fsspec.filesystem("remembering")
    taker = Taker(Files("remembering://bucket"))
    files.pipe("/bucket/a.txt", b"one")
    assert taker.texts() == ["one"]
    files.pipe("/bucket/b.txt", b"two")
    assert taker.texts() == ["two"]


def test_a_web_page_is_told_by_its_etag(etags: dict[str, str]) -> None:
    url = etags.pop("url")
    taker = Taker(Files(f"{url}/a.txt"))
    etags["tag"], etags["text"] = '"1"', "one"
    assert taker.texts() == ["one"]
    # the tag alone is looked at
    etags["text"] = "two"
    assert taker.texts() == []
    etags["tag"] = '"2"'
    assert taker.texts() == ["two"]


@pytest.fixture
def etags() -> Iterator[dict[str, str]]:
    """A web server that gives the text and the tag that stand here."""
    given: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = given["text"].encode()
            self.send_response(200)
            self.send_header("ETag", given["tag"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        given["url"] = f"http://127.0.0.1:{server.server_port}"
        yield given
        server.shutdown()


def test_a_span_of_time_is_by_modification_time(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        write(tmp_path / f"{day}.txt", f"day {day}")
        moment = datetime(2024, 1, day, 12).timestamp()
        os.utime(tmp_path / f"{day}.txt", (moment, moment))
    assert Taker(Files(tmp_path)).texts(since="2024-01-02", until="2024-01-03") == ["day 2"]
    with pytest.raises(ConfigurationError, match="'yesterday' is no date"):
        Taker(Files(tmp_path)).texts(since="yesterday")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
