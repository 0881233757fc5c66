"""A source -> documents -> jobs, committed a chunk at a time, then messages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypedDict, Unpack

import sqlalchemy as sa

from pipelines.compare import Difference
from pipelines.readers import Limits, Read
from schemas.base import Schema
from schemas.changes import nodes
from schemas.errors import TransientError
from workers.engine.protocol import Checkpoint
from workers.meanwhile import meanwhile
from workers.settings import Settings
from workers.store import batches, documents, records, reuses, steer, tables, versions
from workers.store.batches import LIVE, Added, NewEntry, Outcome
from workers.store.documents import NewDocument
from workers.store.session import transaction
from workers.store.versions import NewSchemaVersion

# the most documents and characters of one transaction
COMMIT_SIZE = 256
COMMIT_CHARS = 8_000_000


class IngestOptions(TypedDict, total=False):
    """How the jobs of a batch are to be treated."""

    # the lower, the sooner
    priority: int
    # the share of failed documents at which the batch is stopped
    max_failures: float | None
    # the confidence below which a record goes to review
    review_below: float | None


def ingest(
    store: sa.Engine,
    reads: Iterable[Read],
    schema: Schema,
    checkpoint: Checkpoint,
    *,
    on_commit: Callable[[Sequence[int]], None] = lambda job_ids: None,
    **options: Unpack[IngestOptions],
) -> int:
    """Store every document once, make a job for each, and return the batch's id.

    `on_commit` is given the ids of open jobs after each commit, so that messages are sent for rows that exist.
    Streams: no more than a chunk of documents is in memory. Ends early if the batch is cancelled or stopped.
    """
    with transaction(store) as conn:
        batch_id = open_batch(conn, schema, checkpoint, **options)
        same = same_answers(conn, schema)
    with _feeding(store, batch_id):
        _put_all(store, batch_id, reads, options.get("priority", LIVE), same, on_commit)
    with transaction(store) as conn:
        batches.seal(conn, batch_id)
        steer.stop_if_failing(conn, batch_id)
    return batch_id


def open_batch(
    conn: sa.Connection, schema: Schema, checkpoint: Checkpoint, **options: Unpack[IngestOptions]
) -> int:
    """A new batch and what its jobs need: the schema's tables, its version and the checkpoint; its id."""
    tables.ensure(conn, records.tables(schema.name, schema.form))
    return batches.open_batch(
        conn,
        versions.put_schema_version(conn, new_version(schema)),
        versions.put_checkpoint(conn, checkpoint),
        max_failures=options.get("max_failures"),
        review_below=options.get("review_below"),
    )


def same_answers(conn: sa.Connection, schema: Schema) -> list[int]:
    """The other stored versions of a schema whose answers are only read anew for this one."""
    stored = versions.versions_of(conn, schema.name)
    return [
        each.id for each in stored if each.digest != schema.digest and Difference(each, schema).same_answers
    ]


def put(
    conn: sa.Connection,
    batch_id: int,
    reads: Sequence[Read],
    same_versions: Sequence[int],
    *,
    position: int,
    priority: int,
) -> list[Added]:
    """Store documents and enter them into a batch from this position on; what became of each.

    What one of the `same_versions` was answered is not asked for again.
    """
    ids = documents.put_documents(conn, [_new_document(read) for read in reads])
    entries = [
        NewEntry(position=at, origin=read.origin, document_id=document_id, parent_origin=read.parent_origin)
        for at, (read, document_id) in enumerate(zip(reads, ids, strict=True), start=position)
    ]
    added = batches.add_entries(conn, batch_id, entries, priority=priority)
    reuses.reuse_whole(conn, [each.job_id for each in added if each.outcome is Outcome.NEW], same_versions)
    return added


def _put_all(
    store: sa.Engine,
    batch_id: int,
    reads: Iterable[Read],
    priority: int,
    same_versions: Sequence[int],
    on_commit: Callable[[Sequence[int]], None],
) -> None:
    position = 0
    for chunk in _chunks(reads):
        with transaction(store) as conn:
            if steer.is_stopped(conn, batch_id):
                return
            added = put(conn, batch_id, chunk, same_versions, position=position, priority=priority)
        position += len(chunk)
        on_commit([item.job_id for item in added if item.outcome.to_send])


@contextmanager
def _feeding(store: sa.Engine, batch_id: int) -> Iterator[None]:
    """Say every few seconds that the batch still grows, however long a document takes to be read."""

    def say() -> None:
        # said again the next time
        with suppress(TransientError), transaction(store) as conn:
            batches.feed(conn, batch_id)

    with meanwhile("feed", batches.FEED_S, say):
        yield


def _chunks(reads: Iterable[Read]) -> Iterator[list[Read]]:
    chunk: list[Read] = []
    num_chars = 0
    for each in reads:
        chunk.append(each)
        num_chars += len(each.text or "")
        if len(chunk) == COMMIT_SIZE or num_chars >= COMMIT_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk


def _new_document(read: Read) -> NewDocument:
    return NewDocument(
        content_hash=read.content_hash,
        origin=read.origin,
        media_type=read.media_type,
        text=read.text,
        error_code=read.error.code if read.error else None,
        error=str(read.error) if read.error else None,
    )


def limits_of(settings: Settings) -> Limits:
    """What a document may have at most."""
    return Limits(
        max_bytes=settings.max_bytes,
        max_pages=settings.max_pages,
        max_chars=settings.max_chars,
        max_parse_s=settings.max_parse_s,
        max_parse_memory=settings.max_parse_memory,
    )


def new_version(schema: Schema) -> NewSchemaVersion:
    """A schema as the store keeps it."""
    return NewSchemaVersion(
        name=schema.name,
        digest=schema.digest,
        wire_schema=schema.wire_schema,
        record_schema=schema.record_schema,
        settings=schema.settings.model_dump(mode="json"),
        examples=[{"text": example.text, "record": example.record} for example in schema.examples],
        fields=nodes(schema.form),
    )
