"""Whatever ends `gleaner run` in the middle, the same command goes on where it ended."""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from tests.acceptance.conftest import Cli, wait_until, write_notes
from workers.store.migrate import upgrade
from workers.store.session import open_store, reading

NUM = 30

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(params=["sqlite", "postgres"])
def ask(request: pytest.FixtureRequest, cli: Cli) -> Iterator[Ask]:
    """Thirty notes to be extracted one by one on either database, which answers SQL."""
    write_notes(cli.directory / "inbox", NUM)
    url = request.getfixturevalue(f"{request.param}_url")
    cli.settings |= {"database_url": url, "batch_size": "1", "chunk_size": "8", "lease_s": "3"}
    store = open_store(url)
    upgrade(store)

    def ask(sql: str) -> list[tuple[object, ...]]:
        with reading(store) as conn:
            return [tuple(row) for row in conn.execute(text(sql))]

    yield ask
    store.dispose()


def states(ask: Ask) -> dict[object, object]:
    return dict(ask("SELECT state, count(*) FROM jobs GROUP BY state"))  # type: ignore[arg-type]


def begin(cli: Cli, ask: Ask) -> subprocess.Popen[str]:
    """A run of which some documents are done and others are not."""
    process = cli.start("run", "note", "inbox")
    wait_until(lambda: process.poll() is not None or "done" in states(ask), "the first rows")
    assert process.poll() is None, "it ended too soon to be interrupted"
    return process


def ends_well(cli: Cli, ask: Ask) -> None:
    """The same command again: everything is there once, and nothing was done anew."""
    before = states(ask)["done"]
    assert before != NUM
    ran = cli("run", "note", "inbox", batch_size="8").ok
    ((done, already),) = re.findall(rf"{NUM} documents: (\d+) done, (\d+) already done", ran.out)
    assert (int(done) + int(already), int(already)) == (NUM, before)
    for table in ("note", "extractions"):
        assert ask(f"SELECT count(*), count(DISTINCT document_id) FROM {table}") == [(NUM, NUM)]
    assert states(ask) == {"done": NUM}


def test_kill_9_loses_nothing_and_doubles_nothing(cli: Cli, ask: Ask) -> None:
    process = begin(cli, ask)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    ends_well(cli, ask)


@pytest.mark.parametrize("ask", ["sqlite"], indirect=True)
def test_ctrl_c_finishes_what_is_in_hand_and_hands_back_the_rest(cli: Cli, ask: Ask) -> None:
    process = begin(cli, ask)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "the same command goes on" in cli.log
    assert "Traceback" not in cli.log
    assert set(states(ask)) == {"done", "queued"}
    assert ask("SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL") == [(0,)]
    ends_well(cli, ask)
