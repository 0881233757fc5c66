"""Works off a chunk of jobs: claim, extract, persist, while a heartbeat renews the lease."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from schemas.base import Schema
from schemas.errors import ConfigurationError, GleanerError, TerminalError, TransientError
from schemas.forms import path_text
from workers.extract import Extraction, Outcome
from workers.ground import Evidence
from workers.runtime import Runtime
from workers.store import jobs, records, results, versions
from workers.store.jobs import Claimed
from workers.store.models import JobState
from workers.store.session import reading, transaction

log = structlog.get_logger()


def work(runtime: Runtime, job_ids: Sequence[int]) -> None:
    """Claim what is open of these jobs and bring each to its end state, a batch of the engine at a time.

    Results are committed batch by batch; when the process is stopping, what has not started is handed back.

    Raises:
        DatabaseAwayError: nothing can be written; the leases expire, and the jobs are taken again.
        CheckpointError, ConfigurationError: the engine cannot be loaded; the jobs stay open.
    """
    checkpoint, owner = runtime.engine.checkpoint, runtime.new_owner()
    with transaction(runtime.store) as conn:
        claimed = jobs.claim(
            conn,
            job_ids,
            owner=owner,
            checkpoint_id=versions.put_checkpoint(conn, checkpoint),
            lease_s=runtime.settings.lease_s,
            limit=len(job_ids),
        )
    size = runtime.settings.batch_size
    with heartbeat(runtime, owner):
        try:
            while claimed and not runtime.stopping.is_set():
                batch, claimed = claimed[:size], claimed[size:]
                _work_together(runtime, owner, batch)
        finally:
            _release(runtime, owner, claimed)


def _release(runtime: Runtime, owner: str, claimed: Sequence[Claimed]) -> None:
    if claimed:
        with transaction(runtime.store) as conn:
            jobs.release(conn, owner, [job.lease for job in claimed])
        log.info("release", jobs=len(claimed))


@contextmanager
def heartbeat(runtime: Runtime, owner: str) -> Iterator[None]:
    """Renew the leases of a chunk every third of their length."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(runtime.settings.lease_s / 3):
            try:
                with transaction(runtime.store) as conn:
                    jobs.heartbeat(conn, owner, runtime.settings.lease_s)
            except Exception:
                # the lease may expire: then the late result is refused and the work done again elsewhere
                log.exception("heartbeat_failed")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _work_together(runtime: Runtime, owner: str, claimed: Sequence[Claimed]) -> None:
    by_version: dict[int, list[Claimed]] = {}
    for job in claimed:
        by_version.setdefault(job.schema_version_id, []).append(job)
    for version_id, group in by_version.items():
        _work_group(runtime, owner, version_id, group)


def _work_group(runtime: Runtime, owner: str, version_id: int, group: Sequence[Claimed]) -> None:
    try:
        schema = _schema(runtime, version_id)
        extractions = runtime.extractor(schema).extract([job.text for job in group])
        _persist(runtime, owner, schema, group, extractions)
    except GleanerError as exc:
        _fail_or_retry(runtime, owner, [(job, exc) for job in group])
    except Exception as exc:
        if len(group) > 1:
            # find out which one it was, so that it takes no other along; what is finished is refused
            for job in group:
                _work_group(runtime, owner, version_id, [job])
            return
        log.exception("work_failed", job=group[0].job_id)
        reason = TerminalError(f"the work raised {type(exc).__name__}: {exc}.", hint="Please report this.")
        _fail_or_retry(runtime, owner, [(group[0], reason)])


def _schema(runtime: Runtime, version_id: int) -> Schema:
    with reading(runtime.store) as conn:
        name, digest = versions.schema_version(conn, version_id)
    schema = runtime.registry.get(name)
    if schema.digest != digest:
        raise ConfigurationError(
            f"this worker's schema {name} is version {schema.digest[:12]}, the job's is {digest[:12]}.",
            hint="Give the worker the files the job was made with, or enqueue the documents again.",
        )
    return schema


def _persist(
    runtime: Runtime,
    owner: str,
    schema: Schema,
    group: Sequence[Claimed],
    extractions: Sequence[Extraction],
) -> None:
    tables = records.tables(schema.name, schema.form)
    pairs = list(zip(group, extractions, strict=True))
    kept = [_result(job, extraction, tables) for job, extraction in pairs if not extraction.error]
    refused = results.save(runtime.store, owner, kept)
    _fail_or_retry(runtime, owner, [(job, extraction.error) for job, extraction in pairs if extraction.error])
    log.info("finish", schema=schema.name, jobs=len(group), refused=len(refused))


def _fail_or_retry(runtime: Runtime, owner: str, failed: Sequence[tuple[Claimed, GleanerError]]) -> None:
    failures = [
        jobs.Failure(
            job_id=job.job_id,
            fence=job.fence,
            error_code=error.code,
            error=str(error),
            retryable=isinstance(error, TransientError),
        )
        for job, error in failed
    ]
    if failures:
        with transaction(runtime.store) as conn:
            jobs.fail_or_retry(conn, owner, failures, max_failures=runtime.settings.max_attempts)
        log.warning("fail", jobs=len(failures), reason=failures[0].error)


def _result(job: Claimed, extraction: Extraction, tables: records.RecordTables) -> results.Result:
    reasons = [": ".join(filter(None, (fault.path, fault.message))) for fault in extraction.faults]
    cost = extraction.cost
    return results.Result(
        job=job,
        state=JobState(extraction.outcome),
        error_code=_review_code(extraction),
        error="; ".join(reasons) or None,
        wire_record=extraction.wire_record,
        record=extraction.validated.record if extraction.validated else None,
        answer=extraction.answer,
        finish=extraction.finish,
        confidence=extraction.confidence,
        faults=extraction.faults,
        evidence=[_evidence_row(item) for item in extraction.evidence],
        num_windows=cost.num_windows,
        prompt_tokens=cost.prompt_tokens,
        output_tokens=cost.output_tokens,
        forwards=cost.forwards,
        seconds=cost.seconds,
        timings={"engine_s": cost.seconds},
        tables=tables,
    )


def _review_code(extraction: Extraction) -> str | None:
    if extraction.outcome is not Outcome.REVIEW:
        return None
    return "truncated" if extraction.finish != "stop" else "invalid"


def _evidence_row(item: Evidence) -> results.EvidenceRow:
    return results.EvidenceRow(
        path=path_text(item.path),
        state=item.state,
        value=None if item.value is None else str(item.value),
        start_char=item.start,
        end_char=item.end,
        text=item.text,
        confidence=item.confidence,
    )
