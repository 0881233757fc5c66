"""The clock of pipelines: begins the runs that are due. Any number of processes may have one."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import structlog

from pipelines.etl import Pipeline, Pipelines
from pipelines.runs import take
from schemas.errors import TransientError
from workers.embedded import work_off
from workers.runtime import Runtime
from workers.store import pipelines, runs, settle
from workers.store.session import reading, transaction

log = structlog.get_logger()

TICK_S = 1.0
# sources that are read at once
_AT_ONCE = 4
# for what is in hand when the process is to end
_LAST_S = 20.0


def enter(runtime: Runtime, pipeline: Pipeline) -> None:
    """Store a pipeline that is not stored as it is declared, with the time of its next run."""
    with transaction(runtime.store) as conn:
        due = pipeline.due_after(pipelines.now(conn))
        pipelines.put(conn, pipeline.name, pipeline.when, due)


def fire_due(runtime: Runtime, declared: Pipelines) -> list[int]:
    """Take the slots that have come, one run for each pipeline however many were missed; the runs."""
    with reading(runtime.store) as conn:
        now = pipelines.now(conn)
        stored = {row.name: row for row in pipelines.list_pipelines(conn)}
    fired = []
    for pipeline in declared:
        row, due = stored.get(pipeline.name), pipeline.due_after(now)
        if row is None or row.schedule != pipeline.when:
            enter(runtime, pipeline)
        elif due and row.next_run_at and row.next_run_at <= now and row.paused_at is None:
            with transaction(runtime.store) as conn:
                run_id = pipelines.fire(conn, pipeline.name, seen=row.next_run_at, next_run_at=due)
            if run_id is not None:
                log.info("due", pipeline=pipeline.name, run=run_id, slot=row.next_run_at.isoformat())
                fired.append(run_id)
    return fired


class Clock:
    """Looks every second for what is due, reads sources in threads, and without a broker does the work too."""

    def __init__(self, runtime: Runtime, declared: Pipelines) -> None:
        self._runtime, self._declared = runtime, declared
        self._in_hand: dict[str, Future[None]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """In the background; at the end, what is in hand is committed or given back."""
        thread = threading.Thread(target=self.run, name="clock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._runtime.stopping.set()
            thread.join(_LAST_S)

    def run(self) -> None:
        """Until the process is told to stop."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pipeline") as pool:
            while not self._runtime.stopping.is_set():
                try:
                    self._tick(pool)
                except TransientError as exc:
                    log.warning("tick_failed", reason=str(exc))
                except Exception:
                    # a clock that stands still would be noticed by nobody
                    log.exception("tick_failed")
                self._runtime.stopping.wait(TICK_S)

    def _tick(self, pool: ThreadPoolExecutor) -> None:
        fire_due(self._runtime, self._declared)
        self._in_hand = {name: future for name, future in self._in_hand.items() if not future.done()}
        with reading(self._runtime.store) as conn:
            wanted = set(runs.to_read(conn))
            unsettled = settle.unsettled(conn)
        for name in unsettled:
            with transaction(self._runtime.store) as conn:
                settle.settle(conn, name)
        # without workers, documents that an earlier process left are for this one
        wanted |= set() if self._runtime.settings.broker else set(unsettled)
        for pipeline in self._declared:
            if pipeline.name in wanted - self._in_hand.keys():
                self._in_hand[pipeline.name] = pool.submit(self._run, pipeline)

    def _run(self, pipeline: Pipeline) -> None:
        try:
            take(self._runtime, pipeline)
            if not self._runtime.settings.broker:
                work_off_all(self._runtime, pipeline.name)
        except TransientError as exc:
            log.warning("run_failed", pipeline=pipeline.name, reason=str(exc))
        except Exception:
            log.exception("run_failed", pipeline=pipeline.name)


def work_off_all(runtime: Runtime, name: str) -> None:
    """Do the work of a pipeline's runs in this process, and settle them."""
    with reading(runtime.store) as conn:
        open_batches = settle.open_batches(conn, name)
    for batch_id in open_batches:
        work_off(runtime, batch_id)
    with transaction(runtime.store) as conn:
        settle.settle(conn, name)
