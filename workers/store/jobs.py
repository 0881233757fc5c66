"""Jobs: claimed with a lease, finished only by who still holds it.

A claim raises the job's fence by one. Whoever finishes names the fence of the claim, so a worker that was
thought dead and comes back late is refused. On PostgreSQL rows are locked with SKIP LOCKED or by their owner
only, so nothing here deadlocks; on SQLite a transaction that writes is alone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    false,
    func,
    literal_column,
    null,
    select,
    tuple_,
    update,
)

from workers.store.models import Batch, BatchEntry, Document, Job, JobState
from workers.store.types import db_time

# literals and not parameters: the planner takes a partial index only if it sees the state
QUEUED: ColumnElement[str] = literal_column(f"'{JobState.QUEUED}'")
LEASED: ColumnElement[str] = literal_column(f"'{JobState.LEASED}'")

# claims that may end in an error worth another try before a job is given up
MAX_FAILURES = 5
# workers that may die over a job before it is given up: it may be what kills them
MAX_LOSSES = 3

# a job id and the fence of the claim
Lease: TypeAlias = tuple[int, int]

UNLEASED = {"lease_owner": null(), "lease_until": null()}
# a job that waits for its next message
WAITING = {"state": JobState.QUEUED.value, "enqueued_at": null(), **UNLEASED}


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A job that is ours until the lease ends, and its text."""

    job_id: int
    fence: int
    document_id: int
    schema_version_id: int
    checkpoint_id: int
    # the newest that waits for it
    batch_id: int | None
    # a record with less confidence is for people to look at, says that batch
    review_below: float | None
    # the lower, the sooner
    priority: int
    # claims that ended in an error worth another try before this one
    failures: int
    origin: str
    text: str

    @property
    def lease(self) -> Lease:
        return self.job_id, self.fence


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A job that came to its end, with the reason if it is not done."""

    job_id: int
    fence: int
    state: JobState
    error_code: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A claim that ended in an error; `retryable` as the error's type says."""

    job_id: int
    fence: int
    error_code: str
    error: str
    retryable: bool
    # seconds until the next try, if there is one
    delay_s: float = 0.0


def claim(
    conn: Connection,
    ids: Sequence[int] | None,
    *,
    owner: str,
    checkpoint_id: int,
    lease_s: float,
    limit: int,
    version_ids: Collection[int] | None = None,
    before_priority: int | None = None,
    is_suspect: bool | None = None,
) -> list[Claimed]:
    """Take up to `limit` queued jobs of this checkpoint whose time has come, the most urgent first.

    If given: only of `ids`, only of these schema versions, only more urgent ones than `before_priority`, only
    those over which a worker died (`is_suspect`) or only others.
    """
    wanted = select(Job.id).where(Job.state == QUEUED, Job.checkpoint_id == checkpoint_id, is_due())
    if ids is not None:
        wanted = wanted.where(Job.id.in_(ids))
    if version_ids is not None:
        wanted = wanted.where(Job.schema_version_id.in_(version_ids))
    if before_priority is not None:
        wanted = wanted.where(Job.priority < before_priority)
    if is_suspect is not None:
        wanted = wanted.where(Job.losses > 0 if is_suspect else Job.losses == 0)
    taken = _take(conn, wanted.order_by(Job.priority, Job.id).limit(limit), owner, lease_s)
    documents = select(Document.id, Document.origin, Document.text).where(
        Document.id.in_([job.document_id for job in taken])
    )
    if not taken:
        return []
    texts = {document.id: document for document in conn.execute(documents)}
    batches = _newest_batches(conn, [job.id for job in taken])
    return [_claimed(job, texts[job.document_id], batches.get(job.id)) for job in taken]


def _newest_batches(conn: Connection, job_ids: Sequence[int]) -> dict[int, Any]:
    """(batch_id, review_below) of the newest batch that waits for each of these jobs."""
    newest = (
        select(BatchEntry.job_id, func.max(BatchEntry.batch_id).label("batch_id"))
        .where(BatchEntry.job_id.in_(job_ids))
        .group_by(BatchEntry.job_id)
        .subquery()
    )
    query = select(newest, Batch.review_below).join(Batch, Batch.id == newest.c.batch_id)
    return {row.job_id: row for row in conn.execute(query)}


def is_due() -> ColumnElement[bool]:
    """Whether a job need not wait any longer for its next try."""
    return Job.retry_at.is_(None) | (Job.retry_at <= db_time())


def _take(conn: Connection, wanted: Select[int], owner: str, lease_s: float) -> list[Any]:
    # SKIP LOCKED so that two workers take different rows; a CTE, so that the limit applies once
    chosen = wanted.with_for_update(skip_locked=True).cte("chosen")
    lease = {"state": JobState.LEASED.value, "lease_owner": owner, "lease_until": db_time(lease_s)}
    counts = {"fence": Job.fence + 1, "attempts": Job.attempts + 1}
    statement = update(Job).where(Job.id == chosen.c.id).values(lease | counts)
    jobs = conn.execute(statement.returning(*Job.__table__.columns)).all()
    return sorted(jobs, key=lambda job: (job.priority, job.id))


