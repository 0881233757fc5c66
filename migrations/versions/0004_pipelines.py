"""Pipelines: their schedules, runs and cursors; the confidence below which a record is reviewed; attachments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

# counts of a run that goes on are made when it is asked for, those of one that ended are kept
VIEW = """
CREATE VIEW pipeline_runs AS
SELECT r.id AS run_id, r.pipeline, r.cause, r.scheduled_for, r.state, r.reason, r.batch_id, r.started_at, r.ended_at,
  r.num_new + r.num_unchanged AS seen, r.num_new AS new, r.num_unchanged AS unchanged,
  {counts},
  {costs}
FROM runs r
"""
COUNT = """coalesce(r.{name}, (
    SELECT count(*) FROM batch_entries e JOIN jobs j ON j.id = e.job_id
    WHERE e.batch_id = r.batch_id AND NOT e.already_done AND j.state = '{name}')) AS {name}"""
COST = """coalesce(r.{name}, (
    SELECT sum({expression}) FROM extractions x WHERE x.job_id IN (
      SELECT e.job_id FROM batch_entries e WHERE e.batch_id = r.batch_id AND NOT e.already_done)), 0) AS {name}"""


def upgrade() -> None:
    op.add_column("batches", sa.Column("review_below", sa.Double(), nullable=True))
    op.add_column("batch_entries", sa.Column("parent_origin", sa.Text(), nullable=True))
    pipelines()
    runs()
    cursors()
    counts = ",\n  ".join(COUNT.format(name=name) for name in ("done", "review", "failed", "cancelled"))
    costs = {"seconds": "x.seconds", "tokens": "x.prompt_tokens + x.output_tokens"}
    costs_sql = ",\n  ".join(COST.format(name=name, expression=sum_of) for name, sum_of in costs.items())
    op.execute(VIEW.format(counts=counts, costs=costs_sql))


def downgrade() -> None:
    op.execute("DROP VIEW pipeline_runs")
    for table in ("cursors", "runs", "pipelines"):
        op.drop_table(table)
    op.drop_column("batch_entries", "parent_origin")
    op.drop_column("batches", "review_below")


def pipelines() -> None:
    op.create_table(
        "pipelines",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("next_run_at", MOMENT, nullable=True),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_why", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pipelines"),
    )


def runs() -> None:
    counts = [sa.Column(name, sa.Integer()) for name in ("done", "review", "failed", "cancelled")]
    op.create_table(
        "runs",
        sa.Column("id", BIG, nullable=False),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("scheduled_for", MOMENT, nullable=True),
        sa.Column("since", sa.Text(), nullable=True),
        sa.Column("until", sa.Text(), nullable=True),
        sa.Column("continues", BIG, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("batch_id", BIG, nullable=True),
        sa.Column("num_new", sa.Integer(), nullable=False),
        sa.Column("num_unchanged", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        *counts,
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.ForeignKeyConstraint(["pipeline"], ["pipelines.name"], name="fk_runs_pipeline"),
        sa.ForeignKeyConstraint(["continues"], ["runs.id"], name="fk_runs_continues"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_runs_batch_id"),
        sa.UniqueConstraint("pipeline", "scheduled_for", name="uq_runs_pipeline_scheduled_for"),
        sa.CheckConstraint(
            "state IN ('waiting', 'reading', 'working', 'done', 'failed', 'stopped', 'interrupted')",
            name=op.f("ck_runs_known_state"),
        ),
    )


def cursors() -> None:
    op.create_table(
        "cursors",
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("scope", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("run_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "scope", "key", name="pk_cursors"),
        sa.ForeignKeyConstraint(["pipeline"], ["pipelines.name"], name="fk_cursors_pipeline"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_cursors_run_id"),
    )
