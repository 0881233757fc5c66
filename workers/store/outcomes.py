"""How documents ended and what came of them, in the order in which people look at them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, Row, Select, Subquery, case, cast, func, select

from schemas.errors import ConfigurationError
from workers.store.models import BatchEntry, CheckpointRow, Document, Evidence, Extraction, Job, JobState, Run
from workers.store.models import SchemaVersion as Version
from workers.store.progress import Progress, progress
from workers.store.session import in_chunks, reading
from workers.store.types import MAX_ID

NUM_BINS = 10
_RUN = "run:"
# characters of the documents that are shown together, but for one that is longer
CHARS_PER_PAGE = 100_000
# what a document takes beside its text
_CHARS_AROUND = 3000
_LOOKED_AT_FIRST = {JobState.REVIEW: 0, JobState.DONE: 1}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which jobs are looked at."""

    title: str
    schema: str
    # columns position, origin and job_id
    entries: Select[int, str, int]
    # None where jobs of many batches are looked at
    batch: Progress | None = None


class Order(Enum):
    """How documents are listed; the value names columns."""

    # review, done, the rest; in each the least sure first
    LOOKED_AT = ("rank",)
    LEAST_SURE = ("lacks_confidence", "confidence", "rank")
    GIVEN = ("position",)


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many entries are in a state for a reason, with the message of one of them."""

    state: JobState
    code: str | None
    example: str
    num: int


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads, and sees nothing of what others write meanwhile."""
    with reading(engine) as conn:
        if conn.dialect.name == "postgresql":
            conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield conn


def find(conn: Connection, what: str) -> Scope:
    """What people mean: the id of a batch, `run:` and that of a run, or a schema; raises as the functions for these."""
    if what.startswith(_RUN):
        return of_run(conn, what.removeprefix(_RUN))
    batch_id = _as_id(what)
    return of_schema(conn, what) if batch_id is None else of_batch(conn, batch_id)


