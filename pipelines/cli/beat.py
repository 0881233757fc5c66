"""`gleaner beat`: the clock that runs pipelines and has workers sweep."""

import signal

from pipelines.cli.work import MetricsPort, require_broker, runtime_with
from pipelines.clock import Clock
from pipelines.etl import Pipelines
from workers.runtime import Runtime
from workers.ticker import tick


def beat(metrics_port: MetricsPort = None) -> None:
    """Run pipelines and have the workers sweep at their times; two of these do everything once.

    Without a broker it extracts what its pipelines take in this process.

    Example: GLEANER_PIPELINES=my_pipelines gleaner beat
    """
    runtime = runtime_with(metrics_port=metrics_port)
    declared = Pipelines.load(runtime.settings.pipelines)
    for pipeline in declared:
        # what cannot run is said at once, and not at night
        pipeline.schema_of(runtime.registry)
    if not list(declared):
        require_broker(runtime.settings, "beat", "`gleaner run` sweeps by itself")
    clock = Clock(runtime, declared)
    if runtime.settings.broker:
        with clock.running():
            tick(runtime)
    else:
        _stop_on_signals(runtime)
        clock.run()
        if runtime.broken:
            raise runtime.broken


def _stop_on_signals(runtime: Runtime) -> None:
    """Finish what is in hand at the first signal; at a second one, end."""

    def stop(number: int, _frame: object) -> None:
        runtime.stopping.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
