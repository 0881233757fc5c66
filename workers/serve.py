"""A Celery worker in this process: threads that share one engine, a sweep and a roll call in the background."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from importlib.metadata import version

import structlog
from celery import signals
from structlog.contextvars import bind_contextvars

from workers.app import CONTROL_QUEUE, app, configure, extract_queue
from workers.exporter import export_metrics
from workers.gauges import SiteGauges, WorkerGauges
from workers.presence import present
from workers.runtime import Runtime, set_runtime
from workers.store import jobs, roster, versions
from workers.store.session import transaction
from workers.sweeper import start_sweeping
from workers.watchdog import EXIT_UNFINISHED

# for the last words to the database
LAST_WORDS_S = 5.0

log = structlog.get_logger()


def serve(runtime: Runtime) -> int:
    """Work off what the broker brings until the process is told to stop; its exit code.

    A stop finishes what the engine has in hand and hands back the rest, within `grace_s`. A second one hands back
    everything at once.
    """
    # before a message is taken: a worker that cannot work must not say that it is ready
    store, _, _ = runtime.store, runtime.registry, runtime.engine
    set_runtime(runtime)
    configure(app, runtime.settings)
    bind_contextvars(worker=runtime.name)
    export_metrics(runtime.settings, WorkerGauges(runtime), SiteGauges(runtime))
    stops = _Stops(runtime)
    signals.worker_shutting_down.connect(stops.first, weak=False)
    with present(store), _on_the_roster(runtime):
        start_sweeping(runtime)
        threading.Thread(target=stops.when_broken, name="breakdown", daemon=True).start()
        worker = app.Worker(
            # of its own, for there may be one a GPU: those of one name are one to Flower and `gleaner doctor`
            hostname=f"gleaner-{os.getpid()}@{socket.gethostname()}",
            pool=app.conf.worker_pool,
            concurrency=runtime.settings.concurrency,
            queues=[extract_queue(runtime.checkpoint), CONTROL_QUEUE],
            without_gossip=True,
            without_mingle=True,
            loglevel=runtime.settings.log_level.upper(),
        )
        worker.start()
    if runtime.broken:
        return EXIT_UNFINISHED
    return worker.exitcode or 0


class _Stops:
    """What happens when the process is told to stop, and told again."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def first(self, **_: object) -> None:
        """Let the engine finish, but not for ever."""
        self._runtime.stopping.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._at_once())
        timer = threading.Timer(self._runtime.settings.grace_s, self._at_once)
        timer.daemon = True
        timer.start()

    def when_broken(self) -> None:
        """Tell the process to stop if its device is lost."""
        self._runtime.stopping.wait()
        if self._runtime.broken:
            os.kill(os.getpid(), signal.SIGTERM)

    def _at_once(self) -> None:
        # in a thread: a database that hangs must not keep us
        last_words = threading.Thread(target=self._release_all, daemon=True)
        last_words.start()
        last_words.join(LAST_WORDS_S)
        os._exit(EXIT_UNFINISHED)

    def _release_all(self) -> None:
        with transaction(self._runtime.store) as conn:
            num = jobs.release_all(conn, list(self._runtime.owners))
            roster.sign_off(conn, self._runtime.name, self._runtime.tally.report())
        log.warning("stop_at_once", released=num)


@contextmanager
def _on_the_roster(runtime: Runtime) -> Iterator[None]:
    """Be listed among the workers, with what this one does."""
    with transaction(runtime.store) as conn:
        roster.sign_on(
            conn,
            runtime.name,
            checkpoint_id=versions.put_checkpoint(conn, runtime.checkpoint),
            device=str(runtime.engine),
            version=version("gleaner"),
            concurrency=runtime.settings.concurrency,
        )
    done = threading.Event()

    def answer() -> None:
        while not done.wait(roster.REPORT_S):
            try:
                with transaction(runtime.store) as conn:
                    roster.report(conn, runtime.name, runtime.tally.report())
            except Exception:
                # it is only shown as silent until the next time
                log.exception("report_failed")

    threading.Thread(target=copy_context().run, args=[answer], name="roster", daemon=True).start()
    try:
        yield
    finally:
        done.set()
        with transaction(runtime.store) as conn:
            roster.sign_off(conn, runtime.name, runtime.tally.report())
