import pytest
from sqlalchemy import event, update

from workers.store import jobs, roster, steer, vitals
from workers.store.batches import BACKFILL, LIVE
from workers.store.models import Job, JobState, Worker
from workers.store.session import reading, transaction
from workers.store.steer import Filter
from workers.store.types import db_time


def look(world) -> vitals.Vitals:
    with reading(world.engine) as conn:
        (only,) = vitals.read(conn)
    return only


def change(world, *job_ids: int, **values) -> None:
    with transaction(world.engine) as conn:
        conn.execute(update(Job).where(Job.id.in_(job_ids)).values(**values))


def test_what_waits_is_counted_by_priority_with_the_age_of_the_oldest(world) -> None:
    live = [added.job_id for added in world.add("a", "b", "c")]
    world.add("d", priority=BACKFILL)
    change(world, live[0], created_at=db_time(-300))
    found = look(world)
    assert (found.name, found.digest) == ("small", "c1")
    assert (found.waiting[LIVE].num, found.waiting[BACKFILL].num) == (3, 1)
    assert found.waiting[LIVE].age_s == pytest.approx(300, abs=20)
    assert 0 <= found.waiting[BACKFILL].age_s < 20
    world.claim("me", limit=4)
    assert look(world).waiting == {}


def test_a_job_that_waits_for_its_next_try_is_not_old(world) -> None:
    (added,) = world.add("a")
    change(world, added.job_id, created_at=db_time(-300), retry_at=db_time(60))
    assert look(world).waiting[LIVE].age_s < 0


def test_a_job_that_is_tried_again_waits_from_then_on(world) -> None:
    world.add("a")
    (job,) = world.claim("me")
    change(world, job.job_id, created_at=db_time(-300))
    failure = jobs.Failure(job_id=job.job_id, fence=job.fence, error_code="x", error="X.", retryable=False)
    with transaction(world.engine) as conn:
        jobs.fail_or_retry(conn, "me", [failure])
        assert steer.retry(conn, Filter(ids=[job.job_id])) == [job.job_id]
    assert look(world).waiting[LIVE].age_s < 20
    assert [again.job_id for again in world.claim("me")] == [job.job_id]


def test_leases_and_those_that_nobody_took_back(world) -> None:
    world.add("a", "b", "c")
    held = world.claim("me", limit=2)
    change(world, held[0].job_id, lease_until=db_time(-1))
    found = look(world)
    assert (found.num_leased, found.num_overdue) == (2, 1)
    assert {world.job(job.job_id).state for job in held} == {JobState.LEASED}


def test_workers_are_counted_by_their_state(world) -> None:
    more = {"checkpoint_id": world.checkpoint_id, "device": "cpu", "version": "1", "concurrency": 2}
    with transaction(world.engine) as conn:
        for name in ("a:1:x", "a:2:x", "a:3:x"):
            roster.sign_on(conn, name, **more)
        conn.execute(update(Worker).where(Worker.name == "a:2:x").values(seen_at=db_time(-100)))
        conn.execute(update(Worker).where(Worker.name == "a:3:x").values(ended_at=db_time()))
    assert look(world).workers == {"alive": 1, "silent": 1}


def test_jobs_are_counted_by_indexes_alone(sqlite_store) -> None:
    asked = []
    event.listen(sqlite_store, "before_cursor_execute", lambda *said: asked.append(said[2:4]))
    with reading(sqlite_store) as conn:
        vitals.read(conn)
    of_jobs = [(sql, values) for sql, values in asked if "jobs" in sql]
    assert len(of_jobs) == 2
    with reading(sqlite_store) as conn:
        plans = [
            [row.detail for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            for sql, values in of_jobs
        ]
    assert any("INDEX ix_jobs_queued" in step for step in plans[0]), plans[0]
    assert any("INDEX ix_jobs_leased" in step for step in plans[1]), plans[1]
    assert not [step for plan in plans for step in plan if step in ("SCAN jobs", "SCAN TABLE jobs")]
