import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from schemas.errors import DatabaseAwayError, DeviceError
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, job_rows, rows, states
from workers.engine.protocol import Request
from workers.runtime import Runtime
from workers.store import jobs, results, sweep, versions
from workers.store.session import transaction
from workers.testing import Answer
from workers.work import heartbeat, work

Make = Callable[..., Runtime]


def test_jobs_are_brought_to_done_with_typed_rows_and_evidence(make: Make) -> None:
    runtime = make()
    document = parcels.text("Zoë 🦊", "3 cups", "2 forks", weight="1,234.50", speed="express")
    enqueue(runtime, [document])
    work(runtime, job_ids(runtime))

    (job,) = job_rows(runtime)
    assert (job.state, job.error, job.lease_owner, job.lease_until, job.failures) == (
        "done",
        None,
        None,
        None,
        0,
    )
    assert job.finished_at is not None
    assert rows(runtime, "SELECT receiver, speed, box_colour, box_sealed FROM parcel") == [
        ("Zoë 🦊", "express", "red", 1)
    ]
    assert Decimal(str(rows(runtime, "SELECT weight FROM parcel")[0][0])) == Decimal("1234.50")
    assert rows(runtime, "SELECT position, name, count FROM parcel_items ORDER BY position") == [
        (0, "cups", 3),
        (1, "forks", 2),
    ]
    evidence = rows(runtime, "SELECT path, state, start_char, end_char, text FROM evidence ORDER BY position")
    assert ("receiver", "verbatim", 11, 16, "Zoë 🦊") in evidence
    assert {path: state for path, state, *_ in evidence}["speed"] == "choice"
    for _, state, start, end, text in evidence:
        if state == "verbatim":
            assert document[start:end] == text


def test_each_job_ends_in_its_state_with_its_reason(make: Make) -> None:
    runtime = make()
    texts = [
        parcels.text("Ann", "1 cup"),
        parcels.text("GARBLED", "1 cup"),
        parcels.text("Bo", "1 cup", weight="-2"),
        parcels.text("GRAMMAR", "1 cup"),
        parcels.text("BOOM", "1 cup"),
    ]
    enqueue(runtime, texts)
    work(runtime, job_ids(runtime))
    found = [(job.state, job.error_code) for job in job_rows(runtime)]
    assert found == [
        ("done", None),
        ("review", "invalid"),
        ("review", "invalid"),
        ("failed", "grammar"),
        ("failed", "terminal"),
    ]
    reasons = [job.error for job in job_rows(runtime)]
    assert "not JSON" in reasons[1]
    assert reasons[2].startswith("weight: ")
    assert reasons[3] == "The decoder refuses the grammar."
    assert "RuntimeError: boom" in reasons[4]
    # a record that does not hold is kept, but makes no row
    assert rows(runtime, "SELECT receiver FROM parcel") == [("Ann",)]
    assert rows(runtime, "SELECT count(*) FROM extractions") == [(3,)]


def test_an_unexpected_exception_takes_no_other_document_along(make: Make) -> None:
    runtime = make(batch_size=8)
    enqueue(runtime, [parcels.text("BOOM" if n == 3 else f"P{n}", "1 cup") for n in range(8)])
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["done"] * 3 + ["failed"] + ["done"] * 4
    assert rows(runtime, "SELECT count(*) FROM parcel") == [(7,)]


def test_an_unexpected_exception_while_writing_fails_that_job_alone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = results.save

    def broken(engine: Engine, owner: str, found: Any) -> set[int]:
        if any(result.wire_record["receiver"] == "Bo" for result in found):
            raise KeyError("Bo")
        return save(engine, owner, found)

    monkeypatch.setattr(results, "save", broken)
    runtime = make()
    enqueue(runtime, [parcels.text(name, "1 cup") for name in ("Ann", "Bo", "Cy")])
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["done", "failed", "done"]
    assert "KeyError" in job_rows(runtime)[1].error


def test_a_transient_error_requeues_and_fails_after_the_last_attempt(make: Make) -> None:
    runtime = make(max_attempts=3, retry_s=0)
    enqueue(runtime, [parcels.text("LOST", "1 cup")])
    for failures in (1, 2):
        work(runtime, job_ids(runtime))
        (job,) = job_rows(runtime)
        assert (job.state, job.failures, job.error_code) == ("queued", failures, "device")
        assert job.enqueued_at is None
    work(runtime, job_ids(runtime))
    (job,) = job_rows(runtime)
    assert (job.state, job.failures, job.attempts) == ("failed", 3, 3)
    assert "it was lost" in job.error


