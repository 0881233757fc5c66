"""`gleaner report`: pages to look at."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import counting, number_of, out
from schemas.base import Schema
from schemas.forms import ObjectForm
from workers.runtime import Runtime, get_runtime


def report(
    scope: Annotated[
        str,
        typer.Argument(
            metavar="BATCH|run:RUN|SCHEMA",
            help="Id of a batch, or run: and that of a pipeline's run, or name of a schema: the newest extraction "
            "of each of its documents.",
        ),
    ],
    directory: Annotated[
        Path | None,
        typer.Option("--out", help="Where the pages go; default reports/ in GLEANER_DATA_DIR."),
    ] = None,
) -> None:
    """Write pages that show every document with its record, where each value stands, and what went wrong.

    They load nothing from anywhere: open index.html, or send the directory to someone.

    Example: gleaner report 12 --out report
    """
    # imported here, so that other commands start without templates
    from pipelines.report.summary import summarize
    from pipelines.report.write import write
    from workers.store import outcomes

    runtime = get_runtime()
    with outcomes.one_moment(runtime.store) as conn:
        summary = summarize(conn, outcomes.find(conn, scope), lambda name: _form(runtime, name))
        place = directory or runtime.settings.data_dir / "reports" / scope.replace(":", "-")
        with counting(f"report {scope}", summary.num) as advance:
            index = write(conn, summary, place, on_shown=advance)
    out.print(f"{number_of(summary.num, 'document')} in {index}")


def _form(runtime: Runtime, name: str) -> ObjectForm | None:
    """The form of a schema as it is now; without its examples, which may have faults."""
    known = name in runtime.registry.names()
    return Schema(runtime.registry.entry(name).model, ()).form if known else None
