"""Jobs that take from an earlier job of their document: which, and what that one left."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, literal, select
from sqlalchemy.orm import aliased

from workers.store.models import Evidence, Extraction, Job, JobState, Reuse
from workers.store.session import in_chunks, insert_into
from workers.store.types import Json


@dataclass(frozen=True, kw_only=True)
class Reused:
    """What a job has to go on: the fields it extracts, and the earlier wire record with its evidence."""

    fields: tuple[str, ...]
    wire_record: dict[str, Any]
    # columns of `evidence` by path
    evidence: dict[str, Row[Any]]


def put_reuses(conn: Connection, reuses: Iterable[tuple[int, int, Sequence[str]]]) -> None:
    """Note (job, earlier job, fields to extract), of a job that is queued again in the place of what was noted."""
    insert = insert_into(conn, Reuse)
    insert = insert.on_conflict_do_update(
        index_elements=["job_id"],
        set_={name: insert.excluded[name] for name in ("base_job_id", "fields")},
    )
    rows = [
        {"job_id": job_id, "base_job_id": base_id, "fields": list(names)} for job_id, base_id, names in reuses
    ]
    if rows:
        conn.execute(insert, rows)


def reuse_whole(conn: Connection, job_ids: Collection[int], version_ids: Collection[int]) -> None:
    """Let those of these new jobs extract nothing whose document has a record of one of these versions."""
    base = aliased(Job)
    for chunk in in_chunks(job_ids if version_ids else ()):
        query = (
            select(Job.id, func.max(base.id), literal([], Json))
            .join(
                base,
                (base.document_id == Job.document_id)
                & (base.checkpoint_id == Job.checkpoint_id)
                & (base.id != Job.id),
            )
            .join(Extraction, Extraction.job_id == base.id)
            .where(
                Job.id.in_(chunk),
                base.schema_version_id.in_(version_ids),
                base.state.in_([JobState.DONE, JobState.REVIEW]),
                Extraction.wire_record.is_not(None),
            )
            .group_by(Job.id)
        )
        insert = insert_into(conn, Reuse).from_select(["job_id", "base_job_id", "fields"], query)
        conn.execute(insert.on_conflict_do_nothing())


def read_reuses(conn: Connection, job_ids: Collection[int]) -> dict[int, Reused]:
    """What those of these jobs reuse that do; a job whose earlier record cannot be read is left out."""
    query = (
        select(Reuse.job_id, Reuse.fields, Extraction.id, Extraction.wire_record)
        .join(Extraction, Extraction.job_id == Reuse.base_job_id)
        .where(Reuse.job_id.in_(job_ids), Extraction.wire_record.is_not(None))
    )
    found = conn.execute(query).all()
    columns = Evidence.__table__
    rows = conn.execute(select(columns).where(columns.c.extraction_id.in_([row.id for row in found])))
    evidence: dict[int, dict[str, Row[Any]]] = {row.id: {} for row in found}
    for row in rows:
        evidence[row.extraction_id][row.path] = row
    return {
        row.job_id: Reused(fields=tuple(row.fields), wire_record=row.wire_record, evidence=evidence[row.id])
        for row in found
    }
