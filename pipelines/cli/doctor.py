"""`gleaner doctor`: is everything that is set usable, and safe?"""

from typing import Annotated

import typer
from rich.text import Text

from pipelines.checkup import broker, database, declared, machine, model
from pipelines.checkup.finding import Check, Mark, examine
from pipelines.cli.console import out, table
from workers.runtime import get_runtime

STYLES = {Mark.OK: "green", Mark.WARNING: "yellow", Mark.ERROR: "red"}
CHECKS: list[tuple[str, Check]] = [
    ("settings", machine.settings),
    ("versions", machine.versions),
    ("disk", machine.disk),
    ("database", database.database),
    ("clock", database.clock),
    ("broker", broker.broker),
    ("celery", broker.celery),
    ("workers", broker.workers),
    ("schemas", model.schemas),
    ("pipelines", declared.pipelines),
    ("checkpoint", model.checkpoint),
]
# those that load the model
SLOW_CHECKS: list[tuple[str, Check]] = [("device", model.device), ("prompt", model.prompt)]


def doctor(
    fast: Annotated[bool, typer.Option("--fast", help="Leave out loading the model.")] = False,
) -> None:
    """Check this machine, the database, the broker, the workers and the checkpoint; exit code 1 if there is an error.

    Example: gleaner doctor
    """
    findings = list(examine(get_runtime(), CHECKS if fast else CHECKS + SLOW_CHECKS))
    rows = [(f.check, Text(f.said.mark, STYLES[f.said.mark]), f.said.found, f.said.step) for f in findings]
    out.print(table(("check", "", "what was found", "next step"), rows))
    if any(finding.said.mark is Mark.ERROR for finding in findings):
        raise typer.Exit(1)
