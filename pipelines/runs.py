"""One run of a pipeline: what is new in its source, committed with the cursor a chunk at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import chain
from typing import Any

import structlog
from sqlalchemy import Connection

from pipelines.etl import Pipeline
from pipelines.ingest import COMMIT_CHARS, COMMIT_SIZE, limits_of, open_batch, put, same_answers
from pipelines.readers.base import first_line
from pipelines.sources.feed import Asked, Part
from schemas.base import Schema
from schemas.errors import BrokerAwayError, GleanerError, RunTakenError, TransientError
from workers.meanwhile import meanwhile
from workers.messages import send
from workers.runtime import Runtime
from workers.store import batches, cursors, runs, settle, steer
from workers.store.batches import Outcome
from workers.store.models import RunState
from workers.store.runs import Claimed
from workers.store.session import reading, transaction
from workers.traces import span

log = structlog.get_logger()


def take(runtime: Runtime, pipeline: Pipeline) -> int | None:
    """Read the source for the oldest run of a pipeline that waits, and enqueue what is new; the run.

    None if no run waits, another process reads, or it took this run over. If the source cannot be read, the run has
    failed, with its reason. Documents, jobs and cursor of a chunk are committed together, so a process that ends
    anywhere leaves out nothing and leaves nothing to be done twice.
    """
    with runtime.owner() as owner:
        with transaction(runtime.store) as conn:
            claimed = runs.claim(conn, pipeline.name, owner=owner, lease_s=runtime.settings.lease_s)
        if claimed is None:
            return None
        log.info("run", pipeline=pipeline.name, run=claimed.run_id)
        with span("run", pipeline=pipeline.name, run=claimed.run_id), _kept(runtime, claimed):
            try:
                _Taking(runtime, pipeline, claimed).read()
            except RunTakenError as exc:
                log.warning("run_taken", run=claimed.run_id, reason=str(exc))
                return None
            except BaseException:
                with suppress(TransientError), transaction(runtime.store) as conn:
                    runs.give_back(conn, claimed)
                raise
    return claimed.run_id


class _Taking:
    """A run in hand."""

    def __init__(self, runtime: Runtime, pipeline: Pipeline, claimed: Claimed) -> None:
        self._runtime, self._pipeline, self._claimed = runtime, pipeline, claimed
        self._batch_id: int | None = None
        self._position = 0

    def read(self) -> None:
        """Commit a chunk after the other, and say how it ended."""
        try:
            for chunk in _chunks(self._pipeline.source.read(self._asked())):
                if self._runtime.stopping.is_set():
                    with transaction(self._runtime.store) as conn:
                        runs.give_back(conn, self._claimed)
                    return
                if why := self._commit(chunk):
                    self._end(RunState.STOPPED, why)
                    return
        except TransientError:
            raise
        except GleanerError as exc:
            self._end(RunState.FAILED, str(exc))
        except Exception as exc:
            # sources are plugins and raise what they like
            log.exception("source_failed", run=self._claimed.run_id)
            self._end(RunState.FAILED, f"The source raised {type(exc).__name__}: {first_line(exc)}.")
        else:
            self._end(RunState.WORKING)

    def _asked(self) -> Asked:
        return Asked(
            known=self._known,
            limits=limits_of(self._runtime.settings),
            since=self._claimed.since,
            until=self._claimed.until,
        )

    def _known(self, keys: Iterable[str]) -> Mapping[str, dict[str, Any]]:
        with reading(self._runtime.store) as conn:
            return cursors.known(conn, self._claimed, keys)

    def _commit(self, chunk: Sequence[Part]) -> str | None:
        """Store documents, jobs, cursor and counts; why the run is to stop instead, if it is."""
        reads = list(chain.from_iterable(part.reads for part in chunk))
        added: list[batches.Added] = []
        with transaction(self._runtime.store) as conn:
            why = runs.hold(conn, self._claimed, self._runtime.settings.lease_s)
            if not why and self._batch_id is not None:
                why = steer.stopped_why(conn, self._batch_id)
            if why:
                return why
            batch_id = self._batch_id
            if reads:
                batch_id = batch_id or self._open(conn)
                same = same_answers(conn, self._schema)
                added = put(conn, batch_id, reads, same, position=self._position, priority=self._priority)
            new = sum(one.outcome is not Outcome.ALREADY_DONE for one in added)
            unchanged = len(added) - new + sum(part.num_unchanged for part in chunk)
            cursors.put(conn, self._claimed, {k: v for part in chunk for k, v in part.cursor.items()})
            runs.count(conn, self._claimed, batch_id=batch_id, new=new, unchanged=unchanged)
        self._batch_id = batch_id
        self._position += len(reads)
        self._wake([one.job_id for one in added if one.outcome.to_send])
        return None

    def _open(self, conn: Connection) -> int:
        return open_batch(conn, self._schema, self._runtime.checkpoint, **self._pipeline.options)

    @cached_property
    def _schema(self) -> Schema:
        return self._pipeline.schema_of(self._runtime.registry)

    @property
    def _priority(self) -> int:
        # live documents go first, as with `gleaner enqueue --backfill`
        mine = self._pipeline.priority
        return max(mine, batches.BACKFILL) if self._claimed.scope else mine

    def _wake(self, job_ids: Sequence[int]) -> None:
        if not self._runtime.settings.broker or not job_ids:
            return
        try:
            send(self._runtime, job_ids)
        except BrokerAwayError as exc:
            # a worker's sweep sends them
            log.warning("broker_away", run=self._claimed.run_id, reason=str(exc))

    def _end(self, state: RunState, reason: str | None = None) -> None:
        with transaction(self._runtime.store) as conn:
            runs.hold(conn, self._claimed, self._runtime.settings.lease_s)
            if self._claimed.scope:
                cursors.forget(conn, self._claimed)
            elif state is RunState.WORKING and self._pipeline.source.forgets:
                cursors.forget_unseen(conn, self._claimed)
            runs.end_reading(conn, self._claimed, state, reason)
            if self._batch_id is not None:
                steer.stop_if_failing(conn, self._batch_id)
            settle.settle(conn, self._pipeline.name)
        log.info("read", pipeline=self._pipeline.name, run=self._claimed.run_id, state=state, reason=reason)


def _chunks(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts that are committed together; when the source breaks off, what it gave before comes first."""
    chunk: list[Part] = []
    num_chars = num_items = 0
    source = iter(parts)
    while True:
        try:
            part = next(source, None)
        except Exception:
            if chunk:
                yield chunk
            raise
        if part is None:
            break
        chunk.append(part)
        num_items += 1 + len(part.reads)
        num_chars += sum(len(read.text or "") for read in part.reads)
        if num_items >= 2 * COMMIT_SIZE or num_chars >= COMMIT_CHARS:
            yield chunk
            chunk, num_chars, num_items = [], 0, 0
    if chunk:
        yield chunk


@contextmanager
def _kept(runtime: Runtime, claimed: Claimed) -> Iterator[None]:
    """Renew the lease, however long the source takes to give the next part."""
    lease_s = runtime.settings.lease_s

    def keep() -> None:
        # tried again the next time; if it comes too late, the next commit is refused
        with suppress(TransientError), transaction(runtime.store) as conn:
            runs.renew(conn, claimed, lease_s)

    with meanwhile("keep-run", min(lease_s / 3, batches.FEED_S), keep):
        yield