def _claimed(job: Any, document: Any, batch: Any) -> Claimed:
    return Claimed(
        job_id=job.id,
        fence=job.fence,
        document_id=job.document_id,
        schema_version_id=job.schema_version_id,
        checkpoint_id=job.checkpoint_id,
        batch_id=batch and batch.batch_id,
        review_below=batch and batch.review_below,
        priority=job.priority,
        failures=job.failures,
        origin=document.origin,
        text=document.text,
    )


def heartbeat(conn: Connection, owner: str, lease_s: float) -> int:
    """Hold every lease of `owner` for `lease_s` from now; how many were held."""
    # a row that is locked is being finished or swept just now, and needs no longer lease
    mine = (
        select(Job.id)
        .where(Job.state == LEASED, Job.lease_owner == owner)
        .with_for_update(skip_locked=True)
        .cte("mine")
    )
    statement = update(Job).where(Job.id == mine.c.id).values(lease_until=db_time(lease_s))
    # sqlite3 counts no rows of a statement that begins with WITH
    return len(conn.execute(statement.returning(Job.id)).all())


def still_held(conn: Connection, owner: str, leases: Sequence[Lease]) -> set[int]:
    """Which of these are still ours: not swept, and not cancelled."""
    held = tuple_(Job.id, Job.fence).in_(leases)
    query = select(Job.id).where(held, Job.state == LEASED, Job.lease_owner == owner)
    return set(conn.execute(query).scalars()) if leases else set()


def cancelled(conn: Connection, ids: Collection[int]) -> set[int]:
    """Which of these nobody wants any more."""
    query = select(Job.id).where(Job.id.in_(ids), Job.state == JobState.CANCELLED.value)
    return set(conn.execute(query).scalars())


def left(conn: Connection, ids: Sequence[int]) -> list[tuple[int, int, bool]]:
    """(id, schema version, whether a worker died over it) of those still queued whose time has come."""
    query = select(Job.id, Job.schema_version_id, Job.losses > 0).where(
        Job.id.in_(ids), Job.state == QUEUED, is_due()
    )
    return [(job_id, version_id, bool(lost)) for job_id, version_id, lost in conn.execute(query)]


def finish(conn: Connection, owner: str, finished: Iterable[Finished]) -> set[int]:
    """End the jobs whose lease is still ours; their ids. Results of others must not be written."""
    groups: dict[tuple[JobState, str | None, str | None], list[Lease]] = {}
    for job in finished:
        groups.setdefault((job.state, job.error_code, job.error), []).append((job.job_id, job.fence))
    ours: set[int] = set()
    for (state, error_code, error), leases in groups.items():
        end = {"state": state.value, "error_code": error_code, "error": error, "finished_at": db_time()}
        ours |= _update_held(conn, owner, leases, end | UNLEASED)
    return ours


def release_all(conn: Connection, owners: Collection[str]) -> int:
    """Give back every claim of these owners, as when the process must end at once; how many."""
    statement = update(Job).where(Job.state == LEASED, Job.lease_owner.in_(owners)).values(WAITING)
    return conn.execute(statement).rowcount if owners else 0


def release(conn: Connection, owner: str, leases: Iterable[Lease]) -> set[int]:
    """Give claims back unfinished, as at a shutdown; the ids that were still ours."""
    return _update_held(conn, owner, list(leases), WAITING)


def fail_or_retry(
    conn: Connection, owner: str, failures: Iterable[Failure], *, max_failures: int = MAX_FAILURES
) -> set[int]:
    """Queue retryable ones again until `max_failures`, fail the others; the ids that were still ours."""
    ours: set[int] = set()
    for failure in failures:
        again = Job.failures + 1 < max_failures if failure.retryable else false()
        reason = {
            "error_code": failure.error_code,
            "error": failure.error,
            "retry_at": case((again, db_time(failure.delay_s)), else_=null()),
        }
        ours |= _update_held(conn, owner, [(failure.job_id, failure.fence)], _ended(again) | reason)
    return ours


def lose(conn: Connection, owner: str, leases: Iterable[Lease], said: str) -> set[int]:
    """Note that the worker is about to end over these claims; the ids that were still ours."""
    return _update_held(conn, owner, list(leases), lost(said))


def lost(said: str) -> dict[str, Any]:
    """The columns of a job whose worker died over it: queued to be tried alone, or failed as the likely cause."""
    again = Job.losses + 1 < MAX_LOSSES
    poison = f"Its worker died over it {MAX_LOSSES} times: {said} `gleaner jobs retry` tries it once more."
    return _ended(again) | {
        "failures": Job.failures,
        "losses": Job.losses + 1,
        "retry_at": null(),
        "error_code": "worker_lost",
        "error": case((again, said), else_=poison),
    }


def _ended(again: ColumnElement[bool]) -> dict[str, Any]:
    """The columns of a job whose claim ended in an error, queued again or failed."""
    return UNLEASED | {
        "state": case((again, JobState.QUEUED.value), else_=JobState.FAILED.value),
        "failures": Job.failures + 1,
        "enqueued_at": null(),
        "finished_at": case((again, null()), else_=db_time()),
    }


def _update_held(conn: Connection, owner: str, leases: Sequence[Lease], values: dict[str, Any]) -> set[int]:
    if not leases:
        return set()
    held = tuple_(Job.id, Job.fence).in_(leases)
    statement = update(Job).where(held, Job.state == LEASED, Job.lease_owner == owner).values(values)
    return set(conn.execute(statement.returning(Job.id)).scalars())
