"""A small world in a store: a schema version, a checkpoint and documents by their texts."""

from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from sqlalchemy import Engine, func, select

from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.engine.protocol import Checkpoint
from workers.store.batches import Added, NewEntry, add_entries, open_batch
from workers.store.documents import NewDocument, put_documents
from workers.store.jobs import Claimed, claim
from workers.store.models import Job, JobState
from workers.store.records import RecordTables, tables
from workers.store.results import EvidenceRow, Result
from workers.store.session import reading, transaction
from workers.store.tables import ensure
from workers.store.versions import NewSchemaVersion, put_checkpoint, put_schema_version


def document(text: str | None, origin: str = "a.txt") -> NewDocument:
    return NewDocument(
        content_hash=sha256(f"{origin if text is None else text}".encode()).hexdigest(),
        origin=origin,
        media_type="text/plain",
        text=text,
        error_code="empty_document" if text is None else None,
        error="There is no text in it." if text is None else None,
    )


@dataclass
class World:
    engine: Engine
    version_id: int = 0
    checkpoint_id: int = 0
    batch_id: int = 0
    positions: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with transaction(self.engine) as conn:
            self.version_id = put_schema_version(conn, self.version("v1"))
            self.checkpoint_id = put_checkpoint(conn, Checkpoint(name="small", digest="c1"))
            self.batch_id = open_batch(conn, self.version_id, self.checkpoint_id)

    def version(self, digest: str) -> NewSchemaVersion:
        return NewSchemaVersion(
            name="invoice",
            digest=digest,
            wire_schema={"type": "object"},
            record_schema={},
            settings={},
            examples=[],
        )

    def add(self, *texts: str | None, batch_id: int | None = None, priority: int = 0) -> list[Added]:
        batch_id = batch_id or self.batch_id
        start = self.positions.get(batch_id, 0)
        self.positions[batch_id] = start + len(texts)
        origins = [f"{batch_id}/{start + offset}.txt" for offset in range(len(texts))]
        with transaction(self.engine) as conn:
            ids = put_documents(conn, [document(*pair) for pair in zip(texts, origins, strict=True)])
            entries = [
                NewEntry(position=start + offset, origin=origins[offset], document_id=document_id)
                for offset, document_id in enumerate(ids)
            ]
            return add_entries(conn, batch_id, entries, priority=priority)

    def claim(
        self, owner: str, lease_s: float = 60, limit: int = 64, ids: list[int] | None = None
    ) -> list[Claimed]:
        with transaction(self.engine) as conn:
            return claim(
                conn, ids, owner=owner, checkpoint_id=self.checkpoint_id, lease_s=lease_s, limit=limit
            )

    def job(self, job_id: int) -> Job:
        with reading(self.engine) as conn:
            return conn.execute(select(Job.__table__).where(Job.id == job_id)).one()

    def count(self, table) -> int:
        with reading(self.engine) as conn:
            return conn.execute(select(func.count()).select_from(table)).scalar_one()

    def tables(self, name: str = "invoice") -> RecordTables:
        items = ObjectForm(
            fields=(("description", Leaf(kind=Kind.TEXT)), ("amount", Leaf(kind=Kind.DECIMAL)))
        )
        made = tables(
            name,
            ObjectForm(fields=(("total", Leaf(kind=Kind.DECIMAL)), ("line_items", ListForm(item=items)))),
        )
        with transaction(self.engine) as conn:
            ensure(conn, made)
        return made

    def result(self, job: Claimed, record: dict | None = None, made: RecordTables | None = None) -> Result:
        return Result(
            job=job,
            state=JobState.DONE,
            wire_record={"total": "12.30"},
            record=record,
            finish="stop",
            confidence=0.75,
            evidence=[EvidenceRow(path="total", state="verbatim", value="12.30", start_char=0, end_char=5)],
            tables=made,
        )


@pytest.fixture
def world(store) -> World:
    """A store with a schema version, a checkpoint and an open batch, on both databases."""
    return World(store)
