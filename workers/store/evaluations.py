"""What evaluations measured, so that versions and checkpoints can be compared over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from workers.store.models import CheckpointRow, Evaluation, SchemaVersion


@dataclass(frozen=True, kw_only=True)
class NewEvaluation:
    """A measurement of a checkpoint with a schema version on a file of labels."""

    schema_version_id: int
    checkpoint_id: int
    # the file's name, and SHA-256 of its bytes
    labels: str
    labels_digest: str
    num_documents: int
    figures: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StoredEvaluation:
    """A measurement as it was stored."""

    id: int
    created_at: datetime
    schema_digest: str
    # how the schema version chooses examples
    shots: str
    checkpoint: str
    labels: str
    labels_digest: str
    num_documents: int
    figures: dict[str, Any]


def put_evaluation(conn: Connection, evaluation: NewEvaluation) -> int:
    """Store a measurement; its id."""
    row = {**evaluation.__dict__, "figures": dict(evaluation.figures)}
    return conn.execute(insert(Evaluation).returning(Evaluation.id), row).scalar_one()


def list_evaluations(conn: Connection, schema: str) -> list[StoredEvaluation]:
    """The measurements of all versions of a schema, the oldest first."""
    query = (
        select(
            Evaluation.id,
            Evaluation.created_at,
            SchemaVersion.digest.label("schema_digest"),
            # older versions could not choose
            func.coalesce(SchemaVersion.settings["shots"].as_string(), "first").label("shots"),
            CheckpointRow.name.label("checkpoint"),
            Evaluation.labels,
            Evaluation.labels_digest,
            Evaluation.num_documents,
            Evaluation.figures,
        )
        .join(SchemaVersion, SchemaVersion.id == Evaluation.schema_version_id)
        .join(CheckpointRow, CheckpointRow.id == Evaluation.checkpoint_id)
        .where(SchemaVersion.name == schema)
        .order_by(Evaluation.id)
    )
    return [StoredEvaluation(**row._asdict()) for row in conn.execute(query)]
