"""Holding a lease: the heartbeat, which looks after the engine too, and patience with a database that is away."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import structlog

from schemas.errors import DatabaseAwayError
from workers.meanwhile import meanwhile
from workers.runtime import Runtime
from workers.store import jobs
from workers.store.session import reading, transaction
from workers.watchdog import Watchdog

T = TypeVar("T")

log = structlog.get_logger()

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
# until a cancelled job is noticed
LOOK_S = 2.0

# jobs that the engine works on, and what stops each
Stops: TypeAlias = dict[int, threading.Event]


@contextmanager
def heartbeat(runtime: Runtime, owner: str, in_work: Stops) -> Iterator[None]:
    """Renew the leases of a chunk every third of their length, while the engine makes progress.

    What is cancelled of `in_work` is stopped.
    """
    every_s = runtime.settings.lease_s / 3
    watchdog = Watchdog(runtime, in_work)
    renewed_at = time.monotonic()

    def beat() -> None:
        nonlocal renewed_at
        try:
            # first: an engine that hangs, or says nothing of itself, is not to hold its leases
            watchdog.look()
            if time.monotonic() - renewed_at >= every_s:
                renewed_at = time.monotonic()
                with transaction(runtime.store) as conn:
                    jobs.heartbeat(conn, owner, runtime.settings.lease_s)
            _stop_cancelled(runtime, dict(in_work))
        except Exception:
            # the lease may expire: then the late result is refused and the work done again elsewhere
            log.exception("heartbeat_failed")

    with meanwhile("heartbeat", min(every_s, LOOK_S), beat):
        yield


def _stop_cancelled(runtime: Runtime, in_work: Stops) -> None:
    if in_work:
        with reading(runtime.store) as conn:
            unwanted = jobs.cancelled(conn, in_work)
        for job_id in unwanted:
            in_work[job_id].set()


def patiently(runtime: Runtime, do: Callable[[], T], *, limit_s: float = float("inf")) -> T:
    """What `do` returns, tried again with growing waits while the database is away.

    Raises:
        DatabaseAwayError: it was away for `limit_s`, or is when the process is stopping.
    """
    deadline = time.monotonic() + limit_s
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            return do()
        except DatabaseAwayError as exc:
            if runtime.stopping.is_set() or time.monotonic() >= deadline:
                raise
            log.warning("database_away", reason=str(exc))
        runtime.stopping.wait(jittered(wait_s))
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def backoff_s(first_s: float, failures: int) -> float:
    """Seconds until the next try after so many failures: doubled with each, an hour at most."""
    return jittered(min(first_s * 2.0 ** min(failures, 30), 3600.0))


def jittered(seconds: float) -> float:
    """Between half and all of it, so that those who failed together do not come back together."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311  no secret
