"""`gleaner jobs`, `gleaner workers` and what `gleaner status` says of batches that ended early."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Connection, Engine, update
from typer.testing import CliRunner, Result

from pipelines.cli import follow, main
from schemas.errors import ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, make_runtime, states
from workers.runtime import Runtime, set_runtime
from workers.store import roster, versions
from workers.store.models import Batch, Worker
from workers.store.session import transaction
from workers.store.types import db_time
from workers.work import work


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"), batch_size=1)
    set_runtime(made)
    yield made
    made.store.dispose()
    set_runtime(None)


def gleaner(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, arguments, catch_exceptions=False)


def put(runtime: Runtime, *names: str) -> int:
    return enqueue(runtime, [parcels.text(name, "1 cup") for name in names])


def test_failed_jobs_are_found_shown_tried_again_and_cancelled(runtime: Runtime) -> None:
    batch_id = put(runtime, "Ann", "GRAMMAR", "Cy")
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["done", "failed", "done"]

    listed = gleaner("jobs", "list", "--batch", str(batch_id), "--state", "failed").output
    assert "grammar" in listed and "/inbox/1.txt" in listed and "/inbox/0.txt" not in listed
    shown = gleaner("jobs", "show", "2").output
    assert "The decoder refuses the grammar." in shown
    assert "Ann" in gleaner("jobs", "show", "1").output

    assert "queued again: 1 job" in gleaner("jobs", "retry", "--reason", "grammar").output
    assert states(runtime) == ["done", "queued", "done"]
    assert "cancelled: 1 job" in gleaner("jobs", "cancel", "2").output
    assert states(runtime) == ["done", "cancelled", "done"]
    assert "cancelled: 0 jobs" in gleaner("jobs", "cancel", "--batch", str(batch_id)).output
    assert "The batch was cancelled." in gleaner("status", str(batch_id)).output


@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_nothing_is_done_to_all_jobs_by_mistake(runtime: Runtime, command: str) -> None:
    put(runtime, "Ann")
    with pytest.raises(ConfigurationError, match="--batch"):
        gleaner("jobs", command)
    assert states(runtime) == ["queued"]


def test_a_job_that_is_not_there_is_an_error(runtime: Runtime) -> None:
    with pytest.raises(ConfigurationError, match="no job 99"):
        gleaner("jobs", "show", "99")


@pytest.mark.parametrize("command", [("jobs", "show"), ("jobs", "retry"), ("status",), ("report",)])
def test_an_id_that_no_database_holds_is_an_error(runtime: Runtime, command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main.app, [*command, str(2**64)])
    assert result.exit_code
    assert isinstance(result.exception, SystemExit | ConfigurationError)


def test_watching_a_batch_whose_enqueuer_died_ends_and_says_so(runtime: Runtime) -> None:
    batch_id = put(runtime, "Ann")
    work(runtime, job_ids(runtime))
    with transaction(runtime.store) as conn:
        conn.execute(update(Batch).values(sealed_at=None, fed_at=db_time(-100)))
    watched = gleaner("status", str(batch_id), "--watch").output
    assert "1 document: 1 done" in watched
    assert "enqueue the same paths again" in watched


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal is sent."""
    sent = io.StringIO()
    console = Console(file=sent, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(follow, "err", console)
    return sent


def test_watching_shows_all_that_is_open_and_ends_with_it(runtime: Runtime, screen: io.StringIO) -> None:
    first = put(runtime, "Ann", "GRAMMAR")
    work(runtime, job_ids(runtime))
    second, third = put(runtime, "Bo", "GARBLED"), put(runtime, "Cy")
    with transaction(runtime.store) as conn:
        sign_on(conn, runtime, "host:1:ab")
    working = threading.Timer(1.0, work, [runtime, job_ids(runtime)])
    working.start()
    said = gleaner("status", "--watch").output
    working.join()
    assert f"batch {second}," in said and f"batch {third}," in said and f"batch {first}," not in said
    shown = screen.getvalue()
    assert "2 queued" in shown and "0/2" in shown and "2/2" in shown
    assert "1 done, 1 review" in shown and "invalid" in shown
    assert "host:1:ab" in shown and "alive" in shown and "s ago" in shown
    assert "no worker has" not in shown


def test_watching_says_what_is_missing(runtime: Runtime, screen: io.StringIO) -> None:
    put(runtime, "Ann")
    with transaction(runtime.store) as conn:
        conn.execute(update(Batch).values(sealed_at=None))
        sign_on(conn, runtime, "host:1:ab")
        conn.execute(update(Worker).values(seen_at=db_time(-100)))

    def end() -> None:
        work(runtime, job_ids(runtime))
        with transaction(runtime.store) as conn:
            conn.execute(update(Batch).values(fed_at=db_time(-100)))

    ending = threading.Timer(1.0, end)
    ending.start()
    gleaner("status", "1", "--watch")
    ending.join()
    shown = screen.getvalue()
    assert "1 queued; more are being enqueued" in shown
    assert "no worker has scripted: start `gleaner worker`" in shown
    assert "silent" in shown
    assert "1 done; whoever enqueued it is gone" in shown


def sign_on(conn: Connection, runtime: Runtime, name: str) -> None:
    checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
    roster.sign_on(conn, name, checkpoint_id=checkpoint_id, device="cpu", version="1", concurrency=2)


def test_workers_are_listed(runtime: Runtime) -> None:
    with transaction(runtime.store) as conn:
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
        more = {"checkpoint_id": checkpoint_id, "version": "1", "concurrency": 2}
        roster.sign_on(conn, "host:1:ab", device="cuda:1, bfloat16", **more)
        roster.sign_on(conn, "host:2:cd", device="cpu", **more)
        roster.sign_off(
            conn,
            "host:2:cd",
            roster.Report(in_hand=0, num_documents=7, num_fenced=0, documents_per_s=0.0),
        )
    listed = gleaner("workers").output
    assert "host:1:ab" in listed and "cuda:1" in listed and "alive" in listed
    assert "host:2:cd" not in listed
    assert "ended" in gleaner("workers", "--all").output


@pytest.mark.parametrize("given", ["lots", "120%", "-1", "1.5"])
def test_a_limit_on_failures_is_a_share(runtime: Runtime, given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"20% or 0\.2"):
        gleaner("run", "parcel", "nowhere", f"--max-failures={given}")
