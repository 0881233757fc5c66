"""Works off a chunk of jobs: claim, extract, persist, while a heartbeat renews the lease."""

import threading
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from schemas.base import Schema
from schemas.errors import DatabaseAwayError, DeviceLostError, GleanerError, TerminalError
from workers.extract import Extraction
from workers.keep import keep
from workers.lease import Stops, heartbeat, patiently
from workers.metrics import stage
from workers.persist import fail_or_retry, lose, persist
from workers.runtime import Runtime
from workers.store import jobs, sweep, versions
from workers.store.jobs import Claimed
from workers.store.reuses import Reused, read_reuses
from workers.store.session import reading, transaction
from workers.store.versions import VersionHead
from workers.traces import span

log = structlog.get_logger()


def work(runtime: Runtime, job_ids: Sequence[int]) -> int:
    """Claim what is open of these jobs and bring each to its end state, a batch of the engine at a time.

    Results are committed batch by batch; when the process is stopping, what has not started is handed back. More
    urgent jobs of the checkpoint go first, whatever was asked for. Jobs over which a worker died come last, each
    alone. Jobs of schema versions that this process does not have are left to others. How many were claimed.

    Raises:
        DatabaseAwayError: nothing can be written; the leases expire, and the jobs are taken again.
        CheckpointError, ConfigurationError: the engine cannot be loaded; the jobs stay open.
    """
    with runtime.owner() as owner, bound_contextvars(worker=runtime.name, claim=owner):
        hand = patiently(runtime, lambda: _Hand(runtime, owner))
        with heartbeat(runtime, owner, hand.in_work), span("work", jobs=job_ids):
            try:
                with runtime.crowd.together():
                    num = hand.work_off(job_ids, is_suspect=False)
                if num < len(job_ids):
                    num += hand.work_off_suspects(job_ids)
            finally:
                hand.give_back(job_ids)
    return num


