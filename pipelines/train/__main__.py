"""`python -m pipelines.train`: the command without the rest of the command line and what that needs."""

import typer

from pipelines.cli.console import run_alone
from pipelines.cli.train import train

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(train)

# processes that make samples import this module again
if __name__ == "__main__":
    run_alone(app)
