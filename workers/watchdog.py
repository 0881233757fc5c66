"""Ends a process whose engine hangs: its leases expire, and whoever supervises it starts a fresh one."""

import os
import time
from collections.abc import Collection

import structlog

from workers.runtime import Runtime

log = structlog.get_logger()

# of a process that ended without having finished what it had in hand
EXIT_UNFINISHED = 70


class Watchdog:
    """Looks whether the engine makes steps while it has jobs to work on."""

    def __init__(self, runtime: Runtime, in_work: Collection[int]) -> None:
        self._runtime = runtime
        self._in_work = in_work
        self._seen: object = None
        self._since_s = time.monotonic()

    def look(self) -> None:
        """End the process if nothing has moved for the limit."""
        jobs = tuple(self._in_work)
        now, limit_s = time.monotonic(), self._runtime.settings.engine_time_limit_s
        seen = (jobs, self._runtime.engine.occupancy().num_steps)
        if not jobs or seen != self._seen:
            self._seen, self._since_s = seen, now
        elif now - self._since_s >= limit_s:
            # nothing is handed back: what it hung over is a suspect once the lease is over
            log.critical("engine_hung", jobs=jobs, without_a_step_s=round(now - self._since_s, 1))
            os._exit(EXIT_UNFINISHED)
