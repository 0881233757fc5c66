import pytest
from sqlalchemy import update

from workers.store import jobs, roster, steer
from workers.store.batches import feed, open_batch, seal
from workers.store.models import Batch, JobState, Worker
from workers.store.progress import progress
from workers.store.session import reading, transaction
from workers.store.steer import Filter
from workers.store.sweep import sweep, waiting_checkpoints
from workers.store.types import db_time


def do(world, what, *args, **kwargs):
    with transaction(world.engine) as conn:
        return what(conn, *args, **kwargs)


def states(world) -> list[str]:
    return [job.state for job in reversed(do(world, steer.list_jobs, Filter(), limit=None))]


def fail(world, job, **more):
    failure = {"error_code": "device", "error": "It was lost.", "retryable": False} | more
    do(
        world,
        jobs.fail_or_retry,
        "me",
        [jobs.Failure(job_id=job.job_id, fence=job.fence, **failure)],
    )


@pytest.fixture
def mixed(world):
    """Six jobs: done, failed, leased, queued, queued, and one whose document has no text."""
    world.add("a", "b", "c", "d", "e", None)
    done, failed, _ = world.claim("me", limit=3)
    do(world, jobs.finish, "me", [jobs.Finished(job_id=done.job_id, fence=1, state=JobState.DONE)])
    fail(world, failed)
    assert states(world) == ["done", "failed", "leased", "queued", "queued", "failed"]
    return world


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Filter(), [6, 5, 4, 3, 2, 1]),
        (Filter(ids=[2, 5]), [5, 2]),
        (Filter(states=[JobState.DONE, JobState.LEASED]), [3, 1]),
        (Filter(error_code="device"), [2]),
        (Filter(schema="invoice", states=[JobState.QUEUED]), [5, 4]),
        (Filter(schema="receipt"), []),
        (Filter(batch_id=1, error_code="empty_document"), [6]),
        (Filter(batch_id=99), []),
    ],
)
def test_jobs_are_listed_by_what_is_asked(mixed, which, found):
    assert [job.id for job in do(mixed, steer.list_jobs, which, limit=None)] == found
    assert [job.id for job in do(mixed, steer.list_jobs, which, limit=1)] == found[:1]
    assert which.is_empty == (which == Filter())


def test_open_jobs_are_cancelled_and_what_is_worked_on_is_refused_later(mixed):
    assert sorted(do(mixed, steer.cancel, Filter(ids=[1, 2, 3, 4]))) == [3, 4]
    assert states(mixed) == ["done", "failed", "cancelled", "cancelled", "queued", "failed"]
    assert do(mixed, jobs.still_held, "me", [(3, 1)]) == set()
    late = jobs.Finished(job_id=3, fence=1, state=JobState.DONE)
    assert do(mixed, jobs.finish, "me", [late]) == set()
    assert mixed.job(3).error == "It was cancelled."


def test_failed_and_cancelled_jobs_are_tried_again_as_if_new_but_not_without_a_text(mixed):
    do(mixed, steer.stop_batch, mixed.batch_id, "Enough.")
    assert states(mixed) == ["done", "failed", "cancelled", "cancelled", "cancelled", "failed"]
    assert sorted(do(mixed, steer.retry, Filter(batch_id=mixed.batch_id))) == [2, 3, 4, 5]
    assert states(mixed) == ["done", *["queued"] * 4, "failed"]
    job = mixed.job(2)
    assert (job.failures, job.losses, job.attempts, job.error, job.finished_at) == (0, 0, 0, None, None)
    assert not do(mixed, steer.is_stopped, mixed.batch_id)
    assert len(mixed.claim("you")) == 4


def test_a_stopped_batch_keeps_what_another_one_waits_for(world):
    other = do(world, open_batch, world.version_id, world.checkpoint_id)
    world.add("a", "b", "c")
    world.add("b", batch_id=other)
    assert do(world, steer.stop_batch, world.batch_id, "Enough.") == 2
    assert states(world) == ["cancelled", "queued", "cancelled"]
    assert do(world, progress, world.batch_id).stopped_why == "Enough."
    # now nobody waits for it
    assert do(world, steer.stop_batch, other, "Enough.") == 1
    assert states(world) == ["cancelled"] * 3


def ended(world, num_failed: int, num_done: int) -> None:
    for number, job in enumerate(world.claim("me", limit=num_failed + num_done)):
        if number < num_failed:
            fail(world, job)
        else:
            finished = jobs.Finished(job_id=job.job_id, fence=job.fence, state=JobState.DONE)
            do(world, jobs.finish, "me", [finished])


