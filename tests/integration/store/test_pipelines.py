"""Slots and leases of pipelines: of many who want one, one gets it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from schemas.errors import RunTakenError
from workers.store import cursors, pipelines, runs
from workers.store.models import Run, RunState
from workers.store.session import open_store, reading, transaction

SLOT = datetime(2026, 6, 5, 6, 30, tzinfo=UTC)
LATER = SLOT + timedelta(days=1)
NUM = 6


@pytest.fixture
def bills(store: Engine) -> Engine:
    """A store with one pipeline, which is due."""
    with transaction(store) as conn:
        pipelines.put(conn, "bills", "daily", SLOT)
    return store


def at_once(store: Engine, do: Callable[[Connection], Any]) -> list[Any]:
    """What each of several processes gets."""
    engines = [open_store(store.url.render_as_string(hide_password=False)) for _ in range(NUM)]

    def one(engine: Engine) -> Any:
        with transaction(engine) as conn:
            return do(conn)

    with ThreadPoolExecutor(NUM) as pool:
        found = list(pool.map(one, engines))
    for engine in engines:
        engine.dispose()
    return [each for each in found if each is not None]


def claim(conn: Connection, owner: str = "me") -> runs.Claimed | None:
    return runs.claim(conn, "bills", owner=owner, lease_s=60)


def test_a_slot_has_one_run(bills: Engine) -> None:
    fired = at_once(bills, lambda conn: pipelines.fire(conn, "bills", seen=SLOT, next_run_at=LATER))
    assert len(fired) == 1
    with reading(bills) as conn:
        row = pipelines.find(conn, "bills")
        assert row is not None and row.next_run_at == LATER
        assert conn.execute(select(Run.scheduled_for)).scalars().all() == [SLOT]


def test_a_slot_that_comes_while_a_run_waits_adds_none(bills: Engine) -> None:
    with transaction(bills) as conn:
        waiting = pipelines.request(conn, "bills")
        assert pipelines.fire(conn, "bills", seen=SLOT, next_run_at=LATER) is None
        assert pipelines.request(conn, "bills") == waiting


def test_one_reads_and_only_it_may_write(bills: Engine) -> None:
    with transaction(bills) as conn:
        pipelines.request(conn, "bills")
    (mine,) = at_once(bills, claim)
    with transaction(bills) as conn:
        assert runs.hold(conn, mine, lease_s=-1) is None
        cursors.put(conn, mine, {"a": {"seen": 1}, "x" * 5000: {"seen": 2}})
        assert runs.to_read(conn) == ["bills"]
    # its lease is over: another one goes on, with what it had taken
    with transaction(bills) as conn:
        other = claim(conn, "other")
        assert other is not None and other.run_id != mine.run_id and other.fence > mine.fence
        assert cursors.known(conn, other, ["a", "b", "x" * 5000]) == {
            "a": {"seen": 1},
            "x" * 5000: {"seen": 2},
        }
    with pytest.raises(RunTakenError, match="took over the pipeline bills"), transaction(bills) as conn:
        runs.hold(conn, mine, 60)
    with transaction(bills) as conn:
        assert runs.hold(conn, other, 60) is None
        runs.end_reading(conn, other, RunState.WORKING)
        assert runs.to_read(conn) == []
        states = conn.execute(select(Run.state, Run.continues).order_by(Run.id)).all()
    assert [tuple(state) for state in states] == [("interrupted", None), ("working", mine.run_id)]


def test_a_schedule_that_changed_is_due_anew(bills: Engine) -> None:
    with transaction(bills) as conn:
        pipelines.put(conn, "bills", "daily", LATER)
        assert pipelines.find(conn, "bills").next_run_at == SLOT
        pipelines.put(conn, "bills", "weekly", LATER)
        assert pipelines.find(conn, "bills").next_run_at == LATER
        pipelines.put(conn, "bills", None, None)
        assert pipelines.find(conn, "bills").next_run_at is None
