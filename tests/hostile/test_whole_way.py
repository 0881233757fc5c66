"""All bad inputs as one batch, from the reader to the tables: the accounts add up and nothing else is touched."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.readers import read
from pipelines.sources.files import FileSource
from schemas.wire import dump
from tests.cases import parcels
from tests.cases.worlds import enqueue, entries, make_runtime, rows
from tests.hostile.conftest import reads_of
from tests.hostile.inputs.every import INPUTS
from workers.engine.protocol import Request
from workers.runtime import Runtime
from workers.store.session import transaction
from workers.testing import Answer
from workers.work import work

# longer ones are a matter of windows, and take a scripted engine minutes
MAX_CHARS = 20_000


def copy(request: Request) -> Answer:
    """The first word as the receiver, whatever it is."""
    words = request.document.split() or [request.document]
    record = parcels.record(parcels.text("x"))
    box = {"colour": None, "sealed": True}
    return dump(record | {"receiver": words[0][:60], "weight": None, "items": [], "box": box})


@pytest.fixture
def runtime(store: sa.Engine, tmp_path: Path) -> Iterator[Runtime]:
    url = store.url.render_as_string(hide_password=False)
    made = make_runtime(url, parcels.write_schema(tmp_path / "schemas"), copy, batch_size=64)
    yield made
    made.store.dispose()


def tables(runtime: Runtime) -> dict[str, int]:
    """Rows by table."""
    names = sa.inspect(runtime.store).get_table_names()
    return {name: rows(runtime, f'SELECT count(*) FROM "{name}"')[0][0] for name in names}


def work_off(runtime: Runtime) -> None:
    ids = [job_id for (job_id,) in rows(runtime, "SELECT id FROM jobs WHERE state = 'queued' ORDER BY id")]
    for start in range(0, len(ids), 64):
        work(runtime, ids[start : start + 64])


def test_every_input_is_in_the_accounts_once_and_nothing_else_is_touched(runtime: Runtime) -> None:
    with transaction(runtime.store) as conn:
        conn.exec_driver_sql("CREATE TABLE neighbour (name TEXT)")
        conn.exec_driver_sql("INSERT INTO neighbour VALUES ('as ever')")
    before = tables(runtime)
    found = [
        each
        for inputs in INPUTS.values()
        for given in inputs
        for each in reads_of(given)
        if len(each.text or "") <= MAX_CHARS
    ]
    batch_id = enqueue(runtime, reads=found)
    work_off(runtime)
    ledger = entries(runtime, batch_id)
    assert [entry.origin for entry in ledger] == [each.origin for each in found]
    for entry, each in zip(ledger, found, strict=True):
        if each.error:
            assert (entry.state, entry.error_code, entry.error) == (
                "failed",
                each.error.code,
                str(each.error),
            )
        else:
            assert entry.state == "done", f"{entry.origin}: {entry.error}"
    _check_rows(runtime, Counter(entry.state for entry in ledger))
    after = tables(runtime)
    assert after["neighbour"] == 1
    assert after.keys() - before.keys() == {"parcel", "parcel_items"}


def _check_rows(runtime: Runtime, states: Counter[str]) -> None:
    stored = rows(runtime, "SELECT d.text, p.receiver FROM parcel p JOIN documents d ON d.id = p.document_id")
    assert all(_collapsed(receiver) in _collapsed(text) for text, receiver in stored)
    done = rows(runtime, "SELECT count(*) FROM jobs WHERE state = 'done'")[0][0]
    assert len(stored) == done > 150
    # the same text twice is one document and one job
    assert states["done"] >= done


def _collapsed(text: str) -> str:
    return " ".join(text.split())


def test_names_of_files_are_names_and_no_more(runtime: Runtime, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for given in INPUTS["names"]:
        (inbox / given.name).write_bytes(given.make())
    _links(inbox)
    batch_id = enqueue(runtime, reads=[each for file in FileSource([inbox]) for each in read(file)])
    work_off(runtime)
    ledger = {entry.origin: entry for entry in entries(runtime, batch_id)}
    for given in INPUTS["names"]:
        origin = os.fsencode(f"{inbox}/{given.name}").decode("utf-8", "backslashreplace")
        # what begins with a dot is hidden
        assert given.name.startswith(".") != (origin in ledger), origin
    assert {entry.state for entry in ledger.values()} == {"done", "failed"}
    failed = {Path(origin).name for origin, entry in ledger.items() if entry.state == "failed"}
    assert failed == {"nowhere.txt", "itself.txt", "device.txt"}
    assert not list(tmp_path.rglob("owned"))
    assert rows(runtime, "SELECT count(*) FROM jobs")[0][0] == len(ledger)


def _links(inbox: Path) -> None:
    """Directories that lead to themselves, and links to what is no file."""
    (inbox / "loop").symlink_to(inbox)
    (inbox / "deep").mkdir()
    (inbox / "deep" / "up").symlink_to("..")
    (inbox / "nowhere.txt").symlink_to("not-there")
    (inbox / "itself.txt").symlink_to("itself.txt")
    (inbox / "device.txt").symlink_to("/dev/zero")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
