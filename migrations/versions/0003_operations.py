"""Operations: suspects and back-off of jobs, circuits of batches, and the roster of workers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
IS_QUEUED = sa.text("state = 'queued'")


def upgrade() -> None:
    # with a default of the server's, so that workers of the version before go on while this one is rolled out
    op.add_column("jobs", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("retry_at", MOMENT, nullable=True))
    op.add_column("batches", sa.Column("max_failures", sa.Double(), nullable=True))
    op.add_column("batches", sa.Column("fed_at", MOMENT, nullable=True))
    op.add_column("batches", sa.Column("stopped_at", MOMENT, nullable=True))
    op.add_column("batches", sa.Column("stopped_why", sa.Text(), nullable=True))
    queued_index("checkpoint_id", "priority", "id")
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", BIG, nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("in_hand", sa.Integer(), nullable=False),
        sa.Column("num_documents", BIG, nullable=False),
        sa.Column("num_fenced", BIG, nullable=False),
        sa.Column("documents_per_s", sa.Double(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoints.id"], name="fk_workers_checkpoint_id"),
    )


def downgrade() -> None:
    op.drop_table("workers")
    queued_index("priority", "id")
    for column in ("stopped_why", "stopped_at", "fed_at", "max_failures"):
        op.drop_column("batches", column)
    for column in ("retry_at", "losses"):
        op.drop_column("jobs", column)


def queued_index(*columns: str) -> None:
    op.drop_index("ix_jobs_queued", "jobs")
    op.create_index(
        "ix_jobs_queued", "jobs", list(columns), sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED
    )
