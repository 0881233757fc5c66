"""What commands share: two consoles and tables."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# a pipe has no width
PIPE_WIDTH = 200

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)


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
        is_number = any(isinstance(row[index], int | float) for row in listed)
        made.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="ellipsis" if one_line else "fold",
            no_wrap=one_line,
        )
    for row in listed:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: Any) -> str:
    if value is None:
        return "[dim]-[/dim]"
    return escape(f"{value:.3g}" if isinstance(value, float) else str(value))
