"""Progress: counts read from the ledger; each entry of a batch is counted once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, false, func, select

from schemas.errors import ConfigurationError
from workers.store.models import Batch, BatchEntry, CheckpointRow, Job, JobState, SchemaVersion
from workers.store.types import db_time

# whoever enqueues says so every few seconds; silent for this long, it is gone
ABANDONED_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A batch and where its entries are; the seven counts add up to `total`."""

    batch_id: int
    schema: str
    checkpoint: str
    created_at: datetime
    # False while documents are still being enqueued and `total` grows
    sealed: bool
    # not sealed, and who enqueued it is gone: it will get no more
    abandoned: bool = False
    # why it was cancelled or stopped
    stopped_why: str | None = None
    queued: int = 0
    leased: int = 0
    done: int = 0
    review: int = 0
    failed: int = 0
    cancelled: int = 0
    # extracted before this batch came; not counted as done or review
    already_done: int = 0

    @property
    def total(self) -> int:
        ends = self.done + self.review + self.failed + self.cancelled + self.already_done
        return self.queued + self.leased + ends

    @property
    def finished(self) -> bool:
        return (self.sealed or self.abandoned) and not self.queued and not self.leased


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why entries of a batch are in review or failed."""

    state: JobState
    code: str
    # the message of one of them
    example: str
    count: int


def progress(conn: Connection, batch_id: int) -> Progress:
    """Where the entries of a batch are.

    Raises:
        ConfigurationError: there is no such batch.
    """
    found = list(_read(conn, select(Batch.id).where(Batch.id == batch_id)))
    if not found:
        hint = "`gleaner status` lists the batches."
        raise ConfigurationError(f"There is no batch {batch_id}.", hint=hint)
    return found[0]


def list_batches(conn: Connection, limit: int = 20) -> list[Progress]:
    """The newest batches first."""
    return list(_read(conn, select(Batch.id).order_by(Batch.id.desc()).limit(limit)))


def failures_by_reason(conn: Connection, batch_id: int) -> list[Reason]:
    """Entries of the batch in review or failed, grouped by their reason, the most frequent first."""
    count = func.count()
    query = (
        select(Job.state, func.coalesce(Job.error_code, ""), func.coalesce(func.min(Job.error), ""), count)
        .join(BatchEntry, BatchEntry.job_id == Job.id)
        .where(BatchEntry.batch_id == batch_id, Job.state.in_([JobState.REVIEW, JobState.FAILED]))
        .group_by(Job.state, Job.error_code)
        .order_by(count.desc(), Job.error_code)
    )
    return [
        Reason(state=JobState(state), code=code, example=example or "", count=num)
        for state, code, example, num in conn.execute(query)
    ]


def _read(conn: Connection, batch_ids: Select[int]) -> Iterator[Progress]:
    chosen = batch_ids.subquery()
    query = (
        select(
            Batch.id.label("batch_id"),
            SchemaVersion.name.label("schema"),
            CheckpointRow.name.label("checkpoint"),
            Batch.created_at,
            Batch.sealed_at,
            Batch.stopped_why,
            (func.coalesce(Batch.fed_at, Batch.created_at) < db_time(-ABANDONED_S)).label("unfed"),
            Job.state,
            # a batch without entries is one row of the outer join, and counts nothing
            func.coalesce(BatchEntry.already_done, false()).label("already_done"),
            func.count(BatchEntry.batch_id).label("num"),
        )
        .join(chosen, chosen.c.id == Batch.id)
        .join(SchemaVersion, SchemaVersion.id == Batch.schema_version_id)
        .join(CheckpointRow, CheckpointRow.id == Batch.checkpoint_id)
        .outerjoin(BatchEntry, BatchEntry.batch_id == Batch.id)
        .outerjoin(Job, Job.id == BatchEntry.job_id)
        .group_by(Batch.id, SchemaVersion.name, CheckpointRow.name, Job.state, BatchEntry.already_done)
        .order_by(Batch.id.desc())
    )
    for _, rows in groupby(conn.execute(query), key=attrgetter("batch_id")):
        yield _progress(list(rows))


def _progress(rows: list[Row[*tuple[Any, ...]]]) -> Progress:
    counts: dict[str, int] = {}
    for row in rows:
        if row.num:
            name = "already_done" if row.already_done else row.state
            counts[name] = counts.get(name, 0) + row.num
    first = rows[0]
    return Progress(
        batch_id=first.batch_id,
        schema=first.schema,
        checkpoint=first.checkpoint,
        created_at=first.created_at,
        sealed=first.sealed_at is not None,
        abandoned=first.sealed_at is None and bool(first.unfed),
        stopped_why=first.stopped_why,
        **counts,
    )
