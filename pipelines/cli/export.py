"""`gleaner export`: the rows of a schema as a file."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import out
from pipelines.cli.work import SchemaName
from pipelines.export_schema import export_schema
from workers.runtime import get_runtime


def export(
    schema: SchemaName,
    to: Annotated[Path, typer.Option("--to", help="File to write: .jsonl, .csv, .parquet or .xlsx.")],
) -> None:
    """Write the current records of a schema; its lists become sibling files or sheets, in .jsonl they stay lists.

    Example: gleaner export invoice --to invoices.xlsx
    """
    runtime = get_runtime()
    for file, count in export_schema(runtime.store, runtime.registry.get(schema), to).items():
        out.print(f"{count} rows in {file}", soft_wrap=True)
