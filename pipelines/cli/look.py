"""`gleaner status` and `gleaner query`: what is going on, and what came of it."""

import csv
import json
import sys
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from pipelines.cli.console import err, out, table
from pipelines.cli.follow import counts, follow, follow_all, summarize
from workers.runtime import Runtime, get_runtime
from workers.store import progress as ledger
from workers.store.questions import ask
from workers.store.session import reading
from workers.store.types import MAX_ID


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def status(
    batch: Annotated[
        int | None, typer.Argument(help="Batch id; the newest batches if left out.", min=1, max=MAX_ID)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow what is open until it has ended.")] = False,
) -> None:
    """Show how far batches are, and why documents failed.

    Example: gleaner status 12 --watch
    """
    runtime = get_runtime()
    if watch and batch is None:
        watched = follow_all(runtime)
        for each in watched:
            summarize(runtime, each)
        if not watched:
            out.print("no batch is open")
    elif watch and batch is not None:
        follow(runtime, batch, with_workers=True)
    if batch is not None:
        summarize(runtime, batch)
    elif not watch:
        _list_batches(runtime)


def _list_batches(runtime: Runtime) -> None:
    with reading(runtime.store) as conn:
        newest = ledger.list_batches(conn)
    rows = [
        (b.batch_id, b.schema, b.created_at.strftime("%Y-%m-%d %H:%M"), b.total, counts(b)) for b in newest
    ]
    out.print(table(("batch", "schema", "created (UTC)", "documents", "where they are"), rows))


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT.")],
    output: Annotated[Format, typer.Option("--format", "-f", help="How rows are printed.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(help="Most rows; 0 for all.", min=0)] = 1000,
) -> None:
    """Ask the database; it is opened read-only.

    Example: gleaner query "SELECT company, total FROM receipt ORDER BY total DESC" --format csv
    """
    answer = ask(get_runtime().store, sql, limit=limit + 1 if limit else None)
    rows = answer.rows[:limit] if limit else answer.rows
    if output is Format.TABLE:
        out.print(table(answer.columns, rows))
    elif output is Format.CSV:
        made = csv.writer(sys.stdout, lineterminator="\n")
        made.writerow(answer.columns)
        made.writerows(rows)
    else:
        listed = [dict(zip(answer.columns, row, strict=True)) for row in rows]
        json.dump(listed, sys.stdout, default=_as_json, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    if len(answer.rows) > len(rows):
        err.print(f"only the first {limit} rows are shown; use --limit 0 for all")


def _as_json(value: Any) -> Any:
    """A number where no digit is lost, else text."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else str(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
