"""The store: documents, schema versions, checkpoints, batches, jobs, extractions and evidence."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")

TABLES = (
    "documents",
    "schema_versions",
    "checkpoints",
    "batches",
    "jobs",
    "batch_entries",
    "extractions",
    "evidence",
)


def upgrade() -> None:
    make: Callable[[], None]
    for make in (documents, versions, batches, jobs, batch_entries, extractions, evidence):
        make()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def key(table: str) -> list[sa.schema.SchemaItem]:
    return [sa.Column("id", BIG, nullable=False), sa.PrimaryKeyConstraint("id", name=f"pk_{table}")]


def ref(table: str, column: str, target: str) -> list[sa.schema.SchemaItem]:
    name = f"fk_{table}_{column}"
    return [
        sa.Column(column, BIG, nullable=False),
        sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name),
    ]


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=nullable)


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def documents() -> None:
    op.create_table(
        "documents",
        *key("documents"),
        text("content_hash"),
        text("origin"),
        text("media_type"),
        text("text", nullable=True),
        number("num_chars"),
        text("error_code", nullable=True),
        text("error", nullable=True),
        moment("created_at"),
        sa.UniqueConstraint("content_hash", name="uq_documents_content_hash"),
        sa.CheckConstraint(
            "(text IS NULL) = (error_code IS NOT NULL)", name=op.f("ck_documents_text_or_error")
        ),
    )


def versions() -> None:
    op.create_table(
        "schema_versions",
        *key("schema_versions"),
        text("name"),
        text("digest"),
        sa.Column("wire_schema", JSON, nullable=False),
        sa.Column("record_schema", JSON, nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("examples", JSON, nullable=False),
        moment("created_at"),
        sa.UniqueConstraint("digest", name="uq_schema_versions_digest"),
    )
    op.create_table(
        "checkpoints",
        *key("checkpoints"),
        text("digest"),
        text("name"),
        sa.Column("is_placeholder", sa.Boolean(), nullable=False),
        moment("created_at"),
        sa.UniqueConstraint("digest", name="uq_checkpoints_digest"),
    )


def batches() -> None:
    op.create_table(
        "batches",
        *key("batches"),
        *ref("batches", "schema_version_id", "schema_versions"),
        *ref("batches", "checkpoint_id", "checkpoints"),
        moment("created_at"),
        moment("sealed_at", nullable=True),
    )


def jobs() -> None:
    op.create_table(
        "jobs",
        *key("jobs"),
        *ref("jobs", "document_id", "documents"),
        *ref("jobs", "schema_version_id", "schema_versions"),
        *ref("jobs", "checkpoint_id", "checkpoints"),
        text("state"),
        number("priority"),
        text("lease_owner", nullable=True),
        moment("lease_until", nullable=True),
        number("fence"),
        number("attempts"),
        number("failures"),
        text("error_code", nullable=True),
        text("error", nullable=True),
        moment("enqueued_at", nullable=True),
        moment("created_at"),
        moment("finished_at", nullable=True),
        sa.UniqueConstraint(
            "document_id",
            "schema_version_id",
            "checkpoint_id",
            name="uq_jobs_document_id_schema_version_id_checkpoint_id",
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'leased', 'done', 'review', 'failed', 'cancelled')",
            name=op.f("ck_jobs_known_state"),
        ),
    )
    for state, columns in (("queued", ["priority", "id"]), ("leased", ["lease_until"])):
        where = sa.text(f"state = '{state}'")
        op.create_index(f"ix_jobs_{state}", "jobs", columns, sqlite_where=where, postgresql_where=where)


def batch_entries() -> None:
    op.create_table(
        "batch_entries",
        *ref("batch_entries", "batch_id", "batches"),
        number("position"),
        text("origin"),
        *ref("batch_entries", "job_id", "jobs"),
        sa.Column("already_done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "position", name="pk_batch_entries"),
    )
    op.create_index("ix_batch_entries_job_id", "batch_entries", ["job_id"])


def extractions() -> None:
    op.create_table(
        "extractions",
        *key("extractions"),
        *ref("extractions", "job_id", "jobs"),
        *ref("extractions", "document_id", "documents"),
        *ref("extractions", "schema_version_id", "schema_versions"),
        *ref("extractions", "checkpoint_id", "checkpoints"),
        sa.Column("wire_record", JSON, nullable=True),
        sa.Column("record", JSON, nullable=True),
        text("answer", nullable=True),
        text("finish"),
        sa.Column("confidence", sa.Double(), nullable=True),
        text("calibration"),
        sa.Column("errors", JSON, nullable=False),
        number("num_windows"),
        number("prompt_tokens"),
        number("output_tokens"),
        number("forwards"),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("timings", JSON, nullable=False),
        moment("created_at"),
        sa.UniqueConstraint("job_id", name="uq_extractions_job_id"),
    )
    op.create_index("ix_extractions_document_id", "extractions", ["document_id"])


def evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("extraction_id", BIG, nullable=False),
        number("position"),
        text("path"),
        text("state"),
        text("value", nullable=True),
        sa.Column("start_char", sa.Integer(), nullable=True),
        sa.Column("end_char", sa.Integer(), nullable=True),
        text("text", nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("extraction_id", "position", name="pk_evidence"),
        sa.ForeignKeyConstraint(
            ["extraction_id"], ["extractions.id"], name="fk_evidence_extraction_id", ondelete="CASCADE"
        ),
    )
