"""All commands in one, and errors as one sentence."""

import sys
from typing import Annotated

import typer

from pipelines.cli import db, demo, doctor, evaluate, look, schema_commands, train, work
from pipelines.cli.console import err
from schemas.errors import GleanerError
from workers.logs import configure_logs
from workers.settings import get_settings

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
app.command()(look.status)
app.command()(look.query)
app.command("eval")(evaluate.measure)
app.command()(train.train)
app.command()(doctor.doctor)
app.add_typer(schema_commands.app, name="schemas")
app.add_typer(db.app, name="db")


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    configure_logs(get_settings())


def main() -> None:
    """Run the command line; an error is one sentence with the next step, and exit code 1."""
    try:
        app()
    except GleanerError as exc:
        if "--debug" in sys.argv:
            raise
        err.print(f"[red]error:[/red] {exc}", soft_wrap=True)
        sys.exit(1)
