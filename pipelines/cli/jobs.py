"""`gleaner jobs` and `gleaner workers`: who does what, and people's hand on it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from pipelines.cli.console import number_of, out, say, table
from schemas.errors import BrokerAwayError, ConfigurationError
from workers.runtime import Runtime, get_runtime
from workers.store import roster, steer
from workers.store.models import JobState
from workers.store.session import reading, transaction
from workers.store.steer import Filter
from workers.store.types import MAX_ID
from workers.sweeper import sweep_all

app = typer.Typer(
    help="Look at jobs, try them again, cancel them.\n\nExample: gleaner jobs list --state failed",
    no_args_is_help=True,
)

Ids = Annotated[list[int] | None, typer.Argument(help="Job ids.", min=1, max=MAX_ID)]
Batch = Annotated[int | None, typer.Option(help="Only of this batch.", min=1, max=MAX_ID)]
State = Annotated[
    list[JobState] | None, typer.Option(help="queued, leased, done, review, failed or cancelled; repeatable.")
]
Reason = Annotated[str | None, typer.Option(help="Only with this error code, as `device`.")]
SchemaOption = Annotated[str | None, typer.Option("--schema", help="Only of this schema.")]


@app.command("list")
def list_(
    batch: Batch = None,
    state: State = None,
    reason: Reason = None,
    schema: SchemaOption = None,
    limit: Annotated[int, typer.Option(help="Most rows; 0 for all.", min=0)] = 50,
) -> None:
    """List jobs, the newest first.

    Example: gleaner jobs list --batch 12 --state failed --state review
    """
    which = Filter(batch_id=batch, states=state or (), error_code=reason, schema=schema)
    with reading(get_runtime().store) as conn:
        found = steer.list_jobs(conn, which, limit=limit or None)
    columns = ("job", "schema", "state", "tries", "reason", "document", "origin")
    rows = [(j.id, j.schema, j.state, j.attempts, j.error_code, j.document_id, j.origin) for j in found]
    out.print(table(columns, rows))


@app.command()
def show(job_id: Annotated[int, typer.Argument(help="Job id.", min=1, max=MAX_ID)]) -> None:
    """Show everything that is known of a job.

    Example: gleaner jobs show 1234
    """
    with reading(get_runtime().store) as conn:
        found = steer.list_jobs(conn, Filter(ids=[job_id]), limit=1)
        if not found:
            raise ConfigurationError(f"There is no job {job_id}.", hint="`gleaner jobs list` lists them.")
        facts = found[0]._asdict()
        batches = ", ".join(map(str, steer.batches_of(conn, job_id)))
        extraction = steer.extraction_of(conn, job_id)
    facts["batches"] = batches
    if extraction is not None:
        kept = ("finish", "confidence", "prompt_tokens", "output_tokens", "seconds", "wire_record", "answer")
        facts |= {name: getattr(extraction, name) for name in kept}
    out.print(table(("what", "value"), [(name, _shown(value)) for name, value in facts.items()]))


@app.command()
def retry(
    ids: Ids = None,
    batch: Batch = None,
    reason: Reason = None,
    schema: SchemaOption = None,
) -> None:
    """Queue failed and cancelled jobs once more; a document that cannot be read stays failed.

    Example: gleaner jobs retry --batch 12 --reason device
    """
    runtime, which = get_runtime(), _some(ids, batch, reason, schema)
    with transaction(runtime.store) as conn:
        queued = steer.retry(conn, which)
    out.print(f"queued again: {number_of(len(queued), 'job')}")
    if queued and runtime.settings.broker:
        _wake(runtime)
    elif queued:
        out.print("`gleaner run` works on them when it is given their documents")


@app.command()
def cancel(
    ids: Ids = None,
    batch: Batch = None,
    reason: Reason = None,
    schema: SchemaOption = None,
) -> None:
    """Cancel what is queued, and what is worked on at its next step; of a batch all that no other batch waits for.

    Example: gleaner jobs cancel --batch 12
    """
    runtime, which = get_runtime(), _some(ids, batch, reason, schema)
    with transaction(runtime.store) as conn:
        if which == Filter(batch_id=batch) and batch is not None:
            num = steer.stop_batch(conn, batch, "The batch was cancelled.")
        else:
            num = len(steer.cancel(conn, which))
    out.print(f"cancelled: {number_of(num, 'job')}")


def workers(
    everyone: Annotated[bool, typer.Option("--all", help="Also those that ended in the last week.")] = False,
) -> None:
    """List worker processes: device, model, load, documents a second, last heartbeat.

    Example: gleaner workers
    """
    with reading(get_runtime().store) as conn:
        found = roster.list_workers(conn, ended=everyone)
    out.print(workers_table(found))


def workers_table(found: Sequence[Any]) -> Table:
    """Workers as a table."""
    columns = (
        "worker",
        "state",
        "device",
        "model",
        "jobs in hand",
        "documents",
        "docs/s",
        "too late",
        "seen",
    )
    now = datetime.now(UTC)
    rows = [
        (
            w.name,
            roster.state(w),
            w.device,
            w.checkpoint,
            w.in_hand,
            w.num_documents,
            f"{w.documents_per_s:.1f}",
            w.num_fenced,
            f"{max(0, round((now - w.seen_at).total_seconds()))} s ago",
        )
        for w in found
    ]
    return table(columns, rows, one_line=True)


def _some(ids: list[int] | None, batch: int | None, reason: str | None, schema: str | None) -> Filter:
    which = Filter(ids=ids or (), batch_id=batch, error_code=reason, schema=schema)
    if which.is_empty:
        raise ConfigurationError("Nothing says which jobs.", hint="Give ids, --batch, --reason or --schema.")
    return which


def _wake(runtime: Runtime) -> None:
    try:
        # they may be of several checkpoints
        sweep_all(runtime)
    except BrokerAwayError as exc:
        say("warning:", "yellow", str(exc))


def _shown(value: Any) -> Any:
    return value.isoformat(" ", "seconds") if isinstance(value, datetime) else value
