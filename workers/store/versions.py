"""Schema versions and checkpoints: what a job is done with, each stored once by its digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from workers.engine.protocol import Checkpoint
from workers.store.models import CheckpointRow, SchemaVersion
from workers.store.session import insert_into


@dataclass(frozen=True, kw_only=True)
class NewSchemaVersion:
    """A schema as it is now; all but the name is JSON."""

    name: str
    digest: str
    wire_schema: Mapping[str, Any]
    record_schema: Mapping[str, Any]
    settings: Mapping[str, Any]
    examples: Sequence[Any]


class StoredVersion(NamedTuple):
    """What tells a stored schema version from others."""

    id: int
    name: str
    digest: str
    settings: dict[str, Any]


def put_schema_version(conn: Connection, version: NewSchemaVersion) -> int:
    """Its id, stored now or before."""
    insert = insert_into(conn, SchemaVersion).on_conflict_do_nothing(index_elements=["digest"])
    conn.execute(
        insert,
        {
            "name": version.name,
            "digest": version.digest,
            "wire_schema": dict(version.wire_schema),
            "record_schema": dict(version.record_schema),
            "settings": dict(version.settings),
            "examples": list(version.examples),
        },
    )
    return conn.execute(select(SchemaVersion.id).where(SchemaVersion.digest == version.digest)).scalar_one()


def put_checkpoint(conn: Connection, checkpoint: Checkpoint) -> int:
    """Its id, stored now or before."""
    query = select(CheckpointRow.id).where(CheckpointRow.digest == checkpoint.digest)
    stored = conn.execute(query).scalar_one_or_none()
    if stored is not None:
        return stored
    insert = insert_into(conn, CheckpointRow).on_conflict_do_nothing(index_elements=["digest"])
    conn.execute(
        insert,
        {
            "digest": checkpoint.digest,
            "name": checkpoint.name,
            "is_placeholder": checkpoint.is_placeholder,
        },
    )
    return conn.execute(query).scalar_one()


def list_versions(conn: Connection) -> list[StoredVersion]:
    """Every stored schema version."""
    query = select(SchemaVersion.id, SchemaVersion.name, SchemaVersion.digest, SchemaVersion.settings)
    return [StoredVersion(*row) for row in conn.execute(query)]
