"""A worker's runtime over a scripted engine, and what its store holds."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

from sqlalchemy import Row, select, text

from pipelines.ingest import IngestOptions, ingest
from pipelines.readers import Read
from tests.cases import parcels
from workers.runtime import Runtime
from workers.settings import Settings
from workers.store.models import BatchEntry, Document, Job
from workers.store.session import reading
from workers.testing import Answers, ScriptedEngine


def make_runtime(
    database_url: str,
    schemas: Path,
    answers: Answers = parcels.answer,
    seconds_per_document: float = 0.0,
    **settings: Any,
) -> Runtime:
    """A runtime with a scripted engine; `settings` as in GLEANER_*, whatever the environment says."""
    made = Settings(
        _env_file=None, database_url=database_url, schemas=(str(schemas),), data_dir=schemas, **settings
    )
    return Runtime(made, engine=ScriptedEngine(answers, seconds_per_document=seconds_per_document))


def enqueue(
    runtime: Runtime,
    texts: Iterable[str] = (),
    *,
    reads: Iterable[Read] | None = None,
    on_commit: Callable[[Sequence[int]], None] = lambda ids: None,
    **options: Unpack[IngestOptions],
) -> int:
    """A batch of parcels."""
    schema = runtime.registry.get("parcel")
    given = parcels.reads(texts) if reads is None else reads
    return ingest(runtime.store, given, schema, runtime.checkpoint, on_commit=on_commit, **options)


def job_rows(runtime: Runtime) -> list[Row[Any]]:
    """Every job with the text of its document, by id."""
    query = (
        select(Job.__table__, Document.text).join(Document, Document.id == Job.document_id).order_by(Job.id)
    )
    with reading(runtime.store) as conn:
        return list(conn.execute(query))


def job_ids(runtime: Runtime) -> list[int]:
    return [job.id for job in job_rows(runtime)]


def states(runtime: Runtime) -> list[str]:
    """The state of every job, by id."""
    return [job.state for job in job_rows(runtime)]


def entries(runtime: Runtime, batch_id: int) -> list[Row[Any]]:
    """The ledger of a batch with the states of its jobs."""
    query = (
        select(BatchEntry.__table__, Job.state, Job.error_code, Job.error)
        .join(Job, Job.id == BatchEntry.job_id)
        .where(BatchEntry.batch_id == batch_id)
        .order_by(BatchEntry.position)
    )
    with reading(runtime.store) as conn:
        return list(conn.execute(query))


def rows(runtime: Runtime, sql: str) -> list[tuple[Any, ...]]:
    """The answer to a question in SQL."""
    with reading(runtime.store) as conn:
        return [tuple(row) for row in conn.execute(text(sql))]
