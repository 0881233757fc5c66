"""What becomes of jobs when workers, devices and databases fail, without any server."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import DatabaseAwayError, DeviceError, DeviceLostError
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, job_rows, rows, states
from workers import lease
from workers.embedded import work_off
from workers.engine.protocol import Request
from workers.lease import backoff_s, patiently
from workers.runtime import Runtime
from workers.store import jobs, results, steer, versions
from workers.store.batches import BACKFILL, LIVE
from workers.store.session import transaction
from workers.store.steer import Filter
from workers.testing import Answer
from workers.watchdog import EXIT_UNFINISHED
from workers.work import work

Make = Callable[..., Runtime]
ROOT = Path(__file__).resolve().parents[3]


def put(runtime: Runtime, *names: str, **options: Any) -> int:
    return enqueue(runtime, [parcels.text(name, "1 cup") for name in names], **options)


def die(runtime: Runtime, ids: list[int]) -> None:
    """As if a worker had claimed these and were killed."""
    with transaction(runtime.store) as conn:
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
        claimed = jobs.claim(conn, ids, owner="dead", checkpoint_id=checkpoint_id, lease_s=60, limit=len(ids))
        assert len(claimed) == len(ids)
        jobs.lose(conn, "dead", [job.lease for job in claimed], "It was killed.")


def test_suspects_are_tried_one_at_a_time_and_after_the_others(make: Make) -> None:
    seen: list[set[str]] = []

    def look(request: Request) -> Answer:
        seen.append({job.text.split(".")[0][11:] for job in job_rows(runtime) if job.state == "leased"})
        return parcels.answer(request)

    runtime = make(look)
    put(runtime, *"ABCDE")
    die(runtime, job_ids(runtime)[:2])
    work(runtime, job_ids(runtime))
    assert seen == [{"C", "D", "E"}] * 3 + [{"A"}, {"B"}]
    assert states(runtime) == ["done"] * 5


def test_a_job_that_kills_its_workers_fails_alone(make: Make, tmp_path: Path) -> None:
    """A real process dies over it, again and again, until it is found out."""
    runtime = make(lease_s=600.0)
    put(runtime, "Ann", "KILL", "Cy", "Di")
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from tests.cases import parcels\n"
        "from tests.cases.worlds import make_runtime\n"
        "from workers.embedded import work_off\n"
        "def answer(request):\n"
        "    if 'KILL' in request.document: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return parcels.answer(request)\n"
        "work_off(make_runtime(sys.argv[1], Path(sys.argv[2]), answer, lease_s=600.0), 1)\n"
    )
    command = [sys.executable, "-c", program, str(runtime.store.url), str(tmp_path / "schemas")]
    codes = [subprocess.run(command, cwd=ROOT, env=dict(os.environ)).returncode for _ in range(4)]
    assert codes == [-9, -9, -9, 0]
    found = job_rows(runtime)
    assert [job.state for job in found] == ["done", "failed", "done", "done"]
    assert [job.losses for job in found] == [1, 3, 1, 1]
    assert (found[1].error_code, "died over it 3 times" in found[1].error) == ("worker_lost", True)
    assert rows(runtime, "SELECT count(*) FROM parcel") == [(3,)]


def test_a_lost_device_ends_the_process_and_its_jobs_become_suspects(make: Make) -> None:
    def lost(request: Request) -> Answer:
        if "ASSERT" in request.document:
            return DeviceLostError("The device failed: device-side assert.")
        return parcels.answer(request)

    runtime = make(lost, batch_size=2)
    put(runtime, "Ann", "ASSERT", "Cy", "Di")
    work(runtime, job_ids(runtime))
    assert runtime.stopping.is_set()
    assert isinstance(runtime.broken, DeviceLostError)
    found = job_rows(runtime)
    assert [job.state for job in found] == ["queued"] * 4
    assert [job.losses for job in found] == [1, 1, 0, 0]
    assert [job.attempts for job in found] == [1] * 4
    # the guilty one goes on to be the only one that fails
    for _ in range(2):
        fresh = make(lost, batch_size=2)
        work(fresh, job_ids(fresh))
    assert states(runtime) == ["done", "failed", "done", "done"]


def test_in_one_process_a_lost_device_is_an_error(make: Make) -> None:
    runtime = make(lambda request: DeviceLostError("The device failed."))
    batch_id = put(runtime, "Ann")
    with pytest.raises(DeviceLostError):
        work_off(runtime, batch_id)


def test_what_failed_for_the_moment_waits_before_it_is_tried_again(make: Make) -> None:
    answers: list[Answer] = [DeviceError("busy")]
    runtime = make(
        lambda request: answers.pop() if answers else parcels.answer(request), retry_s=0.6, chunk_size=1
    )
    batch_id = put(runtime, "Ann", "Bo")
    work(runtime, job_ids(runtime)[:1])
    assert job_rows(runtime)[0].retry_at is not None
    assert work(runtime, job_ids(runtime)[:1]) == 0
    # in one process, others go on meanwhile, and the wait is waited for
    work_off(runtime, batch_id)
    assert states(runtime) == ["done", "done"]
    assert [job.attempts for job in job_rows(runtime)] == [2, 1]


def test_waits_grow_and_differ() -> None:
    for failures in range(40):
        waits = {backoff_s(2.0, failures) for _ in range(50)}
        longest = min(2.0 * 2**failures, 3600.0)
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 1


def test_a_database_that_is_away_for_a_moment_costs_no_work(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = make()
    put(runtime, "Ann")
    save, calls = results.save, []

    def twice_away(*args: Any) -> set[int]:
        calls.append(args)
        if len(calls) < 3:
            raise DatabaseAwayError("The database does not answer.")
        return save(*args)

    monkeypatch.setattr(results, "save", twice_away)
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["done"]
    assert len(runtime.engine.requests) == 1


def test_patience_ends_with_its_limit_and_with_the_process(make: Make) -> None:
    runtime, calls = make(), []

    def away() -> None:
        calls.append(1)
        raise DatabaseAwayError("The database does not answer.")

    with pytest.raises(DatabaseAwayError):
        patiently(runtime, away, limit_s=0.3)
    assert len(calls) > 1
    calls.clear()
    threading.Timer(0.3, runtime.stopping.set).start()
    with pytest.raises(DatabaseAwayError):
        patiently(runtime, away)
    assert len(calls) > 1


def test_live_documents_go_before_a_backfill_that_is_being_worked_on(make: Make) -> None:
    order: list[str] = []

    def note(request: Request) -> Answer:
        order.append(parcels.record(request.document)["receiver"])
        if order == ["B0", "B1"]:
            put(runtime, "Live")
        return parcels.answer(request)

    runtime = make(note, batch_size=2)
    enqueue(runtime, [parcels.text(f"B{n}", "1 cup") for n in range(6)], priority=BACKFILL)
    work(runtime, job_ids(runtime))
    assert order == ["B0", "B1", "Live", "B2", "B3", "B4", "B5"]
    assert set(states(runtime)) == {"done"}
    assert {job.priority for job in job_rows(runtime)} == {LIVE, BACKFILL}


def test_a_document_that_is_wanted_live_too_is_no_longer_backfill(make: Make) -> None:
    runtime = make()
    put(runtime, "Ann", "Bo", priority=BACKFILL)
    put(runtime, "Bo")
    assert [job.priority for job in job_rows(runtime)] == [BACKFILL, LIVE]


def test_a_cancelled_batch_stops_what_is_in_hand_at_the_next_step(make: Make) -> None:
    def cancel(request: Request) -> Answer:
        with transaction(runtime.store) as conn:
            steer.stop_batch(conn, batch_id, "It was cancelled.")
        return parcels.answer(request)

    runtime = make(cancel, batch_size=2)
    batch_id = put(runtime, *"ABCDEF")
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["cancelled"] * 6
    # the first two were in the engine: their results are refused, and counted
    assert len(runtime.engine.requests) == 2
    assert runtime.tally.report().num_fenced == 2
    assert rows(runtime, "SELECT count(*) FROM extractions") == [(0,)]
    assert runtime.tally.in_hand == 0


def test_a_batch_is_stopped_when_too_many_fail_and_says_so(make: Make) -> None:
    runtime = make(batch_size=1)
    names = ["GRAMMAR" + str(n) if n % 3 == 0 else f"P{n}" for n in range(90)]
    batch_id = put(runtime, *names, max_failures=0.2)
    work(runtime, job_ids(runtime))
    found = states(runtime)
    # a sixth of fifty may fail, a fifth of ninety is certain at nineteen
    assert found.count("failed") <= 19
    assert found.count("cancelled") >= 30
    (why,) = rows(runtime, f"SELECT stopped_why FROM batches WHERE id = {batch_id}")[0]
    assert "more than the 20%" in why
    with transaction(runtime.store) as conn:
        again = steer.retry(conn, Filter(batch_id=batch_id))
        assert not steer.is_stopped(conn, batch_id)
    assert len(again) == found.count("failed") + found.count("cancelled")


def test_few_failures_stop_nothing(make: Make) -> None:
    runtime = make(batch_size=4)
    put(runtime, *(f"P{n}" for n in range(30)), "GRAMMAR", max_failures=0.2)
    work(runtime, job_ids(runtime))
    assert states(runtime).count("done") == 30


def test_a_cancelled_job_stops_at_the_next_step_and_takes_no_other_along(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LOOK_S", 0.05)
    cancelled: list[int] = []

    def cancel(request: Request) -> Answer:
        if not cancelled:
            cancelled.append(job_ids(runtime)[1])
            with transaction(runtime.store) as conn:
                steer.cancel(conn, Filter(ids=tuple(cancelled)))
            assert all(other.stop for other in runtime.engine.requests)
            # the engine is in the middle of a batch: Bo's turn comes when it was told to stop
            assert runtime.engine.requests[1].stop.wait(30)
        return parcels.answer(request)

    runtime = make(cancel)
    put(runtime, "Ann", "Bo", "Cy")
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["done", "cancelled", "done"]
    assert runtime.tally.report().num_fenced == 0
    # Bo was not asked about
    assert runtime.engine.occupancy().num_steps == 2


def test_an_engine_that_hangs_ends_its_process_and_the_jobs_are_suspects(make: Make, tmp_path: Path) -> None:
    runtime = make()
    put(runtime, "Ann", "HANG", "Cy")
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.cases import parcels\n"
        "from tests.cases.worlds import make_runtime\n"
        "from workers import lease\n"
        "from workers.embedded import work_off\n"
        "lease.LOOK_S = 0.1\n"
        "def answer(request):\n"
        "    if 'HANG' in request.document: time.sleep(600)\n"
        "    return parcels.answer(request)\n"
        "work_off(make_runtime(sys.argv[1], Path(sys.argv[2]), answer, engine_time_limit_s=1.0), 1)\n"
    )
    command = [sys.executable, "-c", program, str(runtime.store.url), str(tmp_path / "schemas")]
    ended = [subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True) for _ in range(4)]
    assert [each.returncode for each in ended] == [EXIT_UNFINISHED] * 3 + [0]
    assert b"engine_hung" in ended[0].stdout + ended[0].stderr
    assert [(job.state, job.error_code) for job in job_rows(runtime)] == [
        ("done", None),
        ("failed", "worker_lost"),
        ("done", None),
    ]
