import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from workers.store.jobs import Failure, Finished, claim, fail_or_retry, finish, heartbeat, release
from workers.store.models import JobState
from workers.store.session import transaction
from workers.store.sweep import expire, mark_sent, reset, sweep
from workers.store.types import db_time

DONE = JobState.DONE


def finish_all(world, owner, jobs, state=DONE):
    with transaction(world.engine) as conn:
        return finish(
            conn, owner, [Finished(job_id=job.job_id, fence=job.fence, state=state) for job in jobs]
        )


def test_a_claim_gives_the_text_and_takes_the_most_urgent_first(world):
    world.add("late", priority=5)
    world.add("soon", priority=1)
    first, second = world.claim("me")
    assert (first.text, second.text) == ("soon", "late")
    assert (first.fence, first.failures, first.origin) == (1, 0, "1/1.txt")
    assert world.job(first.job_id).lease_owner == "me"
    assert world.claim("you") == []


def test_a_claim_takes_only_the_ids_it_was_given_and_no_more_than_its_limit(world):
    ids = [added.job_id for added in world.add("a", "b", "c", "d")]
    assert [job.job_id for job in world.claim("me", ids=ids[2:])] == ids[2:]
    assert [job.job_id for job in world.claim("me", limit=1)] == ids[:1]
    assert world.claim("me", ids=[]) == []


def test_a_claim_takes_only_jobs_of_its_checkpoint(world):
    world.add("a")
    with transaction(world.engine) as conn:
        other = claim(conn, None, owner="me", checkpoint_id=world.checkpoint_id + 1, lease_s=60, limit=9)
    assert other == []


def test_owners_at_once_never_take_the_same_job(world):
    num_jobs = 200
    world.add(*(f"text {number}" for number in range(num_jobs)))

    def work(owner: str) -> list[int]:
        mine: list[int] = []
        while jobs := world.claim(owner, limit=7):
            mine += finish_all(world, owner, jobs)
        return mine

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(work, ["w0", "w1", "w2", "w3"]))
    done = [job_id for share in shares for job_id in share]
    assert len(done) == len(set(done)) == num_jobs


def test_a_late_finisher_is_refused(world):
    world.add("a")
    late = world.claim("slow", lease_s=-1)
    with transaction(world.engine) as conn:
        assert expire(conn) == (1, 0)
    again = world.claim("quick")
    assert again[0].fence == late[0].fence + 1
    assert finish_all(world, "slow", late) == set()
    # the number alone keeps a late claim of the same owner out
    assert finish_all(world, "quick", late) == set()
    assert finish_all(world, "slow", again) == set()
    assert finish_all(world, "quick", again) == {again[0].job_id}
    assert finish_all(world, "quick", again) == set()
    assert world.job(late[0].job_id).state == DONE


def test_a_heartbeat_holds_every_lease_of_its_owner(world):
    world.add("a", "b", "c")
    held = world.claim("me", lease_s=0.2, limit=2)
    world.claim("you", lease_s=0.2)
    with transaction(world.engine) as conn:
        assert heartbeat(conn, "me", 60) == 2
    time.sleep(0.3)
    with transaction(world.engine) as conn:
        assert expire(conn) == (1, 0)
    assert finish_all(world, "me", held) == {job.job_id for job in held}


def test_a_released_job_is_queued_again_without_a_failure(world):
    world.add("a")
    (job,) = world.claim("me")
    with transaction(world.engine) as conn:
        assert release(conn, "you", [job.lease]) == set()
        assert release(conn, "me", [job.lease]) == {job.job_id}
    row = world.job(job.job_id)
    assert (row.state, row.failures, row.attempts, row.lease_owner, row.enqueued_at) == (
        "queued",
        0,
        1,
        None,
        None,
    )


def fail(world, job, *, retryable):
    failure = Failure(
        job_id=job.job_id, fence=job.fence, error_code="device", error="Out of memory.", retryable=retryable
    )
    with transaction(world.engine) as conn:
        return fail_or_retry(conn, "me", [failure], max_failures=2)


def test_a_transient_error_is_tried_again_until_the_limit(world):
    world.add("a")
    (job,) = world.claim("me")
    assert fail(world, job, retryable=True) == {job.job_id}
    assert world.job(job.job_id).state == "queued"
    (job,) = world.claim("me")
    assert job.failures == 1
    fail(world, job, retryable=True)
    row = world.job(job.job_id)
    assert (row.state, row.error_code, row.error, row.failures) == ("failed", "device", "Out of memory.", 2)
    assert row.finished_at is not None


def test_a_terminal_error_fails_at_once(world):
    world.add("a")
    (job,) = world.claim("me")
    assert fail(world, job, retryable=False) == {job.job_id}
    assert world.job(job.job_id).state == "failed"
    assert fail(world, job, retryable=False) == set()


def test_a_job_whose_workers_go_silent_three_times_is_failed(world):
    (added,) = world.add("a")
    for losses in (1, 2, 3):
        world.claim("me", lease_s=-1)
        with transaction(world.engine) as conn:
            expire(conn)
        row = world.job(added.job_id)
        assert (row.losses, row.failures, row.error_code) == (losses, 0, "worker_lost")
    assert (row.state, row.fence) == ("failed", 3)
    assert "died over it 3 times" in row.error


def swept(world, resend_after_s=60.0, room=100, **more):
    with transaction(world.engine) as conn:
        return sweep(conn, resend_after_s=resend_after_s, room=room, **more)


def test_the_sweep_sends_what_has_no_recent_message(world):
    ids = [added.job_id for added in world.add("a", "b", "c")]
    with transaction(world.engine) as conn:
        mark_sent(conn, ids[:1])
    assert swept(world, room=1) == ids[1:2]
    assert swept(world) == ids[2:]
    assert swept(world) == []
    # every message was lost
    assert swept(world, resend_after_s=-1) == ids


def test_the_sweep_sends_expired_jobs_and_those_of_one_checkpoint_only(world):
    ids = [added.job_id for added in world.add("a")]
    assert swept(world) == ids
    world.claim("me", lease_s=-1)
    assert swept(world, checkpoint_id=world.checkpoint_id + 1) == []
    assert swept(world, checkpoint_id=world.checkpoint_id) == ids


def test_a_lone_worker_takes_all_leases_back(world):
    world.add("a", "b")
    world.claim("dead")
    with transaction(world.engine) as conn:
        assert reset(conn) == 2
    assert len(world.claim("me")) == 2


@pytest.mark.parametrize("offset_s", [-90.5, 0.0, 3600.0])
def test_the_clock_is_the_databases_and_in_utc(world, offset_s):
    with transaction(world.engine) as conn:
        read = conn.execute(select(db_time(offset_s))).scalar_one()
    assert abs(read - datetime.now(UTC) - timedelta(seconds=offset_s)) < timedelta(seconds=2)
