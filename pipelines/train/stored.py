"""Records of the database as labels."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from workers.store.models import Document, Extraction, Job, JobState, SchemaVersion
from workers.store.session import reading


def read_store(store: sa.Engine, schema: str) -> Iterator[tuple[str, Any]]:
    """The documents whose records hold, as labels with their places; of several records the newest."""
    query = (
        select(Document.id, Document.text, Extraction.wire_record)
        .join(Job, Job.document_id == Document.id)
        .join(Extraction, Extraction.job_id == Job.id)
        .join(SchemaVersion, SchemaVersion.id == Job.schema_version_id)
        .where(SchemaVersion.name == schema, Job.state == JobState.DONE)
        .order_by(Document.id, Extraction.id.desc())
    )
    last = None
    with reading(store) as conn:
        for document_id, text, record in conn.execution_options(yield_per=500).execute(query):
            if document_id != last:
                last = document_id
                yield f"document {document_id}", {"text": text, "gold": record}
