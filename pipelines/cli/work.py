"""`gleaner run`, `enqueue` and `worker`: documents in, rows out."""

import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Unpack

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.text import Text

from pipelines.cli.console import err, number_of, out, say
from pipelines.cli.follow import follow, summarize
from pipelines.export import export, writer
from pipelines.ingest import IngestOptions, ingest, limits_of
from pipelines.readers import Read, read
from pipelines.sources.files import FileSource
from schemas.base import Schema
from schemas.errors import BrokerAwayError, ConfigurationError
from workers import fleet
from workers.embedded import work_off
from workers.messages import send
from workers.runtime import Runtime, get_runtime, set_runtime
from workers.serve import serve
from workers.settings import Settings, get_settings
from workers.store.batches import BACKFILL, LIVE

SchemaName = Annotated[str, typer.Argument(help="Schema name; see `gleaner schemas list`.")]
Paths = Annotated[list[str], typer.Argument(help="Files, directories, globs or fsspec URLs.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of csv and jsonl rows that holds the text.")]
Model = Annotated[str | None, typer.Option(help="Checkpoint directory; default GLEANER_MODEL.")]

MaxFailures = Annotated[
    str | None, typer.Option(help="Stop the batch once more than this share has failed, as 20%.")
]
Backfill = Annotated[bool, typer.Option("--backfill", help="Let everything else go first.")]

MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Where Prometheus finds metrics; of --devices the first, the others follow."
    ),
]

INTERRUPTED = 130


def _bytes(text: str) -> int:
    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is not a size as 4GB or 500MiB.") from None


def run(
    schema: SchemaName,
    paths: Paths,
    text_column: TextColumn = None,
    model: Model = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Also write the records: .jsonl, .csv or .parquet.")
    ] = None,
    max_failures: MaxFailures = None,
) -> None:
    """Extract documents in this process: enqueue, work off, show the summary.

    Example: gleaner run receipt scans/*.pdf --out receipts.csv
    """
    if out_file:
        writer(out_file)
    share = _share(max_failures)
    runtime = _runtime(model=model)
    chosen = runtime.registry.get(schema)
    batch_id = ingest_paths(runtime, chosen, paths, text_column, max_failures=share)
    work_with_progress(runtime, batch_id)
    summarize(runtime, batch_id)
    if out_file:
        count = export(runtime.store, batch_id, chosen.form, out_file)
        out.print(f"{number_of(count, 'record')} in {out_file}")
    out.print(
        f"rows are in table {chosen.name}; ask with `gleaner query`, look with `gleaner report {batch_id}`"
    )


def enqueue(
    schema: SchemaName,
    paths: Paths,
    text_column: TextColumn = None,
    model: Model = None,
    wait: Annotated[bool, typer.Option("--wait", help="Watch until every document has ended.")] = False,
    backfill: Backfill = False,
    max_failures: MaxFailures = None,
) -> None:
    """Store documents and wake the workers; prints the batch id.

    Example: gleaner enqueue invoice s3://inbox/2024/ --wait
    """
    share = _share(max_failures)
    runtime = _runtime(model=model)
    require_broker(runtime.settings, "enqueue", "`gleaner run` works without one")
    chosen = runtime.registry.get(schema)
    batch_id = ingest_paths(
        runtime,
        chosen,
        paths,
        text_column,
        is_sent=True,
        priority=BACKFILL if backfill else LIVE,
        max_failures=share,
    )
    out.print(batch_id)
    if wait:
        follow(runtime, batch_id)
        summarize(runtime, batch_id)


