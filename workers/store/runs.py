"""Runs: claimed with a lease on their pipeline, and written to only by who still holds it.

A claim raises the pipeline's fence by one, so a reader that was thought dead and comes back late is refused. Whoever
writes locks the pipeline's row first, so nothing here deadlocks.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from schemas.errors import RunTakenError
from workers.store.batches import feed, seal
from workers.store.jobs import UNLEASED
from workers.store.models import Pipeline, Run, RunState
from workers.store.pipelines import waiting
from workers.store.types import db_time

_BROKE_OFF = "Its process ended before everything was read; the next run goes on from there."


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A run whose source is ours to read until the lease ends."""

    run_id: int
    pipeline: str
    owner: str
    fence: int
    # of the cursor: 0, or the first run of a backfill
    scope: int
    since: str | None
    until: str | None


def is_free() -> ColumnElement[bool]:
    """Whether nobody reads the source of a pipeline."""
    return Pipeline.lease_until.is_(None) | (Pipeline.lease_until < db_time())


def to_read(conn: Connection) -> list[str]:
    """Names of the pipelines that have a run to be read, and nobody who reads it."""
    unread = Run.state.in_([RunState.WAITING.value, RunState.READING.value])
    query = select(Pipeline.name).join(Run, Run.pipeline == Pipeline.name)
    query = query.where(unread, is_free(), Pipeline.paused_at.is_(None)).distinct()
    return sorted(conn.execute(query).scalars())


def claim(conn: Connection, name: str, *, owner: str, lease_s: float) -> Claimed | None:
    """Take the oldest run of a pipeline that waits; None if there is none or another process reads.

    A run that is found half read has lost its process. It ends as interrupted, and one in its place goes on from
    the cursor.
    """
    lease = {"lease_owner": owner, "lease_until": db_time(lease_s), "fence": Pipeline.fence + 1}
    free = update(Pipeline).where(Pipeline.name == name, is_free(), Pipeline.paused_at.is_(None))
    fence = conn.execute(free.values(lease).returning(Pipeline.fence)).scalar_one_or_none()
    if fence is None:
        return None
    _replace_interrupted(conn, name)
    first = select(Run.__table__).where(Run.pipeline == name, Run.state == RunState.WAITING.value)
    run = conn.execute(first.order_by(Run.id).limit(1)).one_or_none()
    if run is None:
        conn.execute(update(Pipeline).where(Pipeline.name == name).values(UNLEASED))
        return None
    begun = {"state": RunState.READING.value, "started_at": db_time()}
    conn.execute(update(Run).where(Run.id == run.id).values(begun))
    return Claimed(
        run_id=run.id,
        pipeline=name,
        owner=owner,
        fence=fence,
        scope=run.continues or run.id if run.cause == "backfill" else 0,
        since=run.since,
        until=run.until,
    )


def _replace_interrupted(conn: Connection, name: str) -> None:
    """End the runs that are half read, and put one in the place of each; of several that take what is new, one."""
    broken = update(Run).where(Run.pipeline == name, Run.state == RunState.READING.value)
    ended = broken.values(state=RunState.INTERRUPTED.value, reason=_BROKE_OFF).returning(
        *Run.__table__.columns
    )
    for run in conn.execute(ended).all():
        if run.batch_id is not None:
            seal(conn, run.batch_id)
        if run.cause != "backfill" and waiting(conn, name) is not None:
            continue
        again = {column: getattr(run, column) for column in ("pipeline", "cause", "since", "until")}
        row = again | {"continues": run.continues or run.id, "state": RunState.WAITING.value}
        conn.execute(insert(Run), row)


def renew(conn: Connection, claimed: Claimed, lease_s: float) -> bool:
    """Hold the lease for `lease_s` from now and say that the run's batch still grows; whether it was still ours."""
    is_ours = _hold(conn, claimed, lease_s) is not None
    batch_id = conn.execute(select(Run.batch_id).where(Run.id == claimed.run_id)).scalar_one()
    if is_ours and batch_id is not None:
        feed(conn, batch_id)
    return is_ours


def hold(conn: Connection, claimed: Claimed, lease_s: float) -> str | None:
    """Keep everyone else from the run until the transaction ends; why the pipeline is paused, if it is.

    Raises:
        RunTakenError: the lease ran out and another process has it.
    """
    row = _hold(conn, claimed, lease_s)
    if row is None:
        raise RunTakenError(
            f"Another process took over the pipeline {claimed.pipeline} while this one read its source.",
            hint="Nothing is lost or done twice. Raise GLEANER_LEASE_S if the database was slow.",
        )
    return None if row.paused_at is None else f"It was paused: {row.paused_why}"


def _hold(conn: Connection, claimed: Claimed, lease_s: float) -> Any:
    ours = update(Pipeline).where(
        Pipeline.name == claimed.pipeline,
        Pipeline.lease_owner == claimed.owner,
        Pipeline.fence == claimed.fence,
    )
    held = ours.values(lease_until=db_time(lease_s))
    return conn.execute(held.returning(Pipeline.paused_at, Pipeline.paused_why)).one_or_none()


def count(conn: Connection, claimed: Claimed, *, batch_id: int | None, new: int, unchanged: int) -> None:
    """Note what was taken and what was found as before."""
    values = {
        "num_new": Run.num_new + new,
        "num_unchanged": Run.num_unchanged + unchanged,
        "batch_id": batch_id,
    }
    conn.execute(update(Run).where(Run.id == claimed.run_id).values(values))


def end_reading(conn: Connection, claimed: Claimed, state: RunState, reason: str | None = None) -> None:
    """Say that the source was read to its end or why it was not, and give the lease back."""
    ended = update(Run).where(Run.id == claimed.run_id).values(state=state.value, reason=reason)
    batch_id = conn.execute(ended.returning(Run.batch_id)).scalar_one()
    if batch_id is not None:
        seal(conn, batch_id)
    conn.execute(update(Pipeline).where(Pipeline.name == claimed.pipeline).values(UNLEASED))


def give_back(conn: Connection, claimed: Claimed) -> None:
    """Leave a run half read, to be gone on with at once."""
    ours = update(Pipeline).where(Pipeline.name == claimed.pipeline, Pipeline.fence == claimed.fence)
    conn.execute(ours.values(UNLEASED))
