"""Chunks of samples in their order, made ahead in other processes so that the device never waits for text."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import count

from pipelines.train.data import Maker, Sample
from schemas.errors import TransientError

Chunk = list[Sample | None]

# chunks that are made before they are asked for
_AHEAD_PER_WORKER = 4

_maker: Maker | None = None


class Feed:
    """The chunks of a run from any number on; how many processes make them changes nothing in them."""

    def __init__(self, maker: Maker, num_workers: int) -> None:
        self._maker = maker
        self._num_workers = num_workers
        self._pool = _start(maker, num_workers) if num_workers else None

    def chunks(self, first: int) -> Iterator[Chunk]:
        """Chunks until one is empty."""
        made = self._ahead(self._pool, first) if self._pool else map(self._maker.chunk, count(first))
        for chunk in made:
            if not chunk:
                return
            yield chunk

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _ahead(self, pool: ProcessPoolExecutor, first: int) -> Iterator[Chunk]:
        waiting: deque[Future[Chunk]] = deque()
        for number in count(first):
            waiting.append(pool.submit(_make, number))
            if len(waiting) > self._num_workers * _AHEAD_PER_WORKER:
                yield _result(waiting.popleft())


def _result(made: Future[Chunk]) -> Chunk:
    try:
        return made.result()
    except BrokenProcessPool as exc:
        raise TransientError(
            "A process that makes samples ended.",
            hint="Go on with --resume; with --workers 0 samples are made in this process, which shows why.",
        ) from exc


def _start(maker: Maker, num_workers: int) -> ProcessPoolExecutor:
    # not forked: this process has threads and perhaps a GPU
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(num_workers, mp_context=context, initializer=_prepare, initargs=(maker,))


def _prepare(maker: Maker) -> None:
    global _maker
    _maker = maker
    # Ctrl-C is for the process that trains
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes no queue, and this process would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _make(number: int) -> Chunk:
    if _maker is None:
        raise RuntimeError("this process was not prepared")
    return _maker.chunk(number)
