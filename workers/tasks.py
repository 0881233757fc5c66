"""Celery's tasks: thin shells around plain functions, with explicit names."""

from collections.abc import Sequence

from kombu.exceptions import OperationalError

from schemas.errors import BrokerAwayError
from workers.app import app, extract_queue
from workers.runtime import Runtime, get_runtime
from workers.store.session import transaction
from workers.store.sweep import mark_sent, mark_unsent
from workers.work import work


@app.task(name="gleaner.extract")  # type: ignore[untyped-decorator]
def extract_jobs(job_ids: list[int]) -> None:
    """Work off these jobs."""
    work(get_runtime(), job_ids)


def send(runtime: Runtime, job_ids: Sequence[int]) -> None:
    """Wake workers for committed jobs, a chunk a message.

    Raises:
        BrokerAwayError: the broker did not take a message; the jobs stay open and a worker's sweep sends them.
    """
    size = runtime.settings.chunk_size
    queue = extract_queue(runtime.checkpoint)
    for start in range(0, len(job_ids), size):
        chunk = list(job_ids[start : start + size])
        try:
            extract_jobs.apply_async(args=[chunk], queue=queue, retry=False)
        except (OperationalError, OSError) as exc:
            with transaction(runtime.store) as conn:
                mark_unsent(conn, job_ids[start:])
            raise BrokerAwayError(
                f"the broker did not take a message: {str(exc).rstrip('.')}.",
                hint="Nothing is lost: the jobs are stored, and a worker's sweep sends them.",
            ) from exc
        with transaction(runtime.store) as conn:
            mark_sent(conn, chunk)
