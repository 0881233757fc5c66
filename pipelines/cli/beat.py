"""`gleaner beat`: the clock that has workers sweep."""

from pipelines.cli.work import MetricsPort, require_broker, runtime_with
from workers.ticker import tick


def beat(metrics_port: MetricsPort = None) -> None:
    """Send the sweep to the workers at its times; two of these do no harm.

    Example: gleaner beat
    """
    runtime = runtime_with(metrics_port=metrics_port)
    require_broker(runtime.settings, "beat", "`gleaner run` sweeps by itself")
    tick(runtime)
