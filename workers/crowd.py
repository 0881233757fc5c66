"""Who works beside whom in a process: chunks together, a suspect alone.

When a worker dies, every job it held is a suspect. Each is then tried while its process holds nothing else, so
that the one that kills workers is found and takes no other along.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Crowd:
    """A lock that many share or one has."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_together = 0
        self._num_waiting = 0
        self._is_alone = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """With others, after whoever waits to be alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone and not self._num_waiting)
            self._num_together += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody else."""
        with self._changed:
            self._num_waiting += 1
            self._changed.wait_for(lambda: not self._is_alone and not self._num_together)
            self._num_waiting -= 1
            self._is_alone = True
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()
