"""Watching a batch until it has ended."""

import time
from collections.abc import Callable, Sequence

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from sqlalchemy import Connection

from pipelines.cli.console import err, out, table
from pipelines.cli.jobs import workers_table
from workers.runtime import Runtime
from workers.store import progress as ledger
from workers.store import roster
from workers.store.session import reading

POLL_S = 0.3
# the share of the time that is spent with asking, if the batch is large
_ASKING = 0.1

_COLUMNS = (
    SpinnerColumn(),
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TextColumn("{task.fields[rate]}"),
    TimeRemainingColumn(elapsed_when_finished=True),
    TextColumn("{task.fields[counts]}"),
)


def follow(
    runtime: Runtime,
    batch_id: int,
    *,
    is_over: Callable[[], bool] = lambda: False,
    with_workers: bool = False,
) -> None:
    """Show progress, rate, time left and failures until every document of the batch has ended, or `is_over`."""
    bar = Progress(*_COLUMNS, console=err, auto_refresh=False)
    task = bar.add_task(f"batch {batch_id}", total=None, counts="", rate="")
    with Live(bar, console=err, refresh_per_second=4) as live:
        while True:
            over = is_over()
            begun = time.monotonic()
            with reading(runtime.store) as conn:
                now = ledger.progress(conn, batch_id)
                parts = _details(conn, batch_id, with_workers=with_workers) if err.is_terminal else []
            ended = now.total - now.queued - now.leased
            speed = bar.tasks[task].speed
            rate = f"{speed:.1f}/s" if speed else ""
            bar.update(task, total=now.total, completed=ended, counts=counts(now), rate=rate)
            live.update(Group(bar, *parts), refresh=True)
            if now.finished or over:
                break
            time.sleep(max(POLL_S, (time.monotonic() - begun) / _ASKING))
    if not err.is_terminal:
        # a pipe gets the last frame alone, without the end of its line
        err.line()


def _details(conn: Connection, batch_id: int, *, with_workers: bool) -> list[Table]:
    reasons = ledger.failures_by_reason(conn, batch_id)
    parts = [_reasons_table(reasons)] if reasons else []
    if with_workers and (workers := roster.list_workers(conn)):
        parts.append(workers_table(workers))
    return parts


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
    if now.stopped_why:
        out.print(now.stopped_why)
    if now.abandoned:
        out.print(
            "whoever enqueued this batch ended before it was whole: enqueue the same paths again, "
            "what is here already is not done twice"
        )
    if reasons:
        out.print(_reasons_table(reasons))


def _reasons_table(reasons: Sequence[ledger.Reason]) -> Table:
    rows = [(r.state, r.code, r.count, _shortened(r.example)) for r in reasons]
    return table(("state", "reason", "documents", "for example"), rows)


def _shortened(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
