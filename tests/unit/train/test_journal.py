"""What is told of a run while it goes on."""

import io

import pytest
from rich.console import Console

from pipelines.train.journal import Bar, StepLine, show_bar

# of 100
STEPS = 40


def line(step: int) -> StepLine:
    return StepLine(
        step=step,
        loss=1.0,
        lr=1.0,
        gradient=1.0,
        samples=1,
        tokens=1,
        answer_tokens=1,
        tokens_per_s=1.0,
        seconds=1.0,
    )


def train_slowly(bar: Bar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that take a minute each."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(bar._progress, "get_time", lambda: now[0])
    for task in bar._progress.tasks:
        task._get_time = bar._progress.get_time
    for step in range(1, STEPS + 1):
        now[0] += 60
        bar.show(step / 100, line(step))


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_slow_run_tells_when_it_ends(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=150)
    with show_bar(console) as bar:
        train_slowly(bar, monkeypatch)
        (task,) = bar._progress.tasks
        assert task.time_remaining == 60 * (100 - STEPS)
    if not is_terminal:
        told = console.file.getvalue().splitlines()
        assert len(told) == STEPS
        assert told[-1].endswith("40.0%  1 s  ETA 1:00:00")
