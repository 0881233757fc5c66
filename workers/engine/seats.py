"""Who has which places of the cache: rows of their own, and blocks of examples that rows share.

A block is what many prompts begin with. It is computed with the first row that reads it and stays while there is
room, the least recently used one leaving first; one that is read never leaves.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workers.engine.cache import Arena, Span


@dataclass(eq=False, kw_only=True)
class Block:
    """Tokens that see each other and nothing else, in the cache once."""

    tokens: tuple[int, ...]
    span: Span
    num_readers: int = 0
    # keys and values are there
    is_ready: bool = False


class Sitter(Protocol):
    """A row, as far as places matter."""

    span: Span | None
    block: Block | None

    @property
    def shared(self) -> Sequence[int]: ...

    @property
    def num_own_places(self) -> int: ...


class Seats:
    """The places of one arena."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.num_rows = 0
        # the least recently used first
        self._blocks: OrderedDict[tuple[int, ...], Block] = OrderedDict()

    def seat(self, row: Sitter) -> bool:
        """Give a row its places, and those of its block; False if there are not enough neighbours free."""
        if self._try(row):
            return True
        if self.num_rows:
            return False
        # only blocks are left, and the row's own may lie in the middle
        for block in list(self._blocks.values()):
            self._drop(block)
        return self._try(row)

    def leave(self, row: Sitter) -> None:
        """Take a row's places back; its block stays for the next."""
        if row.span:
            self.arena.give_back(row.span)
            self.num_rows -= 1
        if row.block:
            self._release(row.block)
        row.span = row.block = None

    @property
    def num_taken(self) -> int:
        """Places of rows and of the blocks they read; what else is in the cache leaves when there is need."""
        # asked for by other threads, too
        blocks = list(self._blocks.values())
        idle = sum(block.span.num_places for block in blocks if not block.num_readers)
        return self.arena.num_taken - idle

    def _try(self, row: Sitter) -> bool:
        block = self._share(tuple(row.shared)) if row.shared else None
        if row.shared and block is None:
            return False
        span = self._take(row.num_own_places)
        if span is None:
            if block:
                self._release(block)
            return False
        row.span, row.block = span, block
        self.num_rows += 1
        return True

    def _share(self, tokens: tuple[int, ...]) -> Block | None:
        block = self._blocks.get(tokens)
        if block is None:
            span = self._take(len(tokens))
            if span is None:
                return None
            block = self._blocks[tokens] = Block(tokens=tokens, span=span)
        self._blocks.move_to_end(tokens)
        block.num_readers += 1
        return block

    def _release(self, block: Block) -> None:
        block.num_readers -= 1
        if not block.num_readers and not block.is_ready:
            self._drop(block)

    def _take(self, number: int) -> Span | None:
        while (span := self.arena.take(number)) is None:
            idle = next((block for block in self._blocks.values() if not block.num_readers), None)
            if idle is None:
                return None
            self._drop(idle)
        return span

    def _drop(self, block: Block) -> None:
        del self._blocks[block.tokens]
        self.arena.give_back(block.span)
