"""Celery's tasks: thin shells around plain functions, with explicit names."""

import structlog
from celery import Task
from pydantic import ValidationError

from workers.app import CONTROL_QUEUE, app
from workers.messages import EXTRACT, JOB_IDS
from workers.runtime import get_runtime
from workers.sweeper import sweep_all
from workers.traces import incoming
from workers.work import work

log = structlog.get_logger()


@app.task(name=EXTRACT, bind=True)  # type: ignore[untyped-decorator]
def extract_jobs(self: Task, job_ids: list[int]) -> None:
    """Work off these jobs; a message that is no list of ids is refused."""
    try:
        ids = JOB_IDS.validate_python(job_ids)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        log.error("message_refused", reason=first["msg"], at=first["loc"])
        return
    with incoming(self.request.headers or {}):
        work(get_runtime(), ids)


@app.task(name="gleaner.sweep", queue=CONTROL_QUEUE)  # type: ignore[untyped-decorator]
def sweep_jobs() -> None:
    """Release expired leases and send open jobs of every checkpoint that lack a message."""
    sweep_all(get_runtime())
