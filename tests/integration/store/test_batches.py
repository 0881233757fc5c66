from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.errors import ConfigurationError
from workers.engine.protocol import Checkpoint
from workers.store.batches import Added, NewEntry, Outcome, add_entries, open_batch, seal
from workers.store.documents import NewDocument, put_documents
from workers.store.jobs import Finished, finish
from workers.store.models import BatchEntry, Document, Job, JobState
from workers.store.progress import failures_by_reason, list_batches, progress
from workers.store.session import reading, transaction
from workers.store.versions import list_versions, put_checkpoint, put_schema_version


def end_next(world, state, error_code=None, error=None, ids=None):
    (job,) = world.claim("me", limit=1, ids=ids)
    ended = Finished(job_id=job.job_id, fence=job.fence, state=state, error_code=error_code, error=error)
    with transaction(world.engine) as conn:
        finish(conn, "me", [ended])


def outcomes(added):
    return [one.outcome for one in added]


def new_batch(world):
    with transaction(world.engine) as conn:
        return open_batch(conn, world.version_id, world.checkpoint_id)


def read(world, batch_id=None):
    with reading(world.engine) as conn:
        return progress(conn, batch_id or world.batch_id)


def test_documents_are_stored_once_and_ids_come_in_order(world):
    world.add("b", "a", "b", "c")
    assert world.count(Document) == 3
    assert world.count(Job) == 3
    assert world.count(BatchEntry) == 4
    assert outcomes(world.add("a", "d")) == [Outcome.SHARED, Outcome.NEW]


def test_the_same_content_twice_is_two_entries_and_one_job(world):
    first, second = world.add("a", "a")
    assert first.job_id == second.job_id
    assert outcomes([first, second]) == [Outcome.NEW, Outcome.SHARED]
    end_next(world, JobState.DONE)
    assert read(world).done == 2


def test_what_is_extracted_is_not_sent_again(world):
    world.add("a", "b")
    end_next(world, JobState.DONE)
    end_next(world, JobState.REVIEW)
    second = new_batch(world)
    added = world.add("a", "b", "c", batch_id=second)
    assert outcomes(added) == [Outcome.ALREADY_DONE, Outcome.ALREADY_DONE, Outcome.NEW]
    now = read(world, second)
    assert (now.already_done, now.done, now.review, now.queued, now.total) == (2, 0, 0, 1, 3)


def test_what_failed_is_queued_again_with_fresh_counts(world):
    (added,) = world.add("a")
    end_next(world, JobState.FAILED, "device", "Out of memory.")
    again = world.add("a", "a", batch_id=new_batch(world))
    assert outcomes(again) == [Outcome.AGAIN, Outcome.SHARED]
    row = world.job(added.job_id)
    assert (row.state, row.attempts, row.error_code, row.finished_at, row.fence) == (
        "queued",
        0,
        None,
        None,
        1,
    )


def test_an_unreadable_document_is_a_failed_job_with_its_reason(world):
    (added,) = world.add(None)
    row = world.job(added.job_id)
    assert (row.state, row.error_code, row.error) == ("failed", "empty_document", "There is no text in it.")
    assert row.finished_at is not None
    assert outcomes(world.add(None)) == [Outcome.UNREADABLE]
    assert not added.outcome.to_send
    assert world.claim("me") == []


def test_a_document_that_can_be_read_at_last_gets_its_text(world):
    (failed,) = world.add(None)
    with transaction(world.engine) as conn:
        row = conn.execute(select(Document.__table__)).one()
        now = NewDocument(content_hash=row.content_hash, origin="b.txt", media_type="text/plain", text="now")
        healed = put_documents(conn, [now])
    assert healed == [row.id]
    with transaction(world.engine) as conn:
        entry = NewEntry(position=9, origin="b.txt", document_id=row.id)
        assert add_entries(conn, world.batch_id, [entry]) == [Added(failed.job_id, Outcome.AGAIN)]
    with reading(world.engine) as conn:
        text, error_code = conn.execute(
            select(Document.text, Document.error_code).where(Document.id == row.id)
        ).one()
    assert (text, error_code) == ("now", None)


