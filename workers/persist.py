"""What came of a group of jobs -> the store: results, failures, another try, and the circuit of their batch."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import structlog

from schemas.base import Schema
from schemas.errors import DeviceLostError, GleanerError, TransientError
from schemas.forms import path_text
from workers.extract import Extraction, Outcome
from workers.ground import Evidence
from workers.lease import backoff_s, patiently
from workers.metrics import STOPPED, stage
from workers.runtime import Runtime
from workers.store import jobs, records, results, steer
from workers.store.jobs import Claimed
from workers.store.models import JobState
from workers.store.session import transaction
from workers.tally import FENCED

log = structlog.get_logger()


def persist(
    runtime: Runtime,
    owner: str,
    schema: Schema,
    group: Sequence[Claimed],
    extractions: Sequence[Extraction],
) -> None:
    """Write every result in one transaction; what has an error fails or is queued again."""
    tables = records.tables(schema.name, schema.form)
    pairs = list(zip(group, extractions, strict=True))
    kept = [_result(job, extraction, tables) for job, extraction in pairs if not extraction.error]
    save = partial(results.save, runtime.store, owner, kept)
    with stage("persist"):
        refused = patiently(runtime, save, limit_s=runtime.settings.lease_s)
    _note(runtime, schema, kept, refused)
    fail_or_retry(runtime, owner, [(job, extraction.error) for job, extraction in pairs if extraction.error])


def fail_or_retry(runtime: Runtime, owner: str, failed: Sequence[tuple[Claimed, GleanerError]]) -> None:
    """Queue what failed by a transient error again, later each time; fail the rest, and stop a failing batch."""
    if not failed:
        return
    failures = [
        jobs.Failure(
            job_id=job.job_id,
            fence=job.fence,
            error_code=error.code,
            error=str(error),
            retryable=isinstance(error, TransientError),
            delay_s=backoff_s(runtime.settings.retry_s, job.failures),
        )
        for job, error in failed
    ]

    def write() -> None:
        with transaction(runtime.store) as conn:
            jobs.fail_or_retry(conn, owner, failures, max_failures=runtime.settings.max_attempts)

    patiently(runtime, write, limit_s=runtime.settings.lease_s)
    for (job, _), failure in zip(failed, failures, strict=True):
        ids = {"job": job.job_id, "document": job.document_id, "batch": job.batch_id}
        log.warning("fail", **ids, code=failure.error_code, reason=failure.error)
        runtime.tally.count("retried" if failure.retryable else "failed", reason=failure.error_code)
    _stop_failing_batches(runtime, [job.job_id for job, _ in failed])


def lose(runtime: Runtime, owner: str, group: Sequence[Claimed], error: DeviceLostError) -> None:
    """Note over which jobs the device was lost, and end the process: only a fresh one gets the device back."""
    log.error("device_lost", jobs=[job.job_id for job in group], reason=str(error))
    runtime.tally.count("lost", len(group), reason=error.code)
    runtime.break_down(error)
    with transaction(runtime.store) as conn:
        jobs.lose(conn, owner, [job.lease for job in group], str(error))


def _note(runtime: Runtime, schema: Schema, kept: Sequence[results.Result], refused: Collection[int]) -> None:
    for result in kept:
        outcome = FENCED if result.job.job_id in refused else str(result.state)
        runtime.tally.count(outcome, reason=result.error_code)
        job = result.job
        log.debug("end", outcome=outcome, job=job.job_id, document=job.document_id, batch=job.batch_id)
    log.info("finish", schema=schema.name, jobs=len(kept), refused=len(refused))


def _stop_failing_batches(runtime: Runtime, job_ids: Sequence[int]) -> None:
    with transaction(runtime.store) as conn:
        for batch_id in steer.guarded_batches(conn, job_ids):
            why = steer.stop_if_failing(conn, batch_id)
            if why:
                STOPPED.inc()
                log.error("batch_stopped", batch=batch_id, reason=why)


def _result(job: Claimed, extraction: Extraction, tables: records.RecordTables) -> results.Result:
    cost = extraction.cost
    return results.Result(
        job=job,
        **_ending(job, extraction),
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
        device_seconds=cost.device_seconds,
        timings={"engine_s": cost.seconds},
        tables=tables,
    )


def _ending(job: Claimed, extraction: Extraction) -> dict[str, Any]:
    """The state of a job and the reason for it."""
    if extraction.outcome is Outcome.REVIEW:
        code = "truncated" if extraction.finish != "stop" else "invalid"
        faults = [": ".join(filter(None, (fault.path, fault.message))) for fault in extraction.faults]
        return {"state": JobState.REVIEW, "error_code": code, "error": "; ".join(faults) or None}
    confidence, least = extraction.confidence, job.review_below
    if confidence is not None and least is not None and confidence < least:
        said = f"The least confidence of a field is {confidence:.3f}, and records below {least:g} are to be reviewed."
        return {"state": JobState.REVIEW, "error_code": "low_confidence", "error": said}
    return {"state": JobState(extraction.outcome)}


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
