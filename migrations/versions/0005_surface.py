"""The SQL surface: what is going on as views, the fields of schema versions, and records that are reused."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")

BATCH_PROGRESS = """
SELECT batches.id AS batch_id, schema_versions.name AS schema_name, checkpoints.name AS checkpoint,
    {created_at} AS created_at, {sealed_at} AS sealed_at, count(batch_entries.position) AS documents,
    {queued} AS queued, {leased} AS leased, {done} AS done, {review} AS review, {failed} AS failed,
    {cancelled} AS cancelled,
    count(CASE WHEN batch_entries.already_done THEN 1 END) AS already_done,
    batches.stopped_why
FROM batches
JOIN schema_versions ON schema_versions.id = batches.schema_version_id
JOIN checkpoints ON checkpoints.id = batches.checkpoint_id
LEFT JOIN batch_entries ON batch_entries.batch_id = batches.id
LEFT JOIN jobs ON jobs.id = batch_entries.job_id
GROUP BY batches.id, schema_versions.name, checkpoints.name
"""

JOB_ERRORS = """
SELECT jobs.id AS job_id, schema_versions.name AS schema_name, jobs.state, jobs.error_code, jobs.error,
    jobs.document_id, documents.origin, documents.content_hash, checkpoints.name AS checkpoint,
    jobs.attempts, {finished_at} AS finished_at
FROM jobs
JOIN schema_versions ON schema_versions.id = jobs.schema_version_id
JOIN checkpoints ON checkpoints.id = jobs.checkpoint_id
JOIN documents ON documents.id = jobs.document_id
WHERE jobs.error_code IS NOT NULL
"""

# a document's record is its newest done extraction, and what its schema is now says the newest batch
STALE_RECORDS = """
SELECT made.name AS schema_name, extractions.document_id, documents.origin, extractions.id AS extraction_id,
    {created_at} AS extracted_at, made.digest AS made_by, wanted.digest AS now,
    made_with.name AS checkpoint, wanted_with.name AS checkpoint_now,
    CASE WHEN made.fields = wanted.fields THEN false ELSE true END AS other_fields,
    made.examples <> wanted.examples AS other_examples,
    made.settings <> wanted.settings AS other_settings,
    extractions.checkpoint_id <> batches.checkpoint_id AS other_checkpoint
FROM (
    SELECT max(extractions.id) AS extraction_id, schema_versions.name
    FROM extractions
    JOIN jobs ON jobs.id = extractions.job_id
    JOIN schema_versions ON schema_versions.id = extractions.schema_version_id
    WHERE jobs.state = 'done'
    GROUP BY extractions.document_id, schema_versions.name
) AS records
JOIN (
    SELECT max(batches.id) AS batch_id, schema_versions.name
    FROM batches
    JOIN schema_versions ON schema_versions.id = batches.schema_version_id
    GROUP BY schema_versions.name
) AS newest ON newest.name = records.name
JOIN extractions ON extractions.id = records.extraction_id
JOIN batches ON batches.id = newest.batch_id
JOIN documents ON documents.id = extractions.document_id
JOIN schema_versions AS made ON made.id = extractions.schema_version_id
JOIN schema_versions AS wanted ON wanted.id = batches.schema_version_id
JOIN checkpoints AS made_with ON made_with.id = extractions.checkpoint_id
JOIN checkpoints AS wanted_with ON wanted_with.id = batches.checkpoint_id
WHERE made.id <> wanted.id OR made_with.id <> wanted_with.id
"""

USAGE_DAILY = """
SELECT {day} AS day, schema_versions.name AS schema_name, checkpoints.name AS checkpoint,
    count(*) AS documents, sum(extractions.num_windows) AS windows,
    sum(extractions.prompt_tokens) AS prompt_tokens, sum(extractions.output_tokens) AS output_tokens,
    sum(extractions.seconds) AS seconds, sum(extractions.device_seconds) AS device_seconds
FROM extractions
JOIN schema_versions ON schema_versions.id = extractions.schema_version_id
JOIN checkpoints ON checkpoints.id = extractions.checkpoint_id
GROUP BY {day}, schema_versions.name, checkpoints.name
"""

STATES = ("queued", "leased", "done", "review", "failed", "cancelled")
COUNTS = {
    state: f"count(CASE WHEN jobs.state = '{state}' AND NOT batch_entries.already_done THEN 1 END)"
    for state in STATES
}


def upgrade() -> None:
    op.add_column("schema_versions", sa.Column("fields", JSON, nullable=True))
    op.add_column("extractions", sa.Column("device_seconds", sa.Double(), nullable=True))
    op.create_table(
        "reuses",
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("base_job_id", BIG, nullable=False),
        sa.Column("fields", JSON, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_reuses"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_reuses_job_id"),
        sa.ForeignKeyConstraint(["base_job_id"], ["jobs.id"], name="fk_reuses_base_job_id"),
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    create("batch_progress", BATCH_PROGRESS, **COUNTS, **moments("batches", "created_at", "sealed_at"))
    create("job_errors", JOB_ERRORS, **moments("jobs", "finished_at"))
    create("stale_records", STALE_RECORDS, **moments("extractions", "created_at"))
    moment = "extractions.created_at"
    day = f"CAST({moment} AT TIME ZONE 'UTC' AS date)" if is_postgresql else f"date({moment})"
    create("usage_daily", USAGE_DAILY, day=day)


def downgrade() -> None:
    for view in ("usage_daily", "stale_records", "job_errors", "batch_progress"):
        op.execute(f"DROP VIEW {view}")
    op.drop_table("reuses")
    op.drop_column("extractions", "device_seconds")
    op.drop_column("schema_versions", "fields")


def create(view: str, query: str, **parts: str) -> None:
    op.execute(f"CREATE VIEW {view} AS {query.format(**parts)}")


def moments(table: str, *columns: str) -> dict[str, str]:
    """Moments in UTC without a zone, whatever the zone of the session is."""
    zone = " AT TIME ZONE 'UTC'" if op.get_bind().dialect.name == "postgresql" else ""
    return {column: f"{table}.{column}{zone}" for column in columns}
