"""What is done every few seconds beside the work."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context


@contextmanager
def meanwhile(name: str, every_s: float, do: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread of its own until the block ends; it must not raise."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every_s):
            do()

    # its log lines say of which worker they are, as ours do
    thread = threading.Thread(target=copy_context().run, args=[repeat], name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
