"""Schema versions and checkpoints: what a job is done with, each stored once by its digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from workers.engine.protocol import Checkpoint
from workers.store.models import Batch, CheckpointRow, SchemaVersion
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
    # `schemas.changes.nodes` of its form
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StoredVersion:
    """What is needed to tell one version of a schema from another."""

    id: int
    digest: str
    wire_schema: dict[str, Any]
    settings: dict[str, Any]
    examples: list[Any]
    # None if it was stored before these were
    fields: dict[str, Any] | None
    created_at: datetime


class VersionHead(NamedTuple):
    """What a worker needs to know whether it has a stored version."""

    id: int
    name: str
    digest: str
    settings: dict[str, Any]


def put_schema_version(conn: Connection, version: NewSchemaVersion) -> int:
    """Its id, stored now or before."""
    insert = insert_into(conn, SchemaVersion)
    insert = insert.on_conflict_do_update(
        index_elements=["digest"],
        set_={"fields": insert.excluded.fields},
        where=SchemaVersion.fields.is_(None) & insert.excluded.fields.is_not(None),
    )
    conn.execute(
        insert,
        {
            "name": version.name,
            "digest": version.digest,
            "wire_schema": dict(version.wire_schema),
            "record_schema": dict(version.record_schema),
            "settings": dict(version.settings),
            "examples": list(version.examples),
            "fields": None if version.fields is None else dict(version.fields),
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


def list_versions(conn: Connection) -> list[VersionHead]:
    """Every stored schema version."""
    query = select(SchemaVersion.id, SchemaVersion.name, SchemaVersion.digest, SchemaVersion.settings)
    return [VersionHead(*row) for row in conn.execute(query)]


def versions_of(conn: Connection, name: str) -> list[StoredVersion]:
    """The stored versions of a schema, the newest first."""
    columns = [getattr(SchemaVersion, each.name) for each in fields(StoredVersion)]
    query = select(*columns).where(SchemaVersion.name == name).order_by(SchemaVersion.id.desc())
    return [StoredVersion(**row._asdict()) for row in conn.execute(query)]


def in_use(conn: Connection, name: str) -> StoredVersion | None:
    """The version of a schema that was enqueued last; None if none was."""
    query = (
        select(Batch.schema_version_id)
        .join(SchemaVersion, SchemaVersion.id == Batch.schema_version_id)
        .where(SchemaVersion.name == name)
        .order_by(Batch.id.desc())
        .limit(1)
    )
    version_id = conn.execute(query).scalar()
    return next((each for each in versions_of(conn, name) if each.id == version_id), None)
