"""`gleaner reextract`: what changed in a schema, for documents that were read before."""

from typing import Annotated

import typer

from pipelines import reextract as selective
from pipelines.cli.console import out, say, table
from pipelines.cli.follow import summarize
from pipelines.cli.work import SchemaName, work_with_progress
from schemas.errors import BrokerAwayError
from workers.messages import send
from workers.runtime import Runtime, get_runtime


def reextract(
    schema: SchemaName,
    fields: Annotated[
        str | None, typer.Option(help="Extract these again, as total,currency; default: what changed.")
    ] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Also what other examples, settings or another checkpoint made, whole."),
    ] = False,
    where: Annotated[
        str | None, typer.Option(help="Only documents whose row satisfies this SQL condition.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would take, and stop.")] = False,
) -> None:
    """Extract new and changed fields of documents read before, and keep the others.

    Example: gleaner reextract invoice --dry-run

    With a broker the workers do it, below live work; without one this process does.
    """
    runtime = get_runtime()
    chosen = runtime.registry.get(schema)
    work = selective.choose(
        runtime.store,
        chosen,
        runtime.checkpoint,
        fields=[name.strip() for name in (fields or "").split(",") if name.strip()],
        is_stale=stale,
        where=where,
    )
    if work.num_stale:
        say("left alone:", "yellow", _stale_hint(work.num_stale))
    if not work.choices:
        out.print("nothing is to be extracted again")
    elif dry_run:
        _show(selective.estimate(runtime.store, chosen, work))
    else:
        _do(runtime, work)


def _stale_hint(num: int) -> str:
    return (
        f"{num} documents of which only examples, settings or the checkpoint differ; --stale takes them too"
    )


def _show(estimates: list[selective.Estimate]) -> None:
    rows = [
        (
            _what(each.fields),
            each.num_documents,
            each.prompt_tokens,
            each.output_tokens,
            _seconds(each.seconds),
        )
        for each in estimates
    ]
    out.print(table(("fields", "documents", "prompt tokens", "output tokens", "engine seconds"), rows))


def _what(fields: tuple[str, ...] | None) -> str:
    if fields is None:
        return "all"
    return ", ".join(fields) or "none: read anew without the model"


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _do(runtime: Runtime, work: selective.Work) -> None:
    if not runtime.settings.broker:
        batch_id = selective.enqueue(runtime.store, work)
        work_with_progress(runtime, batch_id)
        summarize(runtime, batch_id)
        return
    sent: list[int] = []
    batch_id = selective.enqueue(runtime.store, work, sent.extend)
    try:
        send(runtime, sent)
    except BrokerAwayError as exc:
        say("warning:", "yellow", str(exc))
    out.print(batch_id)
