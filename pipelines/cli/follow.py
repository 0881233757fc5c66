"""Watching batches until they have ended."""

import time
from collections.abc import Callable, Sequence

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from pipelines.cli.console import err, number_of, out, table
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

    def read(conn: Connection) -> list[ledger.Progress]:
        return [ledger.progress(conn, batch_id)]

    _show(runtime, read, is_over=is_over, with_workers=with_workers)


def follow_all(runtime: Runtime) -> list[int]:
    """The same for the newest batches and the workers until no batch is open; the ids of those that were."""
    seen: set[int] = set()

    def read(conn: Connection) -> list[ledger.Progress]:
        newest = ledger.list_batches(conn)
        seen.update(batch.batch_id for batch in newest if not batch.finished)
        return [batch for batch in reversed(newest) if batch.batch_id in seen]

    _show(runtime, read, is_over=lambda: False, with_workers=True)
    return sorted(seen)


def _show(
    runtime: Runtime,
    read: Callable[[Connection], Sequence[ledger.Progress]],
    *,
    is_over: Callable[[], bool],
    with_workers: bool,
) -> None:
    bars = _Bars()
    with Live(bars.progress, console=err, refresh_per_second=4) as live:
        while True:
            over = is_over()
            begun = time.monotonic()
            with reading(runtime.store) as conn:
                batches = read(conn)
                parts = _details(conn, batches, with_workers=with_workers) if err.is_terminal else []
            bars.update(batches)
            live.update(Group(bars.progress, *parts), refresh=True)
            if over or all(batch.finished for batch in batches):
                break
            time.sleep(max(POLL_S, (time.monotonic() - begun) / _ASKING))
    if not err.is_terminal:
        # a pipe gets the last frame alone, without the end of its line
        err.line()


class _Bars:
    """A line for every batch: how far it is, its rate, the time left, and where its documents are."""

    def __init__(self) -> None:
        self.progress = Progress(*_COLUMNS, console=err, auto_refresh=False)
        self._tasks: dict[int, TaskID] = {}

    def update(self, batches: Sequence[ledger.Progress]) -> None:
        for now in batches:
            if now.batch_id not in self._tasks:
                name = f"batch {now.batch_id} {now.schema}"
                self._tasks[now.batch_id] = self.progress.add_task(name, total=None, counts="", rate="")
            task = self._tasks[now.batch_id]
            ended = now.total - now.queued - now.leased
            self.progress.update(task, total=now.total, completed=ended, counts=_told(now))
            speed = next(each.speed for each in self.progress.tasks if each.id == task)
            self.progress.update(task, rate=f"{speed:.1f}/s" if speed else "")


def _told(now: ledger.Progress) -> str:
    if now.abandoned:
        return f"{counts(now)}; whoever enqueued it is gone"
    return counts(now) if now.sealed else f"{counts(now)}; more are being enqueued"


def _details(
    conn: Connection, batches: Sequence[ledger.Progress], *, with_workers: bool
) -> list[Table | Text]:
    parts: list[Table | Text] = [
        _reasons_table(reasons, f"batch {batch.batch_id}")
        for batch in batches
        if (reasons := ledger.failures_by_reason(conn, batch.batch_id))
    ]
    if with_workers:
        workers = roster.list_workers(conn)
        parts += [workers_table(workers)] if workers else []
        at_work = {worker.checkpoint for worker in workers if not worker.is_silent}
        missing = {batch.checkpoint for batch in batches if batch.queued} - at_work
        parts += [Text(f"no worker has {name}: start `gleaner worker`", "yellow") for name in sorted(missing)]
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
    out.print(f"{number_of(now.total, 'document')}: {counts(now) or 'none'}")
    if now.stopped_why:
        out.print(now.stopped_why)
    if now.abandoned:
        out.print(
            "whoever enqueued this batch ended before it was whole: enqueue the same paths again, "
            "what is here already is not done twice"
        )
    if reasons:
        out.print(_reasons_table(reasons))


def _reasons_table(reasons: Sequence[ledger.Reason], title: str | None = None) -> Table:
    rows = [(r.state, r.code, r.count, _shortened(r.example)) for r in reasons]
    made = table(("state", "reason", "documents", "for example"), rows)
    made.title = title
    return made


def _shortened(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