def _as_id(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 20 and int(text) <= MAX_ID else None


def of_batch(conn: Connection, batch_id: int) -> Scope:
    """Every entry of a batch.

    Raises:
        ConfigurationError: there is no such batch.
    """
    batch = progress(conn, batch_id)
    entries = select(BatchEntry.position, BatchEntry.origin, BatchEntry.job_id)
    chosen = entries.where(BatchEntry.batch_id == batch_id)
    return Scope(title=f"batch {batch_id}", schema=batch.schema, entries=chosen, batch=batch)


def of_run(conn: Connection, run_id: str) -> Scope:
    """Every document that a run of a pipeline took.

    Raises:
        ConfigurationError: there is no such run, or it took none.
    """
    query = select(Run.pipeline, Run.batch_id).where(Run.id == _as_id(run_id))
    run = conn.execute(query).first()
    if run is None or run.batch_id is None:
        raise ConfigurationError(
            f"Run {run_id} of a pipeline {'took no documents' if run else 'does not exist'}.",
            hint="`gleaner pipelines show NAME` lists the runs of a pipeline.",
        )
    return replace(of_batch(conn, run.batch_id), title=f"run {run_id} of {run.pipeline}")


def of_schema(conn: Connection, name: str) -> Scope:
    """The newest job of every document of a schema, whatever its version and checkpoint.

    Raises:
        ConfigurationError: nothing was ever extracted with such a schema.
    """
    names = sorted(set(conn.execute(select(Version.name)).scalars()))
    if name not in names:
        raise ConfigurationError(
            f"The database knows no schema {name!r}; it knows {', '.join(names) or 'none'}.",
            hint="Name one of them, or the id of a batch: `gleaner status` lists the batches.",
        )
    newest = (
        select(func.max(Job.id))
        .join(Version, Version.id == Job.schema_version_id)
        .where(Version.name == name)
        .group_by(Job.document_id)
    )
    columns = select(Job.id.label("position"), Document.origin, Job.id.label("job_id"))
    entries = columns.join(Document, Document.id == Job.document_id).where(Job.id.in_(newest))
    return Scope(title="all documents", schema=name, entries=entries)


def counts(conn: Connection, scope: Scope) -> list[Count]:
    """Entries by state and reason, the most frequent first."""
    given, num = scope.entries.subquery(), func.count()
    query = (
        select(Job.state, Job.error_code, func.min(Job.error), num)
        .join(given, given.c.job_id == Job.id)
        .group_by(Job.state, Job.error_code)
        .order_by(num.desc(), Job.state, Job.error_code)
    )
    return [
        Count(state=JobState(state), code=code, example=example or "", num=num)
        for state, code, example, num in conn.execute(query)
    ]


def confidence_bins(conn: Connection, scope: Scope) -> dict[JobState, list[int]]:
    """How many records of each state have a confidence in each of the equal parts of 0 to 1."""
    given = scope.entries.subquery()
    # the last holds 1 itself
    number = case(
        *[(Extraction.confidence < (end + 1) / NUM_BINS, end) for end in range(NUM_BINS - 1)],
        else_=NUM_BINS - 1,
    ).label("bin")
    query = (
        select(Job.state, number, func.count())
        .join(given, given.c.job_id == Job.id)
        .join(Extraction, Extraction.job_id == Job.id)
        .where(Extraction.confidence.is_not(None))
        .group_by(Job.state, number)
    )
    found: dict[JobState, list[int]] = {}
    for state, bin_, num in conn.execute(query):
        found.setdefault(JobState(state), [0] * NUM_BINS)[bin_] = num
    return found


def evidence_states(conn: Connection, scope: Scope) -> dict[str, int]:
    """How many fields are in each state."""
    given = scope.entries.subquery()
    query = (
        select(Evidence.state, func.count())
        .join(Extraction, Extraction.id == Evidence.extraction_id)
        .join(given, given.c.job_id == Extraction.job_id)
        .group_by(Evidence.state)
    )
    return dict(conn.execute(query).all())


def listing(
    conn: Connection,
    scope: Scope,
    order: Order,
    *,
    state: JobState | None = None,
    code: str | None = None,
) -> Iterator[Row[Any]]:
    """Entries with state, reason and confidence, their `rank` from 1 and the `page` they are shown on."""
    listed = _listed(scope)
    query = select(listed).order_by(*(listed.c[name] for name in order.value))
    if state is not None:
        query = query.where(listed.c.state == state)
    if code is not None:
        query = query.where(listed.c.error_code == code)
    return iter(conn.execute(query, execution_options={"yield_per": 500}))


def _listed(scope: Scope) -> Subquery:
    given = scope.entries.subquery()
    lacks_confidence = Extraction.confidence.is_(None)
    group = case(_LOOKED_AT_FIRST, value=Job.state, else_=len(_LOOKED_AT_FIRST))
    order = (group, lacks_confidence, Extraction.confidence, given.c.position)
    end = func.sum(Document.num_chars + _CHARS_AROUND).over(order_by=order, rows=(None, 0))
    ranked = (
        select(
            given.c.position,
            given.c.origin,
            Job.id.label("job_id"),
            Job.state,
            Job.error_code,
            Job.error,
            Extraction.confidence,
            lacks_confidence.label("lacks_confidence"),
            func.row_number().over(order_by=order).label("rank"),
            (cast(end, BigInteger) // CHARS_PER_PAGE).label("stretch"),
        )
        .join_from(given, Job, Job.id == given.c.job_id)
        .join(Document, Document.id == Job.document_id)
        .outerjoin(Extraction, Extraction.job_id == Job.id)
        .subquery()
    )
    page = func.dense_rank().over(order_by=ranked.c.stretch).label("page")
    return select(ranked, page).subquery()


def contents(conn: Connection, job_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Text, record and all that is known of jobs, by id."""
    query = (
        select(
            Job.id,
            Job.document_id,
            Document.text,
            Document.num_chars,
            CheckpointRow.name.label("checkpoint"),
            Extraction.id.label("extraction_id"),
            Extraction.record,
            Extraction.wire_record,
            Extraction.answer,
            Extraction.errors,
        )
        .join(Document, Document.id == Job.document_id)
        .join(CheckpointRow, CheckpointRow.id == Job.checkpoint_id)
        .outerjoin(Extraction, Extraction.job_id == Job.id)
    )
    chunks = in_chunks(job_ids)
    return {row.id: row for chunk in chunks for row in conn.execute(query.where(Job.id.in_(chunk)))}


def evidence(conn: Connection, extraction_ids: Sequence[int]) -> Mapping[int, list[Row[Any]]]:
    """The evidence of extractions in the order of their fields, by the id of the extraction."""
    order = (Evidence.extraction_id, Evidence.position)
    found: dict[int, list[Row[Any]]] = {}
    for chunk in in_chunks(extraction_ids):
        query = select(Evidence.__table__).where(Evidence.extraction_id.in_(chunk)).order_by(*order)
        for extraction_id, rows in groupby(conn.execute(query), key=attrgetter("extraction_id")):
            found[extraction_id] = list(rows)
    return found