class _Hand:
    """What is claimed under one name, and what this process can do with it."""

    def __init__(self, runtime: Runtime, owner: str) -> None:
        self._runtime = runtime
        self._owner = owner
        self._waiting: list[Claimed] = []
        self.in_work: Stops = {}
        # whether the database went away, so that we do not know what was committed
        self._is_unsure = False
        # loaded before anything is claimed
        checkpoint = runtime.engine.checkpoint
        with transaction(runtime.store) as conn:
            self._checkpoint_id = versions.put_checkpoint(conn, checkpoint)
            self._schemas = _schemas(runtime, versions.list_versions(conn))

    def work_off(self, job_ids: Sequence[int], *, is_suspect: bool) -> int:
        """Claim these jobs and bring them to their ends; how many were claimed."""
        size = self._runtime.settings.batch_size
        self._waiting = self._claim(job_ids, limit=len(job_ids), is_suspect=is_suspect)
        num = len(self._waiting)
        while self._waiting and not self._runtime.stopping.is_set():
            batch = self._more_urgent()
            if not batch:
                batch, self._waiting = self._waiting[:size], self._waiting[size:]
            self._runtime.tally.hold(self._owner, len(batch) + len(self._waiting))
            self._work_together(batch)
            self._drop_lost()
        return num

    def work_off_suspects(self, job_ids: Sequence[int]) -> int:
        """Try those over which a worker died, each while this process holds nothing else; how many."""
        num = 0
        left = patiently(self._runtime, lambda: self._left(job_ids))
        for job_id, version_id, is_suspect in left:
            if is_suspect and version_id in self._schemas and not self._runtime.stopping.is_set():
                with self._runtime.crowd.alone():
                    num += self.work_off([job_id], is_suspect=True)
        return num

    def give_back(self, job_ids: Sequence[int]) -> None:
        """Hand back what has not come to its end."""
        waiting, self._waiting = self._waiting, []
        self._runtime.tally.hold(self._owner, 0)
        if waiting or self._is_unsure or self._runtime.stopping.is_set():
            with transaction(self._runtime.store) as conn:
                num = jobs.release_all(conn, [self._owner])
                sweep.mark_unsent(conn, job_ids)
            log.info("release", jobs=num)

    def _claim(self, job_ids: Sequence[int] | None, **which: Any) -> list[Claimed]:
        def do() -> list[Claimed]:
            with transaction(self._runtime.store) as conn:
                return jobs.claim(
                    conn,
                    job_ids,
                    owner=self._owner,
                    checkpoint_id=self._checkpoint_id,
                    lease_s=self._runtime.settings.lease_s,
                    version_ids=list(self._schemas),
                    **which,
                )

        def surely() -> list[Claimed]:
            try:
                return do()
            except DatabaseAwayError:
                self._is_unsure = True
                raise

        with stage("claim"):
            return patiently(self._runtime, surely)

    def _more_urgent(self) -> list[Claimed]:
        """Jobs that came meanwhile and cannot wait, as live ones do not while a backfill runs."""
        priority = self._waiting[0].priority
        if priority <= 0:
            return []
        size = self._runtime.settings.batch_size
        return self._claim(None, limit=size, before_priority=priority, is_suspect=False)

    def _drop_lost(self) -> None:
        """Leave alone what was cancelled or swept meanwhile."""
        if not self._waiting:
            return

        def do() -> set[int]:
            with reading(self._runtime.store) as conn:
                return jobs.still_held(conn, self._owner, [job.lease for job in self._waiting])

        held = patiently(self._runtime, do)
        self._waiting = [job for job in self._waiting if job.job_id in held]

    def _left(self, job_ids: Sequence[int]) -> list[tuple[int, int, bool]]:
        """What is still queued of these; what this process cannot do is noted as unsent, for others to find."""
        with transaction(self._runtime.store) as conn:
            left = jobs.left(conn, job_ids)
            not_ours = [job_id for job_id, version_id, _ in left if version_id not in self._schemas]
            sweep.mark_unsent(conn, not_ours)
        return left

    def _work_together(self, claimed: Sequence[Claimed]) -> None:
        reused = patiently(self._runtime, lambda: self._reused(claimed))
        groups: dict[tuple[int, tuple[str, ...] | None], list[Claimed]] = {}
        for job in claimed:
            fields = reused[job.job_id].fields if job.job_id in reused else None
            groups.setdefault((job.schema_version_id, fields), []).append(job)
        for (version_id, _), group in groups.items():
            self._work_group(self._schemas[version_id], group, reused)

    def _reused(self, claimed: Sequence[Claimed]) -> dict[int, Reused]:
        with reading(self._runtime.store) as conn:
            return read_reuses(conn, [job.job_id for job in claimed])

    def _work_group(self, schema: Schema, group: Sequence[Claimed], reused: Mapping[int, Reused]) -> None:
        """Work on jobs of one version that extract the same fields."""
        ids = {"jobs": [job.job_id for job in group], "documents": [job.document_id for job in group]}
        with bound_contextvars(**_about(group)), span("group", schema=schema.name, **ids):
            log.debug("begin", schema=schema.name, **ids)
            self._bring_to_end(schema, group, reused)

    def _bring_to_end(self, schema: Schema, group: Sequence[Claimed], reused: Mapping[int, Reused]) -> None:
        runtime, owner = self._runtime, self._owner
        try:
            persist(runtime, owner, schema, *self._extract(schema, group, reused))
        except DatabaseAwayError:
            self._is_unsure = True
            raise
        except DeviceLostError as exc:
            lose(runtime, owner, group, exc)
        except GleanerError as exc:
            fail_or_retry(runtime, owner, [(job, exc) for job in group])
        except Exception as exc:
            if len(group) > 1:
                # find out which one it was, so that it takes no other along; what is finished is refused
                for job in group:
                    self._work_group(schema, [job], reused)
                return
            log.exception("work_failed")
            reason = TerminalError(
                f"the work raised {type(exc).__name__}: {exc}.", hint="Please report this."
            )
            fail_or_retry(runtime, owner, [(group[0], reason)])

    def _extract(
        self, schema: Schema, group: Sequence[Claimed], reused: Mapping[int, Reused]
    ) -> tuple[Sequence[Claimed], Sequence[Extraction]]:
        """The jobs that are still wanted at the end, and what came of each."""
        stops = {job.job_id: threading.Event() for job in group}
        self.in_work.update(stops)
        try:
            first = reused.get(group[0].job_id)
            extractor = self._runtime.extractor(schema, first.fields if first else None)
            kept = [keep(schema, reused[job.job_id]) for job in group] if first else ()
            texts = [job.text for job in group]
            extractions = extractor.extract(texts, kept=kept, stops=list(stops.values()))
        finally:
            self.in_work.clear()
        wanted = [not stop.is_set() for stop in stops.values()]
        if not all(wanted):
            log.info("stop", jobs=[job_id for job_id, stop in stops.items() if stop.is_set()])
        return list(compress(group, wanted)), list(compress(extractions, wanted))


def _about(group: Sequence[Claimed]) -> dict[str, int | None]:
    """What every log line of a group says: the batch if it is one, the document and its job if it is alone."""
    first = group[0]
    about = {"batch": first.batch_id} if {job.batch_id for job in group} == {first.batch_id} else {}
    return about if len(group) > 1 else about | {"job": first.job_id, "document": first.document_id}


def _schemas(runtime: Runtime, stored: Sequence[VersionHead]) -> dict[int, Schema]:
    """The schemas of this process by the ids of their stored versions."""
    found = {version.id: runtime.schema_of(version) for version in stored}
    return {version_id: schema for version_id, schema in found.items() if schema}
