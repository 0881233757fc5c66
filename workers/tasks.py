"""Celery's tasks: thin shells around plain functions, with explicit names."""

from celery import Task

from workers.app import CONTROL_QUEUE, app
from workers.messages import EXTRACT
from workers.runtime import get_runtime
from workers.sweeper import sweep_all
from workers.traces import incoming
from workers.work import work


@app.task(name=EXTRACT, bind=True)  # type: ignore[untyped-decorator]
def extract_jobs(self: Task, job_ids: list[int]) -> None:
    """Work off these jobs."""
    with incoming(self.request.headers or {}):
        work(get_runtime(), job_ids)


@app.task(name="gleaner.sweep", queue=CONTROL_QUEUE)  # type: ignore[untyped-decorator]
def sweep_jobs() -> None:
    """Release expired leases and send open jobs of every checkpoint that lack a message."""
    sweep_all(get_runtime())
