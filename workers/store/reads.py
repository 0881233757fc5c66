"""What a batch holds, for those who work it off and those who export it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, select

from workers.store.jobs import QUEUED, is_due
from workers.store.models import BatchEntry, Extraction, Job, JobState


def open_jobs(conn: Connection, batch_id: int, *, limit: int) -> list[int]:
    """Ids of the batch's queued jobs whose time has come, in the order they were given."""
    query = (
        select(Job.id)
        .join(BatchEntry, BatchEntry.job_id == Job.id)
        .where(BatchEntry.batch_id == batch_id, Job.state == QUEUED, is_due())
        .group_by(Job.id, Job.priority)
        .order_by(Job.priority, Job.id)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def records(conn: Connection, batch_id: int) -> Iterator[Row[Any]]:
    """(origin, document_id, confidence, record as JSON) of every entry whose record holds, in their order."""
    query = (
        select(BatchEntry.origin, Extraction.document_id, Extraction.confidence, Extraction.record)
        .join(Job, Job.id == BatchEntry.job_id)
        .join(Extraction, Extraction.job_id == Job.id)
        .where(BatchEntry.batch_id == batch_id, Job.state == JobState.DONE)
        .order_by(BatchEntry.position)
    )
    return iter(conn.execution_options(yield_per=500).execute(query))
