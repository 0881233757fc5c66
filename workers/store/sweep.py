"""The sweep: repairs what crashes, lost messages and lost workers left behind, from the jobs table alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, null, select, update

from workers.store.jobs import LEASED, QUEUED, is_due, lost
from workers.store.models import CheckpointRow, Job, JobState
from workers.store.session import in_chunks
from workers.store.types import db_time


class Expired(NamedTuple):
    """What became of the jobs whose lease ran out."""

    num_queued: int
    num_failed: int


def expire(conn: Connection) -> Expired:
    """Queue jobs again whose lease ran out; fail those whose workers went silent too often."""
    late = _locked(
        select(Job.id).where(Job.state == LEASED, Job.lease_until < db_time()).order_by(Job.id), "late"
    )
    silent = lost("It went silent for longer than the lease.")
    statement = update(Job).where(Job.id == late.c.id).values(silent)
    states = conn.execute(statement.returning(Job.state)).scalars().all()
    return Expired(states.count(JobState.QUEUED), states.count(JobState.FAILED))


def sweep(
    conn: Connection,
    *,
    resend_after_s: float,
    room: int,
    checkpoint_id: int | None = None,
) -> list[int]:
    """Expire leases, then note up to `room` jobs without a recent message; their ids, to send after commit.

    New jobs have no message noted, so this is the outbox too: a crash between commit and send loses nothing.
    """
    expire(conn)
    unsent = Job.enqueued_at.is_(None) | (Job.enqueued_at < db_time(-resend_after_s))
    query = select(Job.id).where(Job.state == QUEUED, unsent, is_due())
    if checkpoint_id is not None:
        query = query.where(Job.checkpoint_id == checkpoint_id)
    chosen = _locked(query.order_by(Job.priority, Job.id).limit(room), "chosen")
    statement = update(Job).where(Job.id == chosen.c.id).values(enqueued_at=db_time())
    rows = conn.execute(statement.returning(Job.priority, Job.id)).all()
    return [job_id for _, job_id in sorted(rows)]


def mark_sent(conn: Connection, ids: Sequence[int]) -> None:
    """Note that a message with these ids is on its way, so that the sweep leaves them for a while."""
    for chunk in in_chunks(ids):
        queued = update(Job).where(Job.id.in_(chunk), Job.state == QUEUED)
        conn.execute(queued.values(enqueued_at=db_time()))


def mark_unsent(conn: Connection, ids: Sequence[int]) -> None:
    """Take the note back: the message could not be sent or nobody could use it, and the next sweep sends it."""
    for chunk in in_chunks(ids):
        queued = update(Job).where(Job.id.in_(chunk), Job.state == QUEUED)
        conn.execute(queued.values(enqueued_at=null()))


def reset(conn: Connection) -> int:
    """Take back every lease: only for a process that knows it is the store's only worker; how many."""
    ended = lost("It ended without giving it back.")
    return conn.execute(update(Job).where(Job.state == LEASED).values(ended)).rowcount


def waiting_checkpoints(conn: Connection) -> list[tuple[int, str]]:
    """(id, digest) of the checkpoints that have queued jobs."""
    queued = select(Job.id).where(Job.state == QUEUED, Job.checkpoint_id == CheckpointRow.id).limit(1)
    query = select(CheckpointRow.id, CheckpointRow.digest).where(queued.exists())
    return [(row.id, row.digest) for row in conn.execute(query)]


def _locked(query: Select[int], name: str) -> Any:
    # a row that is locked is being finished or claimed just now
    return query.with_for_update(skip_locked=True).cte(name)