def worker(
    model: Model = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:1; default GLEANER_DEVICE.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Chunks in hand; default GLEANER_CONCURRENCY.")
    ] = None,
    devices: Annotated[
        str | None, typer.Option(help="A process each, started again when it dies: all, or cuda:0,cuda:1.")
    ] = None,
    kv_memory: Annotated[
        int | None,
        typer.Option(
            parser=_bytes,
            metavar="SIZE",
            help="Most memory of the KV cache, as 4GB; default GLEANER_KV_MEMORY.",
        ),
    ] = None,
    metrics_port: MetricsPort = None,
) -> None:
    """Load the checkpoint once and work jobs off until stopped (SIGTERM hands back what has not started).

    Example: GLEANER_BROKER_URL=redis://localhost/0 gleaner worker --device cuda:0
    """
    if devices:
        require_broker(get_settings(), "worker", "`gleaner run` works without one")
        given = {"--model": model, "--concurrency": concurrency, "--kv-memory": kv_memory}
        arguments = [str(part) for pair in given.items() if pair[1] is not None for part in pair]
        # -P: nothing is imported from where we are, as by the command itself
        command = [sys.executable, "-P", "-m", "pipelines.cli", "worker", *arguments]
        port = metrics_port or get_settings().metrics_port
        raise typer.Exit(fleet.Fleet(fleet.devices(devices), command, metrics_port=port).run())
    runtime = _runtime(
        model=model, device=device, concurrency=concurrency, kv_memory=kv_memory, metrics_port=metrics_port
    )
    require_broker(runtime.settings, "worker", "`gleaner run` works without one")
    raise typer.Exit(serve(runtime))


def ingest_paths(
    runtime: Runtime,
    schema: Schema,
    paths: list[str],
    text_column: str | None,
    *,
    is_sent: bool = False,
    **options: Unpack[IngestOptions],
) -> int:
    """Read, store and, if `is_sent`, send; the batch's id. A broker that is away is a warning: nothing is lost."""
    store, source = runtime.store, FileSource(paths)
    away: list[BrokerAwayError] = []

    def wake(job_ids: Sequence[int]) -> None:
        if not is_sent or away:
            return
        try:
            send(runtime, job_ids)
        except BrokerAwayError as exc:
            away.append(exc)

    with err.status(Text(f"reading into {store.url.render_as_string(hide_password=True)}")):
        reads = read_all(source, runtime.settings, text_column)
        batch_id = ingest(store, reads, schema, runtime.checkpoint, on_commit=wake, **options)
    if away:
        say("warning:", "yellow", str(away[0]))
    return batch_id


def read_all(source: FileSource, settings: Settings, text_column: str | None) -> Iterator[Read]:
    """Every document of a source, or the reason why there is none."""
    for file in source:
        yield from read(file, text_column=text_column, limits=limits_of(settings))


def work_with_progress(runtime: Runtime, batch_id: int) -> None:
    """Work a batch off in this process under a progress bar; Ctrl-C finishes the documents in hand and stops."""
    set_runtime(runtime)
    with ThreadPoolExecutor(1, thread_name_prefix="work") as pool:
        working = pool.submit(work_off, runtime, batch_id)
        try:
            follow(runtime, batch_id, is_over=working.done)
        except KeyboardInterrupt:
            runtime.stopping.set()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            err.print("stopping after the documents in hand; the same command goes on where this one ends")
            working.result()
            raise typer.Exit(INTERRUPTED) from None
        working.result()


def warn_of_placeholder(runtime: Runtime) -> None:
    """Say so if the checkpoint's weights are random."""
    if runtime.checkpoint.is_placeholder:
        meaning = "its weights are random, so rows are valid and grounded and mean nothing"
        say("placeholder checkpoint:", "yellow", meaning)


def _share(given: str | None) -> float | None:
    """A share of one, written as 20% or 0.2."""
    if given is None:
        return None
    try:
        share = float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise ConfigurationError(f"--max-failures {given} is no share.", hint="Write it as 20% or 0.2.")
    return share


def runtime_with(**overrides: object) -> Runtime:
    """The runtime of this process, with what is not None in place of its settings."""
    given = {name: value for name, value in overrides.items() if value is not None}
    if given:
        set_runtime(Runtime(get_settings().model_copy(update=given)))
    return get_runtime()


def _runtime(**overrides: object) -> Runtime:
    runtime = runtime_with(**overrides)
    warn_of_placeholder(runtime)
    return runtime


def require_broker(settings: Settings, command: str, instead: str) -> None:
    if not settings.broker:
        raise ConfigurationError(
            f"`gleaner {command}` needs a broker and GLEANER_BROKER_URL is not set.",
            hint=f"Set it, as redis://localhost:6379/0; {instead}.",
        )
