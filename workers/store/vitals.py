"""How the queue is doing, from indexes alone: asked every few seconds, with a million jobs queued too."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from workers.store import roster
from workers.store.jobs import LEASED, QUEUED
from workers.store.models import CheckpointRow, Job
from workers.store.types import db_time


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Jobs of one priority that are queued."""

    num: int
    # since the oldest of them could have been taken; negative if it must still wait for its next try
    age_s: float


NONE_WAITING = Waiting(num=0, age_s=0.0)


@dataclass(kw_only=True)
class Vitals:
    """What waits for a checkpoint, and who works with it."""

    name: str
    digest: str
    waiting: dict[int, Waiting] = field(default_factory=dict)
    num_leased: int = 0
    # leases that have ended and that nobody took back yet
    num_overdue: int = 0
    # workers by their state on the roster
    workers: dict[str, int] = field(default_factory=dict)


def read(conn: Connection) -> Sequence[Vitals]:
    """The vitals of every checkpoint that was ever used."""
    checkpoints = conn.execute(select(CheckpointRow.id, CheckpointRow.name, CheckpointRow.digest))
    found = {row.id: Vitals(name=row.name, digest=row.digest) for row in checkpoints}
    _add_waiting(conn, found)
    held = select(Job.checkpoint_id, func.count(), func.count().filter(Job.lease_until < db_time())).where(
        Job.state == LEASED
    )
    for checkpoint_id, num, num_overdue in conn.execute(held.group_by(Job.checkpoint_id)):
        found[checkpoint_id].num_leased, found[checkpoint_id].num_overdue = num, num_overdue
    for worker in roster.list_workers(conn):
        states, state = found[worker.checkpoint_id].workers, roster.state(worker)
        states[state] = states.get(state, 0) + 1
    return list(found.values())


def _add_waiting(conn: Connection, found: dict[int, Vitals]) -> None:
    counts = (
        select(Job.checkpoint_id, Job.priority, func.count().label("num"), func.min(Job.id).label("first"))
        .where(Job.state == QUEUED)
        .group_by(Job.checkpoint_id, Job.priority)
        .subquery()
    )
    # the clock of the database, as the times are its own
    since = func.coalesce(Job.retry_at, Job.created_at, type_=Job.created_at.type)
    query = select(counts, since.label("since"), db_time().label("now")).join(Job, Job.id == counts.c.first)
    for row in conn.execute(query):
        age_s = (row.now - row.since).total_seconds()
        found[row.checkpoint_id].waiting[row.priority] = Waiting(num=row.num, age_s=age_s)
