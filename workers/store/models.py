"""The store's own tables; the typed tables of schemas are made by `workers.store.records`."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, Index, Integer, MetaData, Text, text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from workers.store.types import Json, UtcDateTime, db_time

# SQLite gives out ids only for a column declared INTEGER
_BigId = BigInteger().with_variant(Integer(), "sqlite")

Id = Annotated[int, mapped_column(_BigId, primary_key=True)]
Ref = Annotated[int, mapped_column(_BigId)]
Created = Annotated[datetime, mapped_column(default=db_time())]

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        float: Double(),
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[Any]: Json,
    }


class JobState(StrEnum):
    """Where a job is; the last four are ends."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    REVIEW = "review"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Document(Base):
    """A text with an origin, stored once by its hash; an unreadable file has an error and no text."""

    __tablename__ = "documents"
    __table_args__ = (CheckConstraint("(text IS NULL) = (error_code IS NOT NULL)", name="text_or_error"),)

    id: Mapped[Id]
    content_hash: Mapped[str] = mapped_column(unique=True)
    # of the first time it was seen; `batch_entries.origin` has every one
    origin: Mapped[str]
    media_type: Mapped[str]
    text: Mapped[str | None]
    num_chars: Mapped[int]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    created_at: Mapped[Created]


class SchemaVersion(Base):
    """A schema as it was: class, examples and settings under one digest."""

    __tablename__ = "schema_versions"

    id: Mapped[Id]
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    wire_schema: Mapped[dict[str, Any]]
    record_schema: Mapped[dict[str, Any]]
    settings: Mapped[dict[str, Any]]
    examples: Mapped[list[Any]]
    # `schemas.changes.nodes` of its form; NULL if it was stored before these were
    fields: Mapped[dict[str, Any] | None]
    created_at: Mapped[Created]


class CheckpointRow(Base):
    """The identity of a model directory."""

    __tablename__ = "checkpoints"

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    is_placeholder: Mapped[bool]
    created_at: Mapped[Created]


class Batch(Base):
    """Documents enqueued together."""

    __tablename__ = "batches"

    id: Mapped[Id]
    schema_version_id: Mapped[Ref] = mapped_column(ForeignKey("schema_versions.id"))
    checkpoint_id: Mapped[Ref] = mapped_column(ForeignKey("checkpoints.id"))
    created_at: Mapped[Created]
    # set once all its documents are enqueued; until then its total still grows
    sealed_at: Mapped[datetime | None]
    # when whoever enqueues it was last alive
    fed_at: Mapped[datetime | None]
    # it is stopped when this share of its documents has failed; NULL: never
    max_failures: Mapped[float | None]
    # a record with less confidence goes to review; NULL: none does
    review_below: Mapped[float | None]
    # cancelled, or stopped by its failures: nothing of it is begun any more
    stopped_at: Mapped[datetime | None]
    stopped_why: Mapped[str | None]


