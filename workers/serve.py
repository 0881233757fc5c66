"""A Celery worker in this process: threads that share one engine, and a sweep in the background."""

from celery import signals

from workers.app import app, configure, extract_queue
from workers.presence import present
from workers.runtime import Runtime, set_runtime
from workers.sweeper import start_sweeping


def serve(runtime: Runtime) -> int:
    """Work off what the broker brings until the process is told to stop; its exit code."""
    # before a message is taken: a worker that cannot work must not say that it is ready
    store, _, _ = runtime.store, runtime.registry, runtime.engine
    set_runtime(runtime)
    configure(app, runtime.settings)
    signals.worker_shutting_down.connect(lambda **_: runtime.stopping.set(), weak=False)
    with present(store):
        start_sweeping(runtime)
        worker = app.Worker(
            pool="threads",
            concurrency=runtime.settings.concurrency,
            queues=[extract_queue(runtime.checkpoint)],
            without_gossip=True,
            without_mingle=True,
            loglevel=runtime.settings.log_level.upper(),
        )
        worker.start()
    return worker.exitcode or 0
