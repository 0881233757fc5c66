"""A clock with a scripted engine: `python -m tests.integration.pipelines.scripted_clock OPTIONS`, as JSON."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pipelines import runs
from pipelines.cli.beat import _stop_on_signals
from pipelines.clock import Clock
from pipelines.etl import Pipelines
from pipelines.sources.feed import Part
from tests.cases.worlds import make_runtime
from workers.logs import configure_logs


def slowly(seconds: float) -> None:
    """Commit a document at a time, and wait after each."""
    commit = runs._Taking._commit

    def and_wait(self: runs._Taking, chunk: Sequence[Part]) -> str | None:
        why = commit(self, chunk)
        time.sleep(seconds)
        return why

    runs.COMMIT_SIZE = 1
    runs._Taking._commit = and_wait  # type: ignore[method-assign]


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    slowly(options.pop("seconds_per_commit", 0.0))
    runtime = make_runtime(options.pop("database_url"), Path(options.pop("schemas")), **options)
    configure_logs(runtime.settings)
    _stop_on_signals(runtime)
    Clock(runtime, Pipelines.load(runtime.settings.pipelines)).run()
