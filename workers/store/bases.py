"""The records that documents have of a schema, for extracting parts of them again, and what they took."""

from dataclasses import dataclass

from sqlalchemy import Connection, Float, cast, func, select
from sqlalchemy.orm import aliased

from workers.store.models import Document, Extraction, Job, JobState, Reuse, SchemaVersion

_PENDING_OR_ENDED = [JobState.QUEUED, JobState.LEASED, JobState.DONE, JobState.REVIEW]


@dataclass(frozen=True, kw_only=True)
class Base:
    """The newest record of a document, whether it holds or is in review."""

    document_id: int
    origin: str
    job_id: int
    version_id: int
    checkpoint_id: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a document of a schema took on average."""

    prompt_tokens: float
    output_tokens: float
    # of the text
    num_chars: float
    # of the engine, for each token it wrote
    seconds_per_token: float


def bases(conn: Connection, schema: str, version_id: int, checkpoint_id: int) -> list[Base]:
    """Of every document that was read with another version or checkpoint and has no job of these: its newest record."""
    newest = (
        select(func.max(Extraction.id))
        .join(SchemaVersion, SchemaVersion.id == Extraction.schema_version_id)
        .where(SchemaVersion.name == schema, Extraction.wire_record.is_not(None))
        .group_by(Extraction.document_id)
    )
    now = aliased(Job)
    is_new = (
        select(now.id)
        .where(
            now.document_id == Extraction.document_id,
            now.schema_version_id == version_id,
            now.checkpoint_id == checkpoint_id,
            now.state.in_(_PENDING_OR_ENDED),
        )
        .exists()
    )
    query = (
        select(
            Extraction.document_id,
            Document.origin,
            Extraction.job_id,
            Extraction.schema_version_id.label("version_id"),
            Extraction.checkpoint_id,
        )
        .join(Document, Document.id == Extraction.document_id)
        .where(Extraction.id.in_(newest), ~is_new)
        .order_by(Extraction.document_id)
    )
    return [Base(**row._asdict()) for row in conn.execute(query)]


def measured(conn: Connection, schema: str, checkpoint_id: int) -> Usage | None:
    """What whole extractions of a schema took with a checkpoint; None if there were none."""
    query = (
        select(
            cast(func.avg(Extraction.prompt_tokens), Float),
            cast(func.avg(Extraction.output_tokens), Float),
            cast(func.avg(Document.num_chars), Float),
            func.sum(Extraction.seconds) / func.sum(Extraction.output_tokens),
        )
        .join(SchemaVersion, SchemaVersion.id == Extraction.schema_version_id)
        .join(Document, Document.id == Extraction.document_id)
        .outerjoin(Reuse, Reuse.job_id == Extraction.job_id)
        .where(
            SchemaVersion.name == schema,
            Extraction.checkpoint_id == checkpoint_id,
            Extraction.output_tokens > 0,
            Reuse.job_id.is_(None),
        )
    )
    prompt, output, chars, pace = conn.execute(query).one()
    if prompt is None:
        return None
    return Usage(prompt_tokens=prompt, output_tokens=output, num_chars=chars, seconds_per_token=pace)
