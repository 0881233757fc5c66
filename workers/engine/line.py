"""The waiting line and the rows in hand: who is let in when, by the memory that it may take."""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import structlog

from workers.engine.drafts import Drafter
from workers.engine.memory import is_of_device, too_large
from workers.engine.protocol import Completion, Cycles
from workers.engine.row import Row
from workers.engine.seats import Seats

log = structlog.get_logger()

# Prompts that enter together: more would keep those in the middle of their answers waiting, and take memory
MAX_PROMPT_TOKENS = 4096


@dataclass(eq=False)
class Ticket:
    """A request's row, what drafts its answer, and where its completion is waited for."""

    row: Row
    drafter: Drafter
    depth: Cycles
    future: Future[Completion] = field(default_factory=Future)

    def draft(self) -> None:
        """Guess how the answer goes on; where that fails, each of its tokens is asked for instead."""
        try:
            self.row.draft = self.drafter()
        # a panic of the grammar's library is no Exception
        except BaseException as exc:
            if is_of_device(exc):
                raise
            log.exception("drafting_failed")
            self.drafter = tuple

    def give_up(self) -> None:
        """Want the completion no more: it is not begun, or ends at the next step."""
        self.row.is_wanted = False
        self.future.cancel()


class Line:
    """Tickets in the order in which they came, and those that have places in the cache."""

    def __init__(self) -> None:
        self.waiting: deque[Ticket] = deque()
        self.running: list[Ticket] = []

    def admit(self, seats: Seats, most_places: int, depth: Cycles) -> None:
        """Let in as many of a depth as the cache has places for, first come first served.

        One that needs more than the most places that it may ever have fails; one that needs more than it has, or
        another depth, waits until nobody is in hand.
        """
        room = MAX_PROMPT_TOKENS
        while room > 0 and (ticket := self.head):
            row, future = ticket.row, ticket.future
            if ticket.depth != depth:
                return
            has_places = seats.seat(row)
            if not has_places and row.num_places <= most_places:
                return
            self.waiting.popleft()
            # False if whoever asked has given up; from here on they cannot
            is_wanted = future.running() or future.set_running_or_notify_cancel()
            if not is_wanted:
                seats.leave(row)
            elif has_places:
                row.start()
                self.running.append(ticket)
                # a block that others read, too, is computed once
                is_new = row.block and not row.block.is_ready and row.block.num_readers == 1
                room -= row.num_block + (row.request.num_shared if is_new else 0)
            else:
                row.fail(too_large(row.num_places, most_places))
                future.set_result(row.completion())

    @property
    def head(self) -> Ticket | None:
        """The first in the line that is still wanted."""
        while self.waiting and self.waiting[0].future.cancelled():
            self.waiting.popleft().future.set_running_or_notify_cancel()
        return self.waiting[0] if self.waiting else None

    def settle(self, seats: Seats) -> None:
        """Let those leave that have ended."""
        for ticket in self.running:
            if ticket.row.finish:
                seats.leave(ticket.row)
                ticket.future.set_result(ticket.row.completion())
        self.running = [ticket for ticket in self.running if not ticket.row.finish]

    def send_back(self) -> None:
        """Put those in hand back to the front of the line, with what they have written."""
        for ticket in reversed(self.running):
            ticket.row.leave()
            self.waiting.appendleft(ticket)
        self.running = []

    def fail(self, error: Exception, *, first_too: bool = False, waiting_too: bool = False) -> None:
        """Give everyone in hand an error, and the first or all of those who wait."""
        tickets = self.running
        self.running = []
        while self.waiting and (waiting_too or first_too):
            tickets.append(self.waiting.popleft())
            first_too = False
        for ticket in tickets:
            if ticket.future.running() or ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(error)