def test_progress_counts_each_entry_once(world):
    world.add("a", "b", "c", "d", "e", None, "a")
    end_next(world, JobState.DONE)
    end_next(world, JobState.REVIEW, "invalid", "total is missing")
    end_next(world, JobState.FAILED, "grammar", "refused")
    world.claim("me", limit=1)
    now = read(world)
    assert (now.done, now.review, now.failed, now.leased, now.queued) == (2, 1, 2, 1, 1)
    assert now.total == 7
    assert not now.finished
    with reading(world.engine) as conn:
        reasons = [
            (reason.state, reason.code, reason.count) for reason in failures_by_reason(conn, world.batch_id)
        ]
    assert sorted(reasons) == [
        ("failed", "empty_document", 1),
        ("failed", "grammar", 1),
        ("review", "invalid", 1),
    ]


def test_a_sealed_batch_without_open_jobs_is_finished(world):
    assert not read(world).finished
    with transaction(world.engine) as conn:
        seal(conn, world.batch_id)
    now = read(world)
    assert (now.total, now.sealed, now.finished) == (0, True, True)
    assert (now.schema, now.checkpoint) == ("invoice", "small")


def test_batches_are_listed_the_newest_first(world):
    world.add("a")
    second = new_batch(world)
    world.add("a", "b", batch_id=second)
    with reading(world.engine) as conn:
        listed = [(one.batch_id, one.total) for one in list_batches(conn)]
        assert [one.batch_id for one in list_batches(conn, limit=1)] == [second]
    assert listed == [(second, 2), (world.batch_id, 1)]


def test_a_batch_that_does_not_exist_is_an_error(world):
    with pytest.raises(ConfigurationError, match="no batch 4711"):
        read(world, 4711)


def test_versions_and_checkpoints_are_stored_once(world):
    with transaction(world.engine) as conn:
        assert put_schema_version(conn, world.version("v1")) == world.version_id
        other = put_schema_version(conn, world.version("v2"))
        assert other != world.version_id
        assert (other, "invoice", "v2", {}) in list_versions(conn)
        assert put_checkpoint(conn, Checkpoint(name="moved", digest="c1")) == world.checkpoint_id


def test_two_batches_filled_at_once_share_their_jobs(world):
    texts = [f"text {number}" for number in range(300)]
    batches = [new_batch(world) for _ in range(4)]

    def fill(batch_id: int) -> None:
        # each in its own order
        order = texts[batch_id * 10 :] + texts[: batch_id * 10]
        for start in range(0, len(order), 50):
            world.add(*order[start : start + 50], batch_id=batch_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, batches))
    assert (world.count(Document), world.count(Job)) == (300, 300)
    assert all(read(world, batch_id).total == 300 for batch_id in batches)


ENDS = [JobState.DONE, JobState.REVIEW, JobState.FAILED]
TEXTS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=4)
STEPS = st.lists(TEXTS | st.sampled_from(ENDS) | st.just("new batch"), max_size=12)
EXAMPLES = count()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_the_ledger_adds_up(world, steps):
    # the store outlives an example, so each has texts of its own
    example = next(EXAMPLES)
    expected = {new_batch(world): 0}
    job_ids: set[int] = set()
    for step in steps:
        batch_id = max(expected)
        if step == "new batch":
            expected[new_batch(world)] = 0
        elif isinstance(step, list):
            texts = [text and f"{example} {text}" for text in step]
            added = world.add(*texts, batch_id=batch_id)
            job_ids |= {one.job_id for one in added}
            expected[batch_id] += len(step)
        elif progress_open(world, expected):
            end_next(world, step, "reason", "why", ids=sorted(job_ids))
        assert {known: read(world, known).total for known in expected} == expected


def progress_open(world, batch_ids):
    return any(read(world, batch_id).queued for batch_id in batch_ids)
