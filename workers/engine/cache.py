"""The KV cache: one arena of token places, of which every row has a run of neighbours.

A row takes as many places as its prompt and its answer may reach together, so it never moves and never waits for
more; the examples at the start of the prompt may be a run of their own that rows share (`seats.py`). Keys and values
are a slice: nothing is padded, gathered or copied to be attended to. To take tokens back is to count fewer of them.

Kept as fp8 they take half the memory of bfloat16, and are made wide again a slice at a time where they are read.
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


# of which numbers that are larger than the largest become the largest
FP8 = torch.float8_e4m3fn


class Arena:
    """Keys and values of all rows, [layer passes, places, 2, heads, head dimension]."""

    def __init__(
        self, shape: Shape, num_places: int, like: torch.Tensor, kept_as: torch.dtype | None = None
    ) -> None:
        """Places on the device of `like`, read in its dtype; on a CPU they take memory when they are written.

        `kept_as` is the dtype that they are kept in, by default the same.
        """
        passes, heads, dimension = shape
        # what is read from here has this dtype and device
        self.like = like.new_empty(0)
        self.values = like.new_empty(passes, num_places, 2, heads, dimension, dtype=kept_as or like.dtype)
        self.num_places = num_places
        self._taken: list[Span] = []

    def layer(self, index: int) -> "Layer":
        """Those of one layer pass."""
        return Layer(self.values[index], self.like.dtype)

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


class Layer:
    """Keys and values of one layer pass, [places, 2, heads, head dimension], as they are read."""

    def __init__(self, kept: torch.Tensor, dtype: torch.dtype) -> None:
        self._dtype, self._kept_as = dtype, kept.dtype
        # few operations know fp8, but all know bytes
        self._kept = kept.view(torch.uint8) if kept.dtype == FP8 else kept

    def write(self, places: torch.Tensor, key_value: torch.Tensor) -> None:
        """Keep those of tokens, [tokens, 2, heads, head dimension], in places [tokens]."""
        if self._kept_as == FP8:
            most = torch.finfo(FP8).max
            key_value = key_value.clamp(-most, most).to(FP8).view(torch.uint8)
        self._kept.index_copy_(0, places, key_value)

    def __getitem__(self, places: slice | torch.Tensor) -> torch.Tensor:
        """Those of some places, [..., 2, heads, head dimension]."""
        return self._kept[places].view(self._kept_as).to(self._dtype)


def bytes_per_token(shape: Shape, dtype: torch.dtype) -> int:
    """What one token takes of the cache: 786,432 bytes for the 1 B checkpoint in bfloat16."""
    return 2 * math.prod(shape) * dtype.itemsize
