"""`gleaner beat`: the clock that has workers sweep."""

from pipelines.cli.work import require_broker
from workers.runtime import get_runtime
from workers.ticker import tick


def beat() -> None:
    """Send the sweep to the workers at its times; two of these do no harm.

    Example: gleaner beat
    """
    runtime = get_runtime()
    require_broker(runtime.settings, "beat", "`gleaner run` sweeps by itself")
    tick(runtime)