def test_a_transient_error_that_passes_ends_in_done(make: Make) -> None:
    calls = []

    def once(request: Request) -> Answer:
        calls.append(request)
        return parcels.answer(request) if len(calls) > 1 else DeviceError("busy")

    runtime = make(once, retry_s=0)
    enqueue(runtime, [parcels.text("Ann", "1 cup")])
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["queued"]
    work(runtime, job_ids(runtime))
    (job,) = job_rows(runtime)
    assert (job.state, job.error, job.error_code) == ("done", None, None)


def test_stopping_finishes_the_batch_in_hand_and_hands_the_rest_back(make: Make) -> None:
    runtime = make(lambda request: (runtime.stopping.set(), parcels.answer(request))[1], batch_size=2)
    enqueue(runtime, [parcels.text(f"P{n}", "1 cup") for n in range(6)])
    work(runtime, job_ids(runtime))
    assert states(runtime) == ["done"] * 2 + ["queued"] * 4
    given_back = job_rows(runtime)[2:]
    assert all(job.lease_owner is None and job.lease_until is None for job in given_back)
    # a job handed back did not fail
    assert all(job.failures == 0 for job in given_back)


def test_a_worker_with_other_schema_files_leaves_the_job_to_one_that_has_them(
    make: Make, tmp_path: Path
) -> None:
    runtime = make()
    enqueue(runtime, [parcels.text("Ann", "1 cup")])
    file = tmp_path / "schemas" / "parcel.jsonl"
    file.write_text(file.read_text().replace("Ann", "Ida"))
    other = make()
    with transaction(other.store) as conn:
        sweep.mark_sent(conn, job_ids(other))
    assert work(other, job_ids(other)) == 0
    (job,) = job_rows(other)
    assert (job.state, job.attempts, job.failures) == ("queued", 0, 0)
    # the next sweep sends it at once, in the hope of another worker
    assert job.enqueued_at is None
    assert work(runtime, job_ids(runtime)) == 1
    assert states(runtime) == ["done"]


def test_jobs_of_another_worker_and_ended_ones_are_left_alone(make: Make) -> None:
    runtime = make()
    enqueue(runtime, [parcels.text(name, "1 cup") for name in ("Ann", "Bo")])
    first, second = job_ids(runtime)
    work(runtime, [first])
    with transaction(runtime.store) as conn:
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
        jobs.claim(conn, [second], owner="other", checkpoint_id=checkpoint_id, lease_s=60, limit=1)
    asked = len(runtime.engine.requests)
    work(runtime, [first, second])
    assert len(runtime.engine.requests) == asked
    assert states(runtime) == ["done", "leased"]


def test_work_on_no_jobs_does_nothing(make: Make) -> None:
    runtime = make()
    enqueue(runtime, [])
    work(runtime, [])
    assert runtime.engine.requests == []


def test_the_heartbeat_holds_the_leases_of_its_chunk_alone(make: Make) -> None:
    runtime = make(lease_s=0.3)
    enqueue(runtime, [parcels.text(name, "1 cup") for name in ("Ann", "Bo")])
    with transaction(runtime.store) as conn:
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
        for owner, job_id in zip(("mine", "lost"), job_ids(runtime), strict=True):
            jobs.claim(conn, [job_id], owner=owner, checkpoint_id=checkpoint_id, lease_s=0.3, limit=1)
    before = [job.lease_until for job in job_rows(runtime)]
    with heartbeat(runtime, "mine", {}):
        threading.Event().wait(0.5)
    after = [job.lease_until for job in job_rows(runtime)]
    assert after[0] > before[0]
    assert after[1] == before[1]


def test_chunks_of_one_process_hold_leases_under_names_of_their_own(make: Make) -> None:
    runtime = make()
    with runtime.owner() as first, runtime.owner() as second:
        assert first != second
        assert runtime.owners == {first, second}
    assert runtime.owners == set()


def test_a_database_that_goes_away_leaves_nothing_half_written(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise DatabaseAwayError("The database does not answer.")

    runtime = make(batch_size=1, lease_s=0.5)
    enqueue(runtime, [parcels.text(name, "1 cup") for name in ("Ann", "Bo", "Cy")])
    with monkeypatch.context() as patched:
        patched.setattr(results, "save", away)
        with pytest.raises(DatabaseAwayError):
            work(runtime, job_ids(runtime))
    assert states(runtime) == ["queued"] * 3
    assert {job.losses for job in job_rows(runtime)} == {0}
    assert rows(runtime, "SELECT count(*) FROM extractions") == [(0,)]
