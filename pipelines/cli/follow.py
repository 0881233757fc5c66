"""Watching a batch until it has ended."""

import time
from collections.abc import Callable

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from pipelines.cli.console import err, out, table
from workers.runtime import Runtime
from workers.store import progress as ledger
from workers.store.session import reading

POLL_S = 0.3


def follow(runtime: Runtime, batch_id: int, *, is_over: Callable[[], bool] = lambda: False) -> None:
    """Show a progress bar until every document of the batch has ended, or `is_over`."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(f"batch {batch_id}", total=None, counts="")
        while True:
            over = is_over()
            with reading(runtime.store) as conn:
                now = ledger.progress(conn, batch_id)
            ended = now.total - now.queued - now.leased
            bar.update(task, total=now.total, completed=ended, counts=counts(now))
            if now.finished or over:
                return
            time.sleep(POLL_S)


def counts(now: ledger.Progress) -> str:
    """The counts that are not zero, in words."""
    names = ("done", "already_done", "review", "failed", "cancelled", "leased", "queued")
    return ", ".join(f"{getattr(now, name)} {name.replace('_', ' ')}" for name in names if getattr(now, name))


def summarize(runtime: Runtime, batch_id: int) -> None:
    """Print how the documents of a batch ended, and why some are in review or failed."""
    with reading(runtime.store) as conn:
        now = ledger.progress(conn, batch_id)
        reasons = ledger.failures_by_reason(conn, batch_id)
    out.print(f"batch {batch_id}, schema {now.schema}, checkpoint {now.checkpoint}")
    out.print(f"{now.total} documents: {counts(now) or 'none'}")
    if reasons:
        rows = [(r.state, r.code, r.count, _shortened(r.example)) for r in reasons]
        out.print(table(("state", "reason", "documents", "for example"), rows))


def _shortened(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
