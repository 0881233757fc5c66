"""The engine: one loop that owns the model, and a waiting line that requests of all threads enter.

The loop runs in a thread of its own while there is work. Before every step it lets in who waits, as far as the
KV cache has room for them, and after it those leave that have ended. On a GPU it keeps two steps going, each of half
of the rows: while the device works on one, the rows of the other choose, and draft how they go on.
"""

import atexit
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import structlog
import torch

from schemas.errors import DeviceError
from workers.engine import checkpoint, memory
from workers.engine.cache import FP8, Arena, bytes_per_token
from workers.engine.drafts import Drafting, copying, no_drafts
from workers.engine.line import Line, Ticket
from workers.engine.network import Network
from workers.engine.protocol import Checkpoint, Completion, Cycles, Occupancy, Request
from workers.engine.room import Room
from workers.engine.row import Row
from workers.engine.seats import Seats
from workers.engine.step import Step
from workers.engine.tokenizer import PlainTokenizer
from workers.engine.transfers import on

log = structlog.get_logger()

# for the last step, at the end of the process
_PATIENCE_S = 30.0


class HrmTextEngine:
    """Completes prompts greedily under their grammars; a completion does not depend on what runs beside it."""

    def __init__(
        self,
        loaded: checkpoint.Loaded,
        *,
        kv_memory: int | None = None,
        kv_dtype: str = "auto",
        drafting: Drafting | None = None,
        overlap: bool | None = None,
    ) -> None:
        """`kv_memory` is the most bytes of the KV cache, by default a share of what is free.

        `kv_dtype` "fp8" makes its tokens half as large as in bfloat16, and long answers somewhat worse. `drafting`
        makes what drafts a row's answer, by default by copying from the document; `overlap` has two steps going at
        once, by default on a GPU. Answers are the same with either.
        """
        self.tokenizer: PlainTokenizer = loaded.tokenizer
        self.checkpoint: Checkpoint = loaded.checkpoint
        self._network = Network(loaded.model)
        self._own_depth = self._network.cycles
        like = self._network.like
        self._kept_as = FP8 if kv_dtype == "fp8" else like.dtype
        self._kv_memory = memory.free_for_cache(like.device) if kv_memory is None else kv_memory
        # by depth
        self._rooms: dict[Cycles, Room] = {}
        self._room = self._room_of(self._network)
        self._seats: Seats | None = None
        self._overlap = like.device.type == "cuda" if overlap is None else overlap
        # begun and not read yet, and the tickets of its rows
        self._begun: tuple[Step, list[Ticket]] | None = None
        self._num_steps = self._num_tokens = 0
        self._drafting = drafting or copying(self.tokenizer)
        self._line = Line()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        atexit.register(_close, weakref.ref(self))

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
        return self._enter(request).future

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete every request, in their order; safe to call from several threads.

        Raises:
            DeviceError: the device failed, or has not enough memory for one request alone.
        """
        tickets: dict[int, Ticket] = {}
        try:
            # longest first: what comes last is short, so that the end of a batch leaves little idle
            for i in sorted(range(len(requests)), key=lambda i: -len(requests[i].prompt)):
                tickets[i] = self._enter(requests[i])
            return [tickets[i].future.result() for i in range(len(requests))]
        except BaseException:
            for ticket in tickets.values():
                ticket.give_up()
            raise

    def close(self) -> None:
        """Stop after the step in hand, for good; completions that are still waited for never come."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread:
            thread.join(_PATIENCE_S)

    def _enter(self, request: Request) -> Ticket:
        row = Row(request, self.tokenizer, self.max_positions)
        ticket = Ticket(row, no_drafts(row), request.cycles or self._own_depth)
        if row.finish:
            ticket.future.set_result(row.completion())
            return ticket
        try:
            ticket.drafter = self._drafting(row)
        except Exception:
            log.exception("drafting_failed")
        with self._lock:
            if self._is_closed:
                raise DeviceError("The engine is closed.", hint="Load it again.")
            if not self._thread:
                thread = threading.Thread(target=self._run, name="engine", daemon=True)
                # raises where the process may have no more threads
                thread.start()
                self._thread = thread
            self._line.waiting.append(ticket)
        return ticket

    def occupancy(self) -> Occupancy:
        """How full it is just now: a look at what a step may be changing, so the counts may be of two moments."""
        seats = self._seats
        used_memory, total_memory = memory.of_device(self._network.like.device)
        return Occupancy(
            num_running=len(self._line.running),
            num_waiting=len(self._line.waiting),
            num_places=self._room.places,
            num_places_taken=seats.num_taken if seats else 0,
            num_steps=self._num_steps,
            num_tokens=self._num_tokens,
            used_memory=used_memory,
            memory=total_memory,
        )

    @torch.inference_mode()
    def _run(self) -> None:
        with on(self._network.like.device):
            self._work()

    def _work(self) -> None:
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
            if self._is_closed or not (self._line.running or self._line.waiting):
                self._thread = None
                # what filled the memory may be gone
                for room in self._rooms.values():
                    if room.reset() and room is self._room:
                        self._seats = None
            return self._thread is not None

    def _turn(self) -> None:
        if not self._line.running:
            self._prepare()
        seats = self._seats
        if seats is None:
            seats = self._seats = Seats(
                Arena(self._network.kv_shape, self._room.places, self._network.like, self._kept_as)
            )
        if not self._room.is_calm:
            self._line.admit(seats, self._room.most, self._network.cycles)
        # a time limit may have ended one already
        self._line.settle(seats)
        begun = self._begin(seats)
        if self._begun:
            self._read(self._begun[0], seats)
        self._begun = begun
        if begun and not self._overlap:
            self._begun = None
            self._read(begun[0], seats)

    def _prepare(self) -> None:
        """With nobody in hand, take the depth and the room that the next in the line needs."""
        ticket = self._line.head
        if not ticket:
            return
        if ticket.depth != self._network.cycles:
            self._network = self._network.at(ticket.depth)
            self._room, self._seats = self._room_of(self._network), None
        if self._room.fit(ticket.row.num_places):
            self._seats = None

    def _begin(self, seats: Seats) -> tuple[Step, list[Ticket]] | None:
        """Begin a step of those that are in none: of half of all, where two steps are to be going."""
        busy = self._begun[1] if self._begun else []
        idle = [ticket for ticket in self._line.running if ticket not in busy]
        if self._overlap:
            idle = idle[: (len(self._line.running) + 1) // 2]
        if not idle:
            return None
        for ticket in idle:
            ticket.draft()
        rows = [ticket.row for ticket in idle]
        return Step(self._network, seats.arena, rows, self.tokenizer.size), idle

    def _read(self, step: Step, seats: Seats) -> None:
        self._num_tokens += step.read()
        self._num_steps += 1
        self._room.count_step()
        self._line.settle(seats)

    def _recover(self, error: Exception) -> None:
        """Go on with half of what was in hand if the memory was full, else tell everyone."""
        self._begun = None
        if self._seats:
            # some may have ended in the step that failed
            self._line.settle(self._seats)
        if not memory.is_full(error):
            self._line.fail(memory.as_device_error(error), waiting_too=True)
            return
        # with nobody in hand it is the cache itself that there is no memory for
        running = self._line.running
        wanted = running or list(self._line.waiting)[:1]
        if not wanted:
            return
        num_taken = self._seats.num_taken if self._seats and running else self._room.places
        least = max(ticket.row.num_places for ticket in wanted)
        if self._room.shrink(num_taken, least):
            self._line.send_back()
        else:
            self._line.fail(memory.as_device_error(error), first_too=not running)

    def _room_of(self, network: Network) -> Room:
        most = self._kv_memory // bytes_per_token(network.kv_shape, self._kept_as)
        return self._rooms.setdefault(network.cycles, Room(most))


def _close(engine: "weakref.ref[HrmTextEngine]") -> None:
    """At the end of the process: a thread that is still within torch then would end it with an abort."""
    if found := engine():
        found.close()
