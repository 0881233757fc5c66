"""Evaluations: what a checkpoint with a schema version is worth on a file of labels."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", BIG, nullable=False),
        sa.Column("schema_version_id", BIG, nullable=False),
        sa.Column("checkpoint_id", BIG, nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("labels_digest", sa.Text(), nullable=False),
        sa.Column("num_documents", sa.Integer(), nullable=False),
        sa.Column("figures", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
        sa.ForeignKeyConstraint(
            ["schema_version_id"], ["schema_versions.id"], name="fk_evaluations_schema_version_id"
        ),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoints.id"], name="fk_evaluations_checkpoint_id"),
    )


def downgrade() -> None:
    op.drop_table("evaluations")
