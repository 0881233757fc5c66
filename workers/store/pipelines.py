"""Pipelines: when the next run of each is due, and whether it may run at all.

Any number of processes may look at the clock: a slot is taken by comparing and setting `next_run_at` and by inserting
its run in the same transaction, so each slot has one run.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, false, func, insert, null, select, update

from schemas.errors import ConfigurationError
from workers.store.models import Pipeline, Run, RunState
from workers.store.session import insert_into
from workers.store.types import db_time


def now(conn: Connection) -> datetime:
    """The time of the database."""
    return conn.execute(select(db_time())).scalar_one()


def find(conn: Connection, name: str) -> Row[Any] | None:
    """Where a pipeline is, None if it never had a run nor a schedule; `is_leased` says whether it is being read."""
    return next(iter(list_pipelines(conn, [name])), None)


def list_pipelines(conn: Connection, names: Iterable[str] | None = None) -> list[Row[Any]]:
    """All of them or those of these names; `is_leased` says whether somebody reads its source just now."""
    is_leased = func.coalesce(Pipeline.lease_until >= db_time(), false())
    query = select(Pipeline.__table__, is_leased.label("is_leased")).order_by(Pipeline.name)
    if names is not None:
        query = query.where(Pipeline.name.in_(list(names)))
    return list(conn.execute(query))


def put(conn: Connection, name: str, schedule: str | None, next_run_at: datetime | None) -> None:
    """Store a pipeline with its next run, or set the next run anew if the schedule was declared otherwise before."""
    statement = insert_into(conn, Pipeline).values(name=name, schedule=schedule, next_run_at=next_run_at)
    changed = Pipeline.schedule.is_distinct_from(statement.excluded.schedule)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"schedule": statement.excluded.schedule, "next_run_at": statement.excluded.next_run_at},
            where=changed,
        )
    )


def fire(conn: Connection, name: str, *, seen: datetime, next_run_at: datetime) -> int | None:
    """Take the slot `seen` and set the next one; the run, None if another took it or a run waits already."""
    mine = update(Pipeline).where(
        Pipeline.name == name, Pipeline.next_run_at == seen, Pipeline.paused_at.is_(None)
    )
    taken = conn.execute(mine.values(next_run_at=next_run_at).returning(Pipeline.name)).one_or_none()
    # the run that waits takes what this one would
    if taken is None or waiting(conn, name) is not None:
        return None
    slot = {"pipeline": name, "cause": "schedule", "scheduled_for": seen, "state": RunState.WAITING.value}
    # after a clock was set back, a slot may come again
    statement = insert_into(conn, Run).on_conflict_do_nothing().values(slot)
    return conn.execute(statement.returning(Run.id)).scalar_one_or_none()


def request(conn: Connection, name: str) -> int:
    """A run that takes what is new: one that waits already, or another."""
    _lock(conn, name)
    return waiting(conn, name) or _insert(conn, pipeline=name, cause="command")


def request_backfill(conn: Connection, name: str, since: str | None, until: str | None) -> int:
    """A run that takes everything of a span of time, with a cursor of its own."""
    _lock(conn, name)
    return _insert(conn, pipeline=name, cause="backfill", since=since, until=until)


def waiting(conn: Connection, name: str) -> int | None:
    """The run that will take what is new, if there is one."""
    waits = (Run.pipeline == name, Run.state == RunState.WAITING.value, Run.cause != "backfill")
    return conn.execute(select(Run.id).where(*waits).order_by(Run.id).limit(1)).scalar_one_or_none()


def pause(conn: Connection, name: str, why: str) -> None:
    """Begin no run of it any more; one that reads stops at its next step."""
    mine = update(Pipeline).where(Pipeline.name == name, Pipeline.paused_at.is_(None))
    conn.execute(mine.values(paused_at=db_time(), paused_why=why))


def resume(conn: Connection, name: str, next_run_at: datetime | None) -> None:
    """Let it run again from `next_run_at` on: slots that passed meanwhile are not made up for."""
    again = {"paused_at": null(), "paused_why": null(), "next_run_at": next_run_at}
    conn.execute(update(Pipeline).where(Pipeline.name == name).values(again))


def _lock(conn: Connection, name: str) -> None:
    query = select(Pipeline.paused_at, Pipeline.paused_why).where(Pipeline.name == name)
    row = conn.execute(query.with_for_update()).one()
    if row.paused_at is not None:
        raise ConfigurationError(
            f"The pipeline {name} is paused since {row.paused_at:%Y-%m-%d %H:%M} UTC: {row.paused_why}",
            hint=f"`gleaner pipelines resume {name}` lets it go on.",
        )


def _insert(conn: Connection, **values: Any) -> int:
    row = {"state": RunState.WAITING.value, **values}
    return conn.execute(insert(Run).returning(Run.id), row).scalar_one()