class Job(Base):
    """One document x schema version x checkpoint: the unit of work."""

    __tablename__ = "jobs"
    __table_args__ = (
        Unique("document_id", "schema_version_id", "checkpoint_id"),
        CheckConstraint(
            "state IN ('queued', 'leased', 'done', 'review', 'failed', 'cancelled')", name="known_state"
        ),
        # small, whatever the table grows to; a query uses one only if it has the state as a literal
        Index(
            "ix_jobs_queued",
            "checkpoint_id",
            "priority",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_jobs_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
    )

    id: Mapped[Id]
    document_id: Mapped[Ref] = mapped_column(ForeignKey("documents.id"))
    schema_version_id: Mapped[Ref] = mapped_column(ForeignKey("schema_versions.id"))
    checkpoint_id: Mapped[Ref] = mapped_column(ForeignKey("checkpoints.id"))
    state: Mapped[str]
    # the lower, the sooner
    priority: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    # grows with each claim and never goes back, so a late finisher is known by its old number
    fence: Mapped[int] = mapped_column(default=0)
    # claims since the job was queued, those given back included
    attempts: Mapped[int] = mapped_column(default=0)
    # claims that ended in an error worth another try
    failures: Mapped[int] = mapped_column(default=0)
    # claims whose worker died; a job that has any is tried alone
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    # not to be tried before
    retry_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    # when its id was last sent; NULL: no message is known to be on its way
    enqueued_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    finished_at: Mapped[datetime | None]


class Reuse(Base):
    """What a job takes from an earlier one of its document: it extracts `fields` alone and keeps the rest."""

    __tablename__ = "reuses"

    job_id: Mapped[Ref] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    base_job_id: Mapped[Ref] = mapped_column(ForeignKey("jobs.id"))
    # none: the record is read anew without the model
    fields: Mapped[list[Any]]


class BatchEntry(Base):
    """The ledger: each thing a batch was given is one entry, so counts add up."""

    __tablename__ = "batch_entries"

    batch_id: Mapped[Ref] = mapped_column(ForeignKey("batches.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    origin: Mapped[str]
    # of the document that it came with, as an attachment does with its message
    parent_origin: Mapped[str | None]
    job_id: Mapped[Ref] = mapped_column(ForeignKey("jobs.id"), index=True)
    # it was extracted before this batch came
    already_done: Mapped[bool]


class Extraction(Base):
    """What came of a job that ended in done or review."""

    __tablename__ = "extractions"

    id: Mapped[Id]
    job_id: Mapped[Ref] = mapped_column(ForeignKey("jobs.id"), unique=True)
    document_id: Mapped[Ref] = mapped_column(ForeignKey("documents.id"), index=True)
    schema_version_id: Mapped[Ref] = mapped_column(ForeignKey("schema_versions.id"))
    checkpoint_id: Mapped[Ref] = mapped_column(ForeignKey("checkpoints.id"))
    wire_record: Mapped[dict[str, Any] | None]
    record: Mapped[dict[str, Any] | None]
    # the raw text of the model when it does not parse
    answer: Mapped[str | None]
    finish: Mapped[str]
    confidence: Mapped[float | None]
    calibration: Mapped[str] = mapped_column(default="uncalibrated")
    # objects with `path` and `message`
    errors: Mapped[list[Any]]
    num_windows: Mapped[int]
    prompt_tokens: Mapped[int]
    output_tokens: Mapped[int]
    forwards: Mapped[int]
    seconds: Mapped[float]
    # its share of the steps it was in; not measured for the oldest rows
    device_seconds: Mapped[float | None]
    timings: Mapped[dict[str, Any]]
    created_at: Mapped[Created]


class Evidence(Base):
    """Where one leaf of an extraction stands in its document."""

    __tablename__ = "evidence"

    extraction_id: Mapped[Ref] = mapped_column(
        ForeignKey("extractions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    state: Mapped[str]
    value: Mapped[str | None]
    # code points of the stored text, end exclusive
    start_char: Mapped[int | None]
    end_char: Mapped[int | None]
    text: Mapped[str | None]
    confidence: Mapped[float | None]


class Pipeline(Base):
    """Where a declared pipeline is; whoever reads its source holds its lease."""

    __tablename__ = "pipelines"

    name: Mapped[str] = mapped_column(primary_key=True)
    # as declared; when it changes, `next_run_at` is set anew
    schedule: Mapped[str | None]
    next_run_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_why: Mapped[str | None]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    # grows with each claim, as that of jobs
    fence: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Created]


class RunState(StrEnum):
    """Where a run is. Documents of one that broke off may still be worked on."""

    WAITING = "waiting"
    READING = "reading"
    # everything new is enqueued
    WORKING = "working"
    DONE = "done"
    # the source could not be read to its end
    FAILED = "failed"
    STOPPED = "stopped"
    # its process ended without a word; another run goes on from the cursor
    INTERRUPTED = "interrupted"


class Run(Base):
    """A run of a pipeline; the view `pipeline_runs` has its documents counted while they are worked on."""

    __tablename__ = "runs"
    __table_args__ = (
        Unique("pipeline", "scheduled_for"),
        CheckConstraint(
            "state IN ('waiting', 'reading', 'working', 'done', 'failed', 'stopped', 'interrupted')",
            name="known_state",
        ),
    )

    id: Mapped[Id]
    pipeline: Mapped[str] = mapped_column(ForeignKey("pipelines.name"))
    # schedule, command or backfill
    cause: Mapped[str]
    scheduled_for: Mapped[datetime | None]
    # of a backfill, as they were given
    since: Mapped[str | None]
    until: Mapped[str | None]
    # the first of the interrupted runs that this one goes on with
    continues: Mapped[int | None] = mapped_column(_BigId, ForeignKey("runs.id"))
    state: Mapped[str]
    reason: Mapped[str | None]
    # made with the first document
    batch_id: Mapped[int | None] = mapped_column(_BigId, ForeignKey("batches.id"))
    num_new: Mapped[int] = mapped_column(default=0)
    num_unchanged: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    # when the last of its documents had ended; what follows is NULL until then
    ended_at: Mapped[datetime | None]
    done: Mapped[int | None]
    review: Mapped[int | None]
    failed: Mapped[int | None]
    cancelled: Mapped[int | None]
    # of the model
    seconds: Mapped[float | None]
    tokens: Mapped[int | None] = mapped_column(BigInteger())


class Cursor(Base):
    """What a pipeline has taken: one row for each file, message folder or recent row of its source."""

    __tablename__ = "cursors"

    pipeline: Mapped[str] = mapped_column(ForeignKey("pipelines.name"), primary_key=True)
    # 0, or the first run of a backfill, which has a cursor of its own
    scope: Mapped[Ref] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
    # that saw it last
    run_id: Mapped[Ref] = mapped_column(ForeignKey("runs.id"))


class Worker(Base):
    """A worker process as it last reported itself."""

    __tablename__ = "workers"

    # host:pid:random
    name: Mapped[str] = mapped_column(primary_key=True)
    checkpoint_id: Mapped[Ref] = mapped_column(ForeignKey("checkpoints.id"))
    device: Mapped[str]
    version: Mapped[str]
    concurrency: Mapped[int]
    # jobs it holds leases of
    in_hand: Mapped[int]
    # brought to an end since it started
    num_documents: Mapped[Ref]
    # results that came after their lease had ended, and were dropped
    num_fenced: Mapped[Ref]
    # between its last two reports
    documents_per_s: Mapped[float]
    started_at: Mapped[Created]
    seen_at: Mapped[Created]
    # it stopped by itself; one that was killed only falls silent
    ended_at: Mapped[datetime | None]


class Evaluation(Base):
    """What a checkpoint with a schema version is worth on a file of labels."""

    __tablename__ = "evaluations"

    id: Mapped[Id]
    schema_version_id: Mapped[Ref] = mapped_column(ForeignKey("schema_versions.id"))
    checkpoint_id: Mapped[Ref] = mapped_column(ForeignKey("checkpoints.id"))
    # the file's name, and SHA-256 of its bytes
    labels: Mapped[str]
    labels_digest: Mapped[str]
    # of the file perhaps only the first
    num_documents: Mapped[int]
    # `Report` of `pipelines.evaluate.report`
    figures: Mapped[dict[str, Any]]
    created_at: Mapped[Created]
