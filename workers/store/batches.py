"""Batches: the ledger of what was given, and the jobs made or found for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from workers.store.jobs import WAITING
from workers.store.models import Batch, BatchEntry, Document, Job, JobState
from workers.store.session import Exclusive, in_chunks, insert_into, wait_for_turn
from workers.store.steer import FRESH
from workers.store.types import db_time

# priorities: the lower, the sooner
LIVE, BACKFILL = 0, 100
# whoever enqueues says this often that it is alive
FEED_S = 10.0

_EXTRACTED = frozenset({JobState.DONE, JobState.REVIEW})
_AGAIN = frozenset({JobState.FAILED, JobState.CANCELLED})


class Outcome(StrEnum):
    """What adding an entry did to its job."""

    NEW = "new"
    # it had failed or was cancelled, and is queued once more
    AGAIN = "again"
    # it is queued or being worked on already
    SHARED = "shared"
    ALREADY_DONE = "already_done"
    # its document has no text: the job failed at once
    UNREADABLE = "unreadable"

    @property
    def to_send(self) -> bool:
        """Whether a message with the job's id is to be sent."""
        return self in {Outcome.NEW, Outcome.AGAIN}


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """A thing given to a batch; its position is counted by the caller."""

    position: int
    origin: str
    document_id: int
    # of the document that it came with
    parent_origin: str | None = None


@dataclass(frozen=True)
class Added:
    """The job of an entry."""

    job_id: int
    outcome: Outcome


def open_batch(
    conn: Connection,
    schema_version_id: int,
    checkpoint_id: int,
    *,
    max_failures: float | None = None,
    review_below: float | None = None,
) -> int:
    """A new batch; its id. It is stopped once more than the share `max_failures` has failed, and records with a
    confidence lower than `review_below` go to review.
    """
    row = {
        "schema_version_id": schema_version_id,
        "checkpoint_id": checkpoint_id,
        "max_failures": max_failures,
        "review_below": review_below,
    }
    return conn.execute(insert(Batch).values(fed_at=db_time()).returning(Batch.id), row).scalar_one()


def feed(conn: Connection, batch_id: int) -> None:
    """Say that whoever enqueues the batch is still at it."""
    conn.execute(update(Batch).where(Batch.id == batch_id).values(fed_at=db_time()))


def add_entries(
    conn: Connection, batch_id: int, entries: Sequence[NewEntry], *, priority: int = LIVE
) -> list[Added]:
    """Enter things into the ledger, making or finding the job of each; in the order given.

    The ids of those that say `to_send` are to be sent after the commit.
    """
    if not entries:
        return []
    query = select(Batch.schema_version_id, Batch.checkpoint_id).where(Batch.id == batch_id)
    versions = dict(conn.execute(query).one()._mapping)
    wait_for_turn(conn, Exclusive.ENQUEUE)
    document_ids = list(dict.fromkeys(entry.document_id for entry in entries))
    errors = _errors(conn, document_ids)
    before = _jobs(conn, document_ids, versions)
    missing = {document_id: errors[document_id] for document_id in document_ids if document_id not in before}
    _make_jobs(conn, missing, versions | {"priority": priority})
    after = _jobs(conn, document_ids, versions) if missing else before
    outcomes = _outcomes(entries, errors, before)
    added = [
        Added(after[entry.document_id].id, outcome) for entry, outcome in zip(entries, outcomes, strict=True)
    ]
    _requeue(conn, [one.job_id for one in added if one.outcome is Outcome.AGAIN], priority)
    _hurry(conn, [one.job_id for one in added if one.outcome is Outcome.SHARED], priority)
    conn.execute(insert(BatchEntry), [_row(batch_id, *pair) for pair in zip(entries, added, strict=True)])
    return added


class _Reason(NamedTuple):
    error_code: str
    error: str


class _Known(NamedTuple):
    id: int
    state: JobState


def _errors(conn: Connection, document_ids: Sequence[int]) -> dict[int, _Reason | None]:
    """The error of each document, None for one that has a text."""
    errors: dict[int, _Reason | None] = {}
    for chunk in in_chunks(document_ids):
        query = select(Document.id, Document.error_code, Document.error).where(Document.id.in_(chunk))
        for document_id, code, error in conn.execute(query):
            errors[document_id] = None if code is None else _Reason(code, error or "")
    return errors


def _jobs(conn: Connection, document_ids: Sequence[int], versions: dict[str, int]) -> dict[int, _Known]:
    """The jobs that these documents have."""
    jobs: dict[int, _Known] = {}
    for chunk in in_chunks(document_ids):
        query = (
            select(Job.document_id, Job.id, Job.state).filter_by(**versions).where(Job.document_id.in_(chunk))
        )
        jobs.update({row.document_id: _Known(row.id, JobState(row.state)) for row in conn.execute(query)})
    return jobs


def _make_jobs(conn: Connection, errors: dict[int, _Reason | None], common: dict[str, int]) -> None:
    """Queue a job for each readable document, fail one for each unreadable document."""
    statement = insert_into(conn, Job).on_conflict_do_nothing()
    queued = [
        common | {"document_id": document_id, "state": JobState.QUEUED.value}
        for document_id, reason in errors.items()
        if reason is None
    ]
    failed = [
        common | {"document_id": document_id, "state": JobState.FAILED.value} | reason._asdict()
        for document_id, reason in errors.items()
        if reason is not None
    ]
    if queued:
        conn.execute(statement, queued)
    if failed:
        conn.execute(statement.values(finished_at=db_time()), failed)


def _outcomes(
    entries: Sequence[NewEntry], errors: dict[int, _Reason | None], before: dict[int, _Known]
) -> Iterator[Outcome]:
    queued: set[int] = set()
    for entry in entries:
        known = before.get(entry.document_id)
        outcome = _outcome(known and known.state, readable=errors[entry.document_id] is None)
        # the same content a second time shares the job that the first one queued
        yield Outcome.SHARED if entry.document_id in queued else outcome
        if outcome.to_send:
            queued.add(entry.document_id)


def _outcome(state: JobState | None, *, readable: bool) -> Outcome:
    if state in _EXTRACTED:
        return Outcome.ALREADY_DONE
    if not readable:
        return Outcome.UNREADABLE
    if state is None:
        return Outcome.NEW
    return Outcome.AGAIN if state in _AGAIN else Outcome.SHARED


def _requeue(conn: Connection, job_ids: Sequence[int], priority: int) -> None:
    for chunk in in_chunks(job_ids):
        again = update(Job).where(Job.id.in_(chunk), Job.state.in_(_AGAIN))
        conn.execute(again.values(WAITING | FRESH | {"priority": priority}))


def _hurry(conn: Connection, job_ids: Sequence[int], priority: int) -> None:
    """A job that several batches wait for is as urgent as the most urgent of them."""
    for chunk in in_chunks(job_ids):
        slower = update(Job).where(Job.id.in_(chunk), Job.priority > priority)
        conn.execute(slower.values(priority=priority))


def _row(batch_id: int, entry: NewEntry, added: Added) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "position": entry.position,
        "origin": entry.origin,
        "parent_origin": entry.parent_origin,
        "job_id": added.job_id,
        "already_done": added.outcome is Outcome.ALREADY_DONE,
    }


def seal(conn: Connection, batch_id: int) -> None:
    """Say that the batch was given everything."""
    conn.execute(update(Batch).where(Batch.id == batch_id).values(sealed_at=db_time()))
