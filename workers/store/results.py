"""Results: everything that comes of a chunk of jobs, in one transaction that a lost lease keeps out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from schemas.errors import ConversionError
from schemas.validate import Fault
from workers.store import rows as typed
from workers.store.bulk import insert_rows
from workers.store.jobs import Claimed, Failure, Finished, fail_or_retry, finish
from workers.store.models import Document, Evidence, Extraction, JobState
from workers.store.records import RecordTables
from workers.store.session import transaction


class EvidenceRow(NamedTuple):
    """Where one leaf stands in the document: code points of the stored text, the end exclusive."""

    path: str
    state: str
    value: str | None
    start_char: int | None = None
    end_char: int | None = None
    text: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a claimed job: done with rows, or review with its reasons."""

    job: Claimed
    state: JobState
    # a code and a sentence, if the state is review
    error_code: str | None = None
    error: str | None = None
    wire_record: Mapping[str, Any] | None
    # Python values, as `model_dump()` gives them
    record: Mapping[str, Any] | None
    # the raw text, if it does not parse
    answer: str | None = None
    finish: str
    confidence: float | None = None
    faults: Sequence[Fault] = ()
    evidence: Sequence[EvidenceRow] = ()
    num_windows: int = 1
    prompt_tokens: int = 0
    output_tokens: int = 0
    forwards: int = 0
    seconds: float = 0.0
    device_seconds: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
    # where the record goes if the state is done; they exist (`tables.ensure`)
    tables: RecordTables | None = None

    @property
    def finished(self) -> Finished:
        return Finished(
            job_id=self.job.job_id,
            fence=self.job.fence,
            state=self.state,
            error_code=self.error_code,
            error=self.error,
        )

    @property
    def typed_record(self) -> tuple[RecordTables, Mapping[str, Any]] | None:
        """The tables and the record that go into them; None for a result that has no typed rows."""
        if self.state is not JobState.DONE or self.tables is None or self.record is None:
            return None
        return self.tables, self.record


def save(engine: Engine, owner: str, results: Sequence[Result]) -> set[int]:
    """Persist a chunk; if the database refuses a value in it, one by one, failing the job of what it refuses.

    The ids of the jobs that were no longer ours, of which nothing was written.
    """
    try:
        with transaction(engine) as conn:
            return persist(conn, owner, results)
    except (DataError, IntegrityError) as exc:
        if len(results) > 1:
            return set().union(*(save(engine, owner, [result]) for result in results))
        return _fail(engine, owner, results[0].job, str(exc.orig))


def _fail(engine: Engine, owner: str, job: Claimed, said: str) -> set[int]:
    failure = Failure(
        job_id=job.job_id,
        fence=job.fence,
        error_code="unstorable",
        error=f"The database refuses the result: {' '.join(said.split())}",
        retryable=False,
    )
    with transaction(engine) as conn:
        return {job.job_id} - fail_or_retry(conn, owner, [failure])


def persist(conn: Connection, owner: str, results: Sequence[Result]) -> set[int]:
    """Finish the jobs that are still ours and write all that came of them; the ids of the others."""
    checked = [_with_rows(result) for result in results]
    ours = finish(conn, owner, (result.finished for result, _ in checked))
    kept = [(result, rows) for result, rows in checked if result.job.job_id in ours]
    if kept:
        extraction_ids = _put_extractions(conn, [result for result, _ in kept])
        _put_evidence(conn, [result for result, _ in kept], extraction_ids)
        _put_rows(conn, kept, extraction_ids)
    return {result.job.job_id for result in results} - ours


def _with_rows(result: Result) -> tuple[Result, typed.Rows | None]:
    """The result and its typed rows; in review if its record does not fit the columns."""
    if result.typed_record is None:
        return result, None
    tables, record = result.typed_record
    try:
        return result, typed.rows(tables, result.job.document_id, result.confidence, record)
    except ConversionError as exc:
        fault = Fault(path="", message=exc.message)
        in_review = replace(
            result,
            state=JobState.REVIEW,
            error_code=exc.code,
            error=exc.message,
            faults=[*result.faults, fault],
        )
        return in_review, None


def _put_extractions(conn: Connection, results: Iterable[Result]) -> dict[int, int]:
    """The ids of the new extractions by job."""
    statement = insert(Extraction).returning(Extraction.job_id, Extraction.id)
    new = [_extraction(result) for result in results]
    return {row.job_id: row.id for row in conn.execute(statement, new)}


def _extraction(result: Result) -> dict[str, Any]:
    return {
        "job_id": result.job.job_id,
        "document_id": result.job.document_id,
        "schema_version_id": result.job.schema_version_id,
        "checkpoint_id": result.job.checkpoint_id,
        "wire_record": _json(result.wire_record),
        "record": _json(result.record),
        "answer": result.answer and typed.storable_text(result.answer),
        "finish": result.finish,
        "confidence": result.confidence,
        "errors": _json([asdict(fault) for fault in result.faults]),
        "num_windows": result.num_windows,
        "prompt_tokens": result.prompt_tokens,
        "output_tokens": result.output_tokens,
        "forwards": result.forwards,
        "seconds": result.seconds,
        "device_seconds": result.device_seconds,
        "timings": dict(result.timings),
    }


def _json(value: Any) -> Any:
    """Plain JSON that JSONB takes: decimals and dates as text, infinities as null."""
    if isinstance(value, str):
        return typed.storable_text(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {name: _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return to_jsonable_python(value, inf_nan_mode="null")


def _put_evidence(conn: Connection, results: Iterable[Result], extraction_ids: Mapping[int, int]) -> None:
    new = [
        (extraction_ids[result.job.job_id], position, *map(_json, row))
        for result in results
        for position, row in enumerate(result.evidence)
    ]
    insert_rows(conn, Evidence.__table__, new)


def _put_rows(
    conn: Connection,
    results: Iterable[tuple[Result, typed.Rows | None]],
    extraction_ids: Mapping[int, int],
) -> None:
    """Make each record the current one of its document; of two in one chunk the later stays.

    A result in review leaves the rows that an earlier schema version or checkpoint wrote.
    """
    found: dict[str, tuple[RecordTables, dict[int, tuple[int, typed.Rows]]]] = {}
    for result, rows in results:
        if result.tables and rows:
            _, by_document = found.setdefault(result.tables.main.name, (result.tables, {}))
            by_document[rows.document_id] = (extraction_ids[result.job.job_id], rows)
    _lock_documents(conn, {document_id for _, by_document in found.values() for document_id in by_document})
    for tables, by_document in found.values():
        typed.replace(conn, tables, dict(by_document.values()))


def _lock_documents(conn: Connection, ids: set[int]) -> None:
    # two schema versions of a document may finish at once: the second waits, then replaces the first's rows
    query = select(Document.id).where(Document.id.in_(ids)).order_by(Document.id)
    if ids:
        conn.execute(query.with_for_update(key_share=True)).all()
