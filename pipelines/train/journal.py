"""What a run tells: a line of JSON for every step and evaluation, and a progress bar."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# between lines where there is no terminal to draw a bar on
_QUIET_S = 30.0
# the time left is guessed from the speed in this time: steps are slow on a CPU, and some are for measuring
_SPEED_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """A step in the log; seconds are those of training alone."""

    step: int
    loss: float
    lr: float
    # the length of the gradient before it was cut
    gradient: float
    samples: int
    tokens: int
    answer_tokens: int
    tokens_per_s: float
    seconds: float


class Log:
    """JSON Lines that a resumed run continues where its state is; without a path nothing is kept."""

    def __init__(self, path: Path | None, after_step: int) -> None:
        self._file = _continued(path, after_step) if path else None

    def write(self, lines: list[dict[str, Any]]) -> None:
        if self._file:
            self._file.writelines(json.dumps(line) + "\n" for line in lines)
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()


def _continued(path: Path, after_step: int) -> TextIO:
    kept = [line for line in _lines(path) if json.loads(line)["step"] <= after_step]
    aside = path.with_suffix(".new")
    aside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    aside.replace(path)
    return path.open("a", encoding="utf-8")


class Bar:
    """Loss, speed and the time that is left; plain lines where there is no terminal."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._task = progress.add_task("", total=1.0)
        self._printed_s = 0.0

    def show(self, share: float, line: StepLine) -> None:
        text = f"step {line.step}  loss {line.loss:.4f}  {line.tokens_per_s:,.0f} tokens/s"
        self._progress.update(self._task, completed=share, description=text)
        if not self._console.is_terminal and time.monotonic() - self._printed_s > _QUIET_S:
            self._printed_s = time.monotonic()
            self.say(f"{text}  {share:.1%}  {line.seconds:.0f} s{self._eta()}")

    def _eta(self) -> str:
        left_s = self._progress.tasks[self._task].time_remaining
        return "" if left_s is None else f"  ETA {timedelta(seconds=round(left_s))}"

    def say(self, text: str) -> None:
        self._progress.console.print(text, soft_wrap=True)


@contextmanager
def show_bar(console: Console) -> Iterator[Bar]:
    """A progress bar for as long as a run goes on."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, disable=not console.is_terminal, speed_estimate_period=_SPEED_S
    ) as progress:
        yield Bar(console, progress)


def as_line(kind: str, record: Any) -> dict[str, Any]:
    """A dataclass as a line of the log."""
    return {"kind": kind, **asdict(record)}


def _lines(path: Path) -> list[str]:
    """The whole lines of a log; a killed run may leave half of one."""
    if not path.exists():
        return []
    *whole, _ = path.read_text(encoding="utf-8").split("\n")
    return whole
