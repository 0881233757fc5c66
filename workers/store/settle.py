"""What came of runs: settled once when all their documents have ended, counted by a view until then."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Double, Integer, MetaData, Row, Table, Text, func, select, update

from workers.store.models import Batch, BatchEntry, Job, JobState, Run, RunState
from workers.store.models import Pipeline as PipelineRow
from workers.store.pipelines import pause
from workers.store.types import UtcDateTime, db_time

_COUNTS = ("done", "review", "failed", "cancelled")
_COSTS = ("seconds", "tokens")

# the view that the migrations make
PIPELINE_RUNS = Table(
    "pipeline_runs",
    MetaData(),
    *(
        Column(name, Integer)
        for name in ("run_id", "batch_id", "seen", "new", "unchanged", *_COUNTS, "tokens")
    ),
    *(Column(name, Text) for name in ("pipeline", "cause", "state", "reason")),
    *(Column(name, UtcDateTime()) for name in ("scheduled_for", "started_at", "ended_at")),
    Column("seconds", Double),
)
_READ = [state.value for state in RunState if state not in {RunState.WAITING, RunState.READING}]
_OPEN = (JobState.QUEUED.value, JobState.LEASED.value)


def history(conn: Connection, name: str, limit: int = 10) -> Sequence[Row[Any]]:
    """The newest runs of a pipeline first, as the view `pipeline_runs` has them."""
    view = PIPELINE_RUNS.c
    query = select(PIPELINE_RUNS).where(view.pipeline == name).order_by(view.run_id.desc()).limit(limit)
    return conn.execute(query).all()


def find_run(conn: Connection, run_id: int) -> Row[Any]:
    """A run as the view has it."""
    return conn.execute(select(PIPELINE_RUNS).where(PIPELINE_RUNS.c.run_id == run_id)).one()


def open_batches(conn: Connection, name: str) -> list[int]:
    """The batches of a pipeline's runs that are not settled, the oldest first."""
    query = select(Run.batch_id).where(Run.pipeline == name, Run.batch_id.is_not(None), *_unsettled())
    return [batch_id for batch_id in conn.execute(query.order_by(Run.id)).scalars() if batch_id is not None]


def unsettled(conn: Connection) -> list[str]:
    """The pipelines that have runs whose documents are worked on, or were."""
    return sorted(conn.execute(select(Run.pipeline).where(*_unsettled()).distinct()).scalars())


def settle(conn: Connection, name: str) -> None:
    """End the runs of a pipeline whose documents have all ended, and pause it if too many of them failed."""
    # whoever settles at the same time waits, and finds nothing left
    conn.execute(select(PipelineRow.name).where(PipelineRow.name == name).with_for_update())
    is_open = (
        select(BatchEntry.job_id)
        .join(Job, Job.id == BatchEntry.job_id)
        .where(BatchEntry.batch_id == Run.batch_id, Job.state.in_(_OPEN))
    )
    ended = select(Run.id).where(Run.pipeline == name, *_unsettled(), ~is_open.exists()).order_by(Run.id)
    for run_id in conn.execute(ended).scalars().all():
        _settle(conn, run_id)


def _unsettled() -> tuple[Any, ...]:
    return Run.ended_at.is_(None), Run.state.in_(_READ)


def _settle(conn: Connection, run_id: int) -> None:
    run = find_run(conn, run_id)
    last = (
        select(func.max(Job.finished_at))
        .join(BatchEntry, BatchEntry.job_id == Job.id)
        .where(BatchEntry.batch_id == run.batch_id, ~BatchEntry.already_done)
    )
    batch = select(Batch.max_failures, Batch.stopped_why).where(Batch.id == run.batch_id)
    limit, stopped_why = conn.execute(batch).one_or_none() or (None, None)
    figures = {name: getattr(run, name) for name in (*_COUNTS, *_COSTS)}
    state, reason = run.state, run.reason
    if state == RunState.WORKING:
        state = RunState.STOPPED.value if stopped_why else RunState.DONE.value
    too_many = _too_many(run, limit)
    if too_many:
        pause(conn, run.pipeline, too_many)
    end = figures | {
        "state": state,
        "reason": reason or stopped_why or too_many,
        "ended_at": func.coalesce(last.scalar_subquery(), db_time()),
    }
    conn.execute(update(Run).where(Run.id == run_id).values(end))


def _too_many(run: Row[Any], limit: float | None) -> str | None:
    """Why the pipeline is to be stopped, if it is."""
    ended = run.done + run.review + run.failed
    if limit is None or run.failed <= limit * ended:
        return None
    return (
        f"In run {run.run_id} {run.failed} of {ended} documents failed, more than the limit of {limit:.0%}. "
        f"`gleaner status {run.batch_id}` says why, `gleaner jobs retry --batch {run.batch_id}` tries them again."
    )
