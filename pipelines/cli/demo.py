"""`gleaner demo`: the sample documents of the catalog, from files to a SQL join, on this machine alone."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.console import out, table
from pipelines.cli.follow import summarize
from pipelines.cli.work import ingest_paths, warn_of_placeholder, work_with_progress
from workers.runtime import Runtime, set_runtime
from workers.settings import get_settings
from workers.store import records
from workers.store.questions import ask

JOIN = """
SELECT invoice.invoice_number, invoice.supplier_name, invoice_line_items.position AS line,
       invoice_line_items.description, invoice_line_items.amount
FROM invoice JOIN invoice_line_items USING (document_id)
ORDER BY document_id, line LIMIT 8
""".strip()


def demo(
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Where the demo's database goes; default in GLEANER_DATA_DIR."),
    ] = None,
) -> None:
    """Extract the bundled sample documents of every bundled schema, and show the rows.

    Example: gleaner demo
    """
    data_dir = directory or get_settings().data_dir / "demo"
    settings = get_settings().model_copy(
        update={"data_dir": data_dir, "database_url": None, "broker_url": None, "schemas": ()}
    )
    runtime = Runtime(settings)
    set_runtime(runtime)
    warn_of_placeholder(runtime)
    names = runtime.registry.names()
    for name in names:
        samples = runtime.registry.entry(name).samples_dir
        batch_id = ingest_paths(runtime, runtime.registry.get(name), [str(samples)], "text")
        work_with_progress(runtime, batch_id)
        summarize(runtime, batch_id)
    for name in names:
        columns = ", ".join(["document_id", *_columns(runtime, name)])
        _show(runtime, f"SELECT {columns} FROM {name}", title=name)  # noqa: S608  names of ours
    _show(runtime, JOIN, title=JOIN)
    database = runtime.store.url.database
    out.print(f"\ndatabase: {database}")
    out.print(f"ask it: GLEANER_DATABASE_URL=sqlite:///{database} gleaner query 'SELECT ...'")


def _columns(runtime: Runtime, name: str) -> list[str]:
    """The columns of a schema's fields."""
    found = records.tables(name, runtime.registry.get(name).form).main.columns.keys()
    return [column for column in found if column not in ("document_id", "extraction_id", "confidence")]


def _show(runtime: Runtime, sql: str, *, title: str) -> None:
    answer = ask(runtime.store, sql)
    out.print(f"\n{title}", style="bold")
    out.print(table(answer.columns, answer.rows, one_line=True))
