"""The engine: one loop that owns the model, and a waiting line that requests of all threads enter.

The loop runs in a thread of its own while there is work. Before every step it lets in who waits, as far as the
KV cache has room for them, and after it those leave that have ended.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import torch

from workers.engine import checkpoint, memory
from workers.engine.cache import FP8, Arena, bytes_per_token
from workers.engine.drafts import Drafting, copying, no_drafts
from workers.engine.line import Line, Ticket
from workers.engine.network import Network
from workers.engine.protocol import Checkpoint, Completion, Occupancy, Request
from workers.engine.row import Row
from workers.engine.seats import Seats
from workers.engine.step import step
from workers.engine.tokenizer import PlainTokenizer


class HrmTextEngine:
    """Completes prompts greedily under their grammars; a completion does not depend on what runs beside it."""

    def __init__(
        self,
        loaded: checkpoint.Loaded,
        *,
        kv_memory: int | None = None,
        kv_dtype: str = "auto",
        drafting: Drafting | None = None,
    ) -> None:
        """`kv_memory` is the most bytes of the KV cache, by default a share of what is free.

        `kv_dtype` "fp8" makes its tokens half as large as in bfloat16, and answers nearly the same. `drafting` makes
        what drafts a row's answer, by default by copying from the document; answers are the same.
        """
        self.tokenizer: PlainTokenizer = loaded.tokenizer
        self.checkpoint: Checkpoint = loaded.checkpoint
        self._network = Network(loaded.model)
        like = self._network.like
        room = memory.free_for_cache(like.device) if kv_memory is None else kv_memory
        self._kept_as = FP8 if kv_dtype == "fp8" else like.dtype
        self._most_places = room // bytes_per_token(self._network.kv_shape, self._kept_as)
        # fewer for as long as the device has no memory for all
        self._num_places = self._most_places
        self._seats: Seats | None = None
        self._num_steps = self._num_tokens = 0
        self._drafting = drafting or copying(self.tokenizer)
        self._line = Line()
        self._lock = threading.Lock()
        self._is_running = False

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        kv_memory: int | None = None,
        kv_dtype: str = "auto",
        cycles: str | None = None,
        drafts: bool = True,
    ) -> "HrmTextEngine":
        """Load a checkpoint and be ready to complete, with drafts or without.

        Raises:
            CheckpointError: the checkpoint cannot be used.
            ConfigurationError: device or dtype does not exist here, or `cycles` is no depth.
        """
        loaded = checkpoint.load(path, device, dtype, cycles)
        drafting = None if drafts else no_drafts
        return cls(loaded, kv_memory=kv_memory, kv_dtype=kv_dtype, drafting=drafting)

    def __str__(self) -> str:
        like = self._network.like
        return f"{like.device}, {str(like.dtype).removeprefix('torch.')}, {self.max_positions} positions"

    @property
    def max_positions(self) -> int:
        return int(self._network.config.max_position_embeddings)

    def submit(self, request: Request) -> Future[Completion]:
        """Enter the waiting line; the future is given the completion, or a DeviceError if the device fails."""
        row = Row(request, self.tokenizer, self.max_positions)
        if row.finish:
            done: Future[Completion] = Future()
            done.set_result(row.completion())
            return done
        ticket = Ticket(row, self._drafting(row))
        with self._lock:
            self._line.waiting.append(ticket)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="engine", daemon=True).start()
        return ticket.future

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete every request, in their order; safe to call from several threads.

        Raises:
            DeviceError: the device failed, or one request alone does not fit its memory.
        """
        # longest first: what comes last is short, so that the end of a batch leaves little idle
        order = sorted(range(len(requests)), key=lambda i: -len(requests[i].prompt))
        futures = {i: self.submit(requests[i]) for i in order}
        try:
            return [futures[i].result() for i in range(len(requests))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise

    def occupancy(self) -> Occupancy:
        """How full it is just now: a look at what a step may be changing, so the counts may be of two moments."""
        seats = self._seats
        used_memory, total_memory = memory.of_device(self._network.like.device)
        return Occupancy(
            num_running=len(self._line.running),
            num_waiting=len(self._line.waiting),
            num_places=self._num_places,
            num_places_taken=seats.num_taken if seats else 0,
            num_steps=self._num_steps,
            num_tokens=self._num_tokens,
            used_memory=used_memory,
            memory=total_memory,
        )

    @torch.inference_mode()
    def _run(self) -> None:
        while self._has_work():
            try:
                self._turn()
            # stored: everyone who waits is told
            except Exception as exc:  # noqa: BLE001
                self._recover(exc)
            # a panic of the grammar's library is no Exception
            except BaseException as exc:  # noqa: BLE001
                self._recover(RuntimeError(repr(exc)))
            else:
                continue
            # outside the handlers, where no traceback holds the tensors of the step
            self._seats = None
            memory.give_back()

    def _has_work(self) -> bool:
        with self._lock:
            self._is_running = bool(self._line.running or self._line.waiting)
            if not self._is_running and self._num_places < self._most_places:
                # what filled the memory may be gone
                self._num_places, self._seats = self._most_places, None
            return self._is_running

    def _turn(self) -> None:
        if self._seats is None:
            network = self._network
            self._seats = Seats(Arena(network.kv_shape, self._num_places, network.like, self._kept_as))
        self._line.admit(self._seats)
        # a time limit may have ended one already
        self._line.settle(self._seats)
        if self._line.running:
            for ticket in self._line.running:
                ticket.row.draft = ticket.draft()
            rows = [ticket.row for ticket in self._line.running]
            self._num_tokens += step(self._network, self._seats.arena, rows, self.tokenizer.size)
            self._num_steps += 1
            self._line.settle(self._seats)

    def _recover(self, error: Exception) -> None:
        """Go on with half of those in hand if the memory was full, else tell everyone."""
        wanted = [ticket.row.num_places for ticket in self._line.running]
        if not memory.is_full(error):
            self._line.fail(memory.as_device_error(error), waiting_too=True)
        elif len(wanted) == 1:
            self._line.fail(memory.as_device_error(error))
        else:
            self._line.send_back()
            self._num_places = max(sum(wanted) // 2, *wanted) if wanted else self._num_places // 2
