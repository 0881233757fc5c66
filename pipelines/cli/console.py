"""What commands share: two consoles and tables."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from schemas.errors import GleanerError

# a pipe has no width
PIPE_WIDTH = 200

# without markup: what is printed comes from documents, paths and servers, and may hold [brackets]
out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False, markup=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def say(label: str, style: str, text: str) -> None:
    """A sentence for people on standard error, after a coloured label."""
    err.print(Text.assemble((label, style), " ", text), soft_wrap=True)


def run_alone(app: Callable[[], object]) -> None:
    """Run a command that is a module of its own; an error is one sentence with the next step, and exit code 1."""
    try:
        app()
    except GleanerError as exc:
        say("error:", "red", str(exc))
        sys.exit(1)


@contextmanager
def counting(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, and what to call with the number of things just done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count: bar.advance(task, count)


def number_of(count: int, thing: str) -> str:
    """A count and what is counted, as "1 document"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def rounded(value: float | None) -> str:
    """A figure between 0 and 1."""
    return "-" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share."""
    return "-" if value is None else f"{value:.1%}"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    one_line: bool = False,
) -> Table:
    """Rows as a table: numbers to the right, NULL as a dim dash; `one_line` cuts what does not fit."""
    made = Table(header_style="bold")
    listed = [tuple(row) for row in rows]
    for index, column in enumerate(columns):
        is_number = any(isinstance(row[index], int | float | Decimal) for row in listed)
        made.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="ellipsis" if one_line else "fold",
            no_wrap=one_line,
        )
    for row in listed:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: Any) -> Text:
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, Text):
        return value
    # as many digits as are certain: the amounts of SQLite are floats
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    # a document may hold what a terminal takes for commands
    return Text("".join(char if char.isprintable() or char == "\n" else " " for char in text))
