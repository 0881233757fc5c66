"""`python -m pipelines.train`: the command without the rest of the command line and what that needs."""

import sys

import typer

from pipelines.cli.console import err
from pipelines.cli.train import train
from schemas.errors import GleanerError

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(train)


def main() -> None:
    """Run the command; an error is one sentence with the next step, and exit code 1."""
    try:
        app()
    except GleanerError as exc:
        err.print(f"[red]error:[/red] {exc}", soft_wrap=True)
        sys.exit(1)


# processes that make samples import this module again
if __name__ == "__main__":
    main()
