"""`gleaner pipelines`: what is declared, how it went, and people's hand on it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import Row

from pipelines.cli.console import out, table
from pipelines.cli.follow import follow
from pipelines.cli.work import warn_of_placeholder, work_with_progress
from pipelines.clock import enter
from pipelines.etl import Pipeline, Pipelines
from pipelines.runs import take
from workers.runtime import Runtime, get_runtime
from workers.store import pipelines, settle
from workers.store.models import RunState
from workers.store.session import reading, transaction

app = typer.Typer(
    help="Pipelines: sources that are taken through a schema again and again.\n\nExample: gleaner pipelines list",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Pipeline; see `gleaner pipelines list`.")]
Wait = Annotated[bool, typer.Option("--wait", help="Watch until every document has ended.")]

_RUN_COLUMNS = (
    "run",
    "cause",
    "state",
    "started (UTC)",
    "seen",
    "new",
    "done",
    "review",
    "failed",
    "tokens",
    "reason",
)


@app.command("list")
def list_() -> None:
    """List the declared pipelines, when they run next and how it went last.

    Example: GLEANER_PIPELINES=my_pipelines gleaner pipelines list
    """
    runtime = get_runtime()
    rows = []
    for pipeline in _declared(runtime):
        stored, newest = _look(runtime, pipeline.name, limit=1)
        last = f"{newest[0].state}, {newest[0].new} new" if newest else None
        facts = (pipeline.name, pipeline.schema, str(pipeline.source), pipeline.when)
        rows.append((*facts, _next(stored), last))
    columns = ("pipeline", "schema", "source", "schedule", "next (UTC)", "last run")
    out.print(table(columns, rows))


@app.command()
def show(name: Name, limit: Annotated[int, typer.Option(help="Most runs.", min=1)] = 10) -> None:
    """Show a pipeline and its newest runs; counts of one that goes on are of this moment.

    Example: gleaner pipelines show bills
    """
    runtime = get_runtime()
    pipeline = _declared(runtime).get(name)
    stored, newest = _look(runtime, name, limit=limit)
    facts = {
        "schema": pipeline.schema,
        "source": str(pipeline.source),
        "schedule": pipeline.when,
        "next run (UTC)": _next(stored),
        "reading now": bool(stored and stored.is_leased),
        "paused": stored and stored.paused_why,
    }
    out.print(table(("what", "value"), list(facts.items())))
    out.print(_runs_table(newest))


@app.command()
def run(name: Name, wait: Wait = False) -> None:
    """Take what is new now: with a broker for the workers, without one in this process.

    Example: gleaner pipelines run bills
    """
    runtime, pipeline = _ready(name)
    with transaction(runtime.store) as conn:
        is_leased = (found := pipelines.find(conn, name)) is not None and found.is_leased
        run_id = None if is_leased else pipelines.request(conn, name)
    _go_through(runtime, pipeline, run_id, wait=wait)


@app.command()
def backfill(
    name: Name,
    since: Annotated[
        str | None, typer.Option("--from", help="First moment, as 2024-01-01; a number for one.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="First moment that is not taken.")] = None,
    wait: Wait = False,
) -> None:
    """Take everything of a span of time, whatever was taken before; the pipeline's own cursor stays where it is.

    Texts that were extracted with the same schema version and checkpoint are not extracted again.

    Example: gleaner pipelines backfill bills --from 2024-01-01 --to 2024-07-01
    """
    runtime, pipeline = _ready(name)
    with transaction(runtime.store) as conn:
        run_id = pipelines.request_backfill(conn, name, since, until)
    _go_through(runtime, pipeline, run_id, wait=wait)


@app.command()
def pause(name: Name, why: Annotated[str, typer.Option(help="Shown to whoever asks.")] = "by hand.") -> None:
    """Begin no run any more; one that reads its source stops, and documents that are enqueued are finished.

    Example: gleaner pipelines pause bills --why "the supplier sends nonsense"
    """
    runtime = get_runtime()
    enter(runtime, _declared(runtime).get(name))
    with transaction(runtime.store) as conn:
        pipelines.pause(conn, name, why)
    out.print(f"{name} is paused; `gleaner pipelines resume {name}` lets it go on")


@app.command()
def resume(name: Name) -> None:
    """Let a pipeline go on, from its next time on and from where its cursor is.

    Example: gleaner pipelines resume bills
    """
    runtime = get_runtime()
    pipeline = _declared(runtime).get(name)
    enter(runtime, pipeline)
    with transaction(runtime.store) as conn:
        due = pipeline.due_after(pipelines.now(conn))
        pipelines.resume(conn, name, due)
    out.print(f"{name} goes on" + (f", next at {_moment(due)} UTC" if due else ""))


def _declared(runtime: Runtime) -> Pipelines:
    return Pipelines.load(runtime.settings.pipelines)


def _ready(name: str) -> tuple[Runtime, Pipeline]:
    """The pipeline, known to the database, and with a schema that can be."""
    runtime = get_runtime()
    pipeline = _declared(runtime).get(name)
    pipeline.schema_of(runtime.registry)
    warn_of_placeholder(runtime)
    enter(runtime, pipeline)
    return runtime, pipeline


def _go_through(runtime: Runtime, pipeline: Pipeline, run_id: int | None, *, wait: bool) -> None:
    """Read until this run is read, see to its documents, and say what came of it."""
    taken = take(runtime, pipeline) if run_id else None
    while taken is not None and taken != run_id:
        taken = take(runtime, pipeline)
    if run_id is None or taken is None:
        out.print(
            f"another process reads the source of {pipeline.name}, or its lease has not run out since it died;"
        )
        out.print(f"`gleaner pipelines show {pipeline.name}` shows the run")
        return
    with reading(runtime.store) as conn:
        found = settle.find_run(conn, run_id)
        open_batches = settle.open_batches(conn, pipeline.name)
    if not runtime.settings.broker:
        for batch_id in open_batches:
            work_with_progress(runtime, batch_id)
    elif wait and found.batch_id is not None:
        follow(runtime, found.batch_id)
    with transaction(runtime.store) as conn:
        settle.settle(conn, pipeline.name)
        found = settle.find_run(conn, run_id)
    out.print(_runs_table([found]))
    if found.state in {RunState.FAILED, RunState.STOPPED}:
        raise typer.Exit(1)


def _look(runtime: Runtime, name: str, limit: int) -> tuple[Row[Any] | None, Sequence[Row[Any]]]:
    with transaction(runtime.store) as conn:
        settle.settle(conn, name)
        return pipelines.find(conn, name), settle.history(conn, name, limit)


def _next(stored: Row[Any] | None) -> str | None:
    if stored is None:
        return None
    return "paused" if stored.paused_at else stored.next_run_at and _moment(stored.next_run_at)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _runs_table(found: Sequence[Row[Any]]) -> Table:
    rows = [
        (
            one.run_id,
            one.cause,
            one.state,
            one.started_at and _moment(one.started_at),
            *(one.seen, one.new, one.done, one.review, one.failed, one.tokens),
            one.reason,
        )
        for one in found
    ]
    return table(_RUN_COLUMNS, rows)
