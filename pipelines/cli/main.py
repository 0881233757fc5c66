"""All commands in one, and errors as one sentence."""

import sys
from typing import Annotated

import typer

from pipelines.cli import (
    beat,
    db,
    demo,
    doctor,
    evaluate,
    export,
    jobs,
    look,
    pipeline_commands,
    reextract,
    report,
    schema_commands,
    train,
    work,
)
from pipelines.cli.console import say
from schemas.errors import GleanerError
from workers.logs import configure_logs
from workers.settings import get_settings
from workers.traces import start_tracing

app = typer.Typer(
    name="gleaner",
    help="Turns piles of documents into rows you query in SQL.\n\nExample: gleaner run receipt scans/*.pdf",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(work.run)
app.command()(work.enqueue)
app.command()(work.worker)
app.command()(reextract.reextract)
app.command()(beat.beat)
app.command()(look.status)
app.command()(jobs.workers)
app.command()(look.query)
app.command()(export.export)
app.command()(report.report)
app.command("eval")(evaluate.measure)
app.command()(train.train)
app.command()(doctor.doctor)
app.add_typer(jobs.app, name="jobs")
app.add_typer(pipeline_commands.app, name="pipelines")
app.add_typer(schema_commands.app, name="schemas")
app.add_typer(db.app, name="db")


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    configure_logs(get_settings())
    start_tracing(get_settings())


def main() -> None:
    """Run the command line; an error is one sentence with the next step, and exit code 1."""
    try:
        app()
    except Exception as exc:
        if "--debug" in sys.argv:
            raise
        said = str(exc) if isinstance(exc, GleanerError) else _unexpected(exc)
        say("error:", "red", said)
        sys.exit(1)


def _unexpected(exc: Exception) -> str:
    first_line = next(iter(str(exc).splitlines()), "")
    hint = "Please report it, with what `gleaner --debug` and the same command print."
    return f"Unexpected {type(exc).__name__}: {first_line.rstrip('.')}. {hint}"
