"""Holding a lease: the heartbeat that renews it, and patience with a database that is away."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import structlog

from schemas.errors import DatabaseAwayError
from workers.runtime import Runtime
from workers.store import jobs
from workers.store.session import transaction

T = TypeVar("T")

log = structlog.get_logger()

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0


@contextmanager
def heartbeat(runtime: Runtime, owner: str) -> Iterator[None]:
    """Renew the leases of a chunk every third of their length."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(runtime.settings.lease_s / 3):
            try:
                with transaction(runtime.store) as conn:
                    jobs.heartbeat(conn, owner, runtime.settings.lease_s)
            except Exception:
                # the lease may expire: then the late result is refused and the work done again elsewhere
                log.exception("heartbeat_failed")

    # its log lines say of which worker they are, as ours do
    thread = threading.Thread(target=copy_context().run, args=[beat], name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


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
