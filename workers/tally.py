"""What this process did since it started: for its row in the roster, and for its log."""

import threading
import time
from collections import Counter

from workers import metrics
from workers.store.roster import Report

FENCED = "fenced"
_ENDED = frozenset({"done", "review", "failed"})


class Tally:
    """Counts that several threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._held: dict[str, int] = {}
        self._before = (time.monotonic(), 0)

    def count(self, outcome: str, num: int = 1, *, reason: str | None = None) -> None:
        """Documents that came to an outcome: done, review, failed, retried, lost or fenced."""
        with self._lock:
            self._outcomes[outcome] += num
        if outcome == FENCED:
            metrics.FENCED.inc(num)
        else:
            metrics.DOCUMENTS.labels(outcome, reason or "").inc(num)

    def hold(self, owner: str, num: int) -> None:
        """How many jobs are held under a name just now."""
        with self._lock:
            self._held[owner] = num
            if not num:
                del self._held[owner]

    @property
    def in_hand(self) -> int:
        with self._lock:
            return sum(self._held.values())

    def report(self) -> Report:
        """The counts, and the rate since the report before this one."""
        with self._lock:
            ended = sum(self._outcomes[outcome] for outcome in _ENDED)
            now, (then, before) = time.monotonic(), self._before
            self._before = (now, ended)
            return Report(
                in_hand=sum(self._held.values()),
                num_documents=ended,
                num_fenced=self._outcomes[FENCED],
                documents_per_s=(ended - before) / max(now - then, 1e-3),
            )
