"""The waiting line and the rows in hand: who is let in when, by the memory that it may take."""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from workers.engine.drafts import Drafter
from workers.engine.memory import too_large
from workers.engine.protocol import Completion
from workers.engine.row import Row
from workers.engine.seats import Seats

# Prompts that enter together: more would keep those in the middle of their answers waiting, and take memory
MAX_PROMPT_TOKENS = 4096


@dataclass(eq=False)
class Ticket:
    """A request's row, what drafts its answer, and where its completion is waited for."""

    row: Row
    draft: Drafter
    future: Future[Completion] = field(default_factory=Future)


class Line:
    """Tickets in the order in which they came, and those that have places in the cache."""

    def __init__(self) -> None:
        self.waiting: deque[Ticket] = deque()
        self.running: list[Ticket] = []

    def admit(self, seats: Seats) -> None:
        """Let in as many as the cache has places for, first come first served."""
        room = MAX_PROMPT_TOKENS
        while self.waiting and room > 0:
            ticket = self.waiting[0]
            row, future = ticket.row, ticket.future
            has_places = seats.seat(row)
            if not has_places and row.num_places <= seats.arena.num_places:
                return
            self.waiting.popleft()
            # False if whoever asked has given up; from here on they cannot
            is_wanted = future.running() or future.set_running_or_notify_cancel()
            if not is_wanted:
                seats.leave(row)
            elif has_places:
                row.start()
                self.running.append(ticket)
                room -= row.num_block
            else:
                future.set_exception(too_large(row.num_places, seats.arena.num_places))

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

    def fail(self, error: Exception, *, waiting_too: bool = False) -> None:
        """Give everyone in hand an error."""
        tickets = self.running
        self.running = []
        while self.waiting and waiting_too:
            tickets.append(self.waiting.popleft())
        for ticket in tickets:
            if ticket.future.running() or ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(error)
