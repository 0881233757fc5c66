"""The KV cache: one arena of token places, of which every row has a run of neighbours.

A row takes as many places as its prompt and its answer may reach together, so it never moves and never waits for
more; the examples at the start of the prompt may be a run of their own that rows share (`seats.py`). Keys and values
are a slice: nothing is padded, gathered or copied to be attended to. To take tokens back is to count fewer of them.
"""

import math
from bisect import insort
from dataclasses import dataclass

import torch

# layer passes (a layer that is run again has other keys and values), heads, head dimension
Shape = tuple[int, int, int]


@dataclass(frozen=True, order=True)
class Span:
    """A run of places."""

    start: int
    end: int

    @property
    def num_places(self) -> int:
        return self.end - self.start


class Arena:
    """Keys and values of all rows, [layer passes, places, 2, heads, head dimension]."""

    def __init__(self, shape: Shape, num_places: int, like: torch.Tensor) -> None:
        """Places on the device and in the dtype of `like`; on a CPU they take memory when they are written."""
        passes, heads, dimension = shape
        self.values = like.new_empty(passes, num_places, 2, heads, dimension)
        self.num_places = num_places
        self._taken: list[Span] = []

    @property
    def num_taken(self) -> int:
        """Places that are not free."""
        return sum(span.num_places for span in self._taken)

    def take(self, num_places: int) -> Span | None:
        """The first run of free places that is long enough, None if there is none."""
        start = 0
        for span in self._taken:
            if span.start - start >= num_places:
                break
            start = span.end
        if start + num_places > self.num_places:
            return None
        taken = Span(start, start + num_places)
        insort(self._taken, taken)
        return taken

    def give_back(self, span: Span) -> None:
        """Free the places of a row that has ended."""
        self._taken.remove(span)


def bytes_per_token(shape: Shape, dtype: torch.dtype) -> int:
    """What one token takes of the cache: 786,432 bytes for the 1 B checkpoint in bfloat16."""
    return 2 * math.prod(shape) * dtype.itemsize
