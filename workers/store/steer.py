"""What people do to jobs: list them, cancel them, try them again, stop a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, null, select, update

from workers.store.jobs import UNLEASED, WAITING
from workers.store.models import Batch, BatchEntry, CheckpointRow, Document, Extraction, Job, JobState
from workers.store.models import SchemaVersion as Version
from workers.store.session import Exclusive, wait_for_turn
from workers.store.types import db_time

_OPEN = (JobState.QUEUED, JobState.LEASED)
# circuits are judged by this many ended documents at least, unless the limit is passed for certain
_ENOUGH = 50

# what a job is given when it is to start anew
FRESH = {
    "attempts": 0,
    "failures": 0,
    "losses": 0,
    # from now on it waits
    "retry_at": db_time(),
    "error_code": null(),
    "error": null(),
    "finished_at": null(),
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which jobs; what is None or empty takes all."""

    ids: Sequence[int] = ()
    batch_id: int | None = None
    states: Sequence[JobState] = ()
    error_code: str | None = None
    schema: str | None = None

    @property
    def is_empty(self) -> bool:
        return not any((self.ids, self.batch_id, self.states, self.error_code, self.schema))

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """The conditions on `jobs`."""
        if self.ids:
            yield Job.id.in_(self.ids)
        if self.batch_id is not None:
            yield Job.id.in_(select(BatchEntry.job_id).where(BatchEntry.batch_id == self.batch_id))
        if self.states:
            yield Job.state.in_([state.value for state in self.states])
        if self.error_code:
            yield Job.error_code == self.error_code
        if self.schema:
            yield Job.schema_version_id.in_(select(Version.id).where(Version.name == self.schema))


def list_jobs(conn: Connection, which: Filter, *, limit: int | None) -> list[Row[Any]]:
    """Jobs with their schema, checkpoint and origin, the newest first."""
    query = (
        select(
            Job.__table__,
            Version.name.label("schema"),
            Version.digest.label("schema_digest"),
            CheckpointRow.name.label("checkpoint"),
            Document.origin,
            Document.num_chars,
        )
        .join(Version, Version.id == Job.schema_version_id)
        .join(CheckpointRow, CheckpointRow.id == Job.checkpoint_id)
        .join(Document, Document.id == Job.document_id)
        .where(*which.conditions())
        .order_by(Job.id.desc())
        .limit(limit)
    )
    return list(conn.execute(query))


def batches_of(conn: Connection, job_id: int) -> list[int]:
    """The batches that a job belongs to."""
    query = select(BatchEntry.batch_id).where(BatchEntry.job_id == job_id).distinct()
    return sorted(conn.execute(query).scalars())


def extraction_of(conn: Connection, job_id: int) -> Row[Any] | None:
    """What came of a job, None if it is not done or in review."""
    return conn.execute(select(Extraction.__table__).where(Extraction.job_id == job_id)).one_or_none()


def cancel(conn: Connection, which: Filter, why: str = "It was cancelled.") -> list[int]:
    """End open jobs; what works on one notices at its next step, and its result is refused."""
    # a batch that is just being enqueued may find one of these jobs and count on it
    wait_for_turn(conn, Exclusive.ENQUEUE)
    return _cancel(conn, *which.conditions(), why=why)


def _cancel(conn: Connection, *conditions: ColumnElement[bool], why: str) -> list[int]:
    end = {
        "state": JobState.CANCELLED.value,
        "error_code": "cancelled",
        "error": why,
        "finished_at": db_time(),
    }
    statement = update(Job).where(Job.state.in_(_OPEN), *conditions).values(end | UNLEASED)
    return list(conn.execute(statement.returning(Job.id)).scalars())


def retry(conn: Connection, which: Filter) -> list[int]:
    """Queue failed and cancelled jobs once more as if they were new; a document without text stays failed.

    Batches of theirs that were stopped go on.
    """
    readable = select(Document.id).where(Document.id == Job.document_id, Document.text.is_not(None))
    again = update(Job).where(
        Job.state.in_([JobState.FAILED, JobState.CANCELLED]), readable.exists(), *which.conditions()
    )
    ids = list(conn.execute(again.values(WAITING | FRESH).returning(Job.id)).scalars())
    if ids:
        theirs = select(BatchEntry.batch_id).join(Job, Job.id == BatchEntry.job_id).where(*which.conditions())
        go_on = update(Batch).where(Batch.stopped_at.is_not(None), Batch.id.in_(theirs))
        conn.execute(go_on.values(stopped_at=null(), stopped_why=null()))
    return ids


def stop_batch(conn: Connection, batch_id: int, why: str) -> int:
    """Cancel what is open of a batch and no other batch waits for; how many jobs."""
    wait_for_turn(conn, Exclusive.ENQUEUE)
    stopped = update(Batch).where(Batch.id == batch_id, Batch.stopped_at.is_(None))
    conn.execute(stopped.values(stopped_at=db_time(), stopped_why=why))
    mine = select(BatchEntry.job_id).where(BatchEntry.batch_id == batch_id)
    others = (
        select(BatchEntry.job_id)
        .join(Batch, Batch.id == BatchEntry.batch_id)
        .where(BatchEntry.job_id == Job.id, Batch.id != batch_id, Batch.stopped_at.is_(None))
    )
    return len(_cancel(conn, Job.id.in_(mine), ~others.exists(), why=why))


def stopped_why(conn: Connection, batch_id: int) -> str | None:
    """Why a batch was cancelled or stopped by its failures; None if it goes on."""
    return conn.execute(select(Batch.stopped_why).where(Batch.id == batch_id)).scalar_one()


def is_stopped(conn: Connection, batch_id: int) -> bool:
    """Whether a batch was cancelled or stopped by its failures."""
    return stopped_why(conn, batch_id) is not None


def guarded_batches(conn: Connection, job_ids: Sequence[int]) -> list[int]:
    """The batches of these jobs that are to be stopped by their failures and are not."""
    query = (
        select(Batch.id)
        .join(BatchEntry, BatchEntry.batch_id == Batch.id)
        .where(BatchEntry.job_id.in_(job_ids), Batch.max_failures.is_not(None), Batch.stopped_at.is_(None))
        .distinct()
    )
    return sorted(conn.execute(query).scalars())


def stop_if_failing(conn: Connection, batch_id: int) -> str | None:
    """Stop the batch if more than its share has failed; the reason if so."""
    batch = conn.execute(select(Batch.__table__).where(Batch.id == batch_id)).one()
    if batch.max_failures is None or batch.stopped_at is not None:
        return None
    states = (
        select(Job.state, func.count())
        .join(BatchEntry, BatchEntry.job_id == Job.id)
        .where(BatchEntry.batch_id == batch_id)
        .group_by(Job.state)
    )
    counts = {JobState(state): num for state, num in conn.execute(states)}
    failed, total = counts.get(JobState.FAILED, 0), sum(counts.values())
    num_open = sum(counts.get(state, 0) for state in _OPEN)
    certain = batch.sealed_at is not None and failed > batch.max_failures * total
    likely = total - num_open >= _ENOUGH and failed > batch.max_failures * (total - num_open)
    if not num_open or not (certain or likely):
        return None
    why = (
        f"The batch was stopped: {failed} of {total - num_open} documents failed, "
        f"more than the {batch.max_failures:.0%} of --max-failures."
    )
    stop_batch(conn, batch_id, why)
    return why