@pytest.mark.parametrize(
    ("num_failed", "num_done", "is_sealed", "stops"),
    [
        # more than a fifth of all is certain
        (21, 0, True, True),
        # not yet known how many there will be, and too few to judge by
        (21, 0, False, False),
        (12, 38, False, True),
        (10, 40, True, False),
    ],
)
def test_a_circuit_opens_when_its_share_has_failed(world, num_failed, num_done, is_sealed, stops):
    with transaction(world.engine) as conn:
        conn.execute(update(Batch).values(max_failures=0.2))
    world.add(*(f"text {number}" for number in range(100)))
    if is_sealed:
        do(world, seal, world.batch_id)
    ended(world, num_failed, num_done)
    assert do(world, steer.guarded_batches, [1]) == [world.batch_id]
    why = do(world, steer.stop_if_failing, world.batch_id)
    assert bool(why) == stops
    assert states(world).count("cancelled") == (100 - num_failed - num_done if stops else 0)
    if stops:
        assert f"{num_failed} of {num_failed + num_done} documents failed" in why
        assert do(world, steer.guarded_batches, [1]) == []


def test_a_batch_whose_enqueuer_is_gone_is_over_when_its_jobs_are(world):
    world.add("a")
    assert not do(world, progress, world.batch_id).abandoned
    with transaction(world.engine) as conn:
        conn.execute(update(Batch).values(fed_at=db_time(-61)))
    now = do(world, progress, world.batch_id)
    assert now.abandoned and not now.finished
    do(world, feed, world.batch_id)
    assert not do(world, progress, world.batch_id).abandoned
    with transaction(world.engine) as conn:
        conn.execute(update(Batch).values(fed_at=db_time(-61)))
    (job,) = world.claim("me")
    do(world, jobs.finish, "me", [jobs.Finished(job_id=job.job_id, fence=1, state=JobState.DONE)])
    assert do(world, progress, world.batch_id).finished
    # one that is whole is not abandoned, however long ago
    do(world, seal, world.batch_id)
    assert not do(world, progress, world.batch_id).abandoned


def test_what_waits_for_its_next_try_is_neither_claimed_nor_sent(world):
    world.add("a", "b")
    job, _ = world.claim("me")
    fail(world, job, retryable=True, delay_s=60.0)
    do(world, jobs.release, "me", [(2, 1)])
    assert do(world, sweep, resend_after_s=60, room=9) == [2]
    assert [claimed.job_id for claimed in world.claim("me")] == [2]
    assert do(world, waiting_checkpoints) == [(world.checkpoint_id, "c1")]
    do(world, steer.cancel, Filter(ids=[1]))
    assert do(world, waiting_checkpoints) == []


def test_claims_choose_by_version_urgency_and_suspicion(world):
    world.add("a", "b", priority=5)
    world.add("c")
    (late,) = world.claim("dead", ids=[1])
    do(world, jobs.lose, "dead", [late.lease], "It was killed.")

    def claim(**which):
        more = {"owner": "me", "checkpoint_id": world.checkpoint_id, "lease_s": 60, "limit": 9}
        found = do(world, jobs.claim, None, **more, **which)
        do(world, jobs.release, "me", [job.lease for job in found])
        return [job.job_id for job in found]

    assert claim() == [3, 1, 2]
    assert claim(before_priority=5) == [3]
    assert claim(is_suspect=True) == [1]
    assert claim(is_suspect=False) == [3, 2]
    assert claim(version_ids=[]) == []
    assert claim(version_ids=[world.version_id]) == [3, 1, 2]
    assert do(world, jobs.left, [1, 2]) == [(1, world.version_id, True), (2, world.version_id, False)]


def test_workers_are_alive_silent_or_ended(world):
    report = roster.Report(in_hand=3, num_documents=40, num_fenced=1, documents_per_s=2.5)
    for name in ("a", "b", "c"):
        do(
            world,
            roster.sign_on,
            name,
            checkpoint_id=world.checkpoint_id,
            device="cpu",
            version="1",
            concurrency=2,
        )
    do(world, roster.report, "a", report)
    do(world, roster.sign_off, "b", report)
    with transaction(world.engine) as conn:
        conn.execute(update(Worker).where(Worker.name == "c").values(seen_at=db_time(-46)))
    with reading(world.engine) as conn:
        assert [(w.name, roster.state(w)) for w in roster.list_workers(conn)] == [
            ("a", "alive"),
            ("c", "silent"),
        ]
        everyone = roster.list_workers(conn, ended=True)
    assert [roster.state(w) for w in everyone] == ["alive", "ended", "silent"]
    first = everyone[0]
    assert (first.in_hand, first.num_documents, first.num_fenced, first.documents_per_s) == (3, 40, 1, 2.5)
    with transaction(world.engine) as conn:
        conn.execute(update(Worker).where(Worker.name == "c").values(seen_at=db_time(-8 * 86_400)))
    do(
        world,
        roster.sign_on,
        "d",
        checkpoint_id=world.checkpoint_id,
        device="cpu",
        version="1",
        concurrency=2,
    )
    with reading(world.engine) as conn:
        assert [w.name for w in roster.list_workers(conn, ended=True)] == ["a", "b", "d"]
