"""PrefixLM attention for a device on which calls cost more than work: all rows of a step in a few calls a layer.

Rows of about the same length are padded to one shape, so that a bucket of them is one call; the shapes are few. What
the calls read and see is laid out on the device once a step, so nothing in the layers waits for the host. The price
is that live keys and values are copied to lie in rows, at most half more than there are.

It is what `attention.py` does row by row, to which tests hold it on a CPU. It was never run on a GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention

from workers.engine.attention import Part
from workers.engine.cache import Arena, Layer, Span
from workers.engine.partial import Partial
from workers.engine.transfers import to_device

# what answers feed costs little beside what they read, so most of them have one shape; the same of short rows
_LEAST_TOKENS = 16
_LEAST_SEEN = 64


class PaddedAttention:
    """The attention of one step: writes the new keys and values, and reads all rows, a bucket of them at once."""

    def __init__(self, parts: Sequence[Part], arena: Arena) -> None:
        self._arena = arena
        buckets = _by_shape(parts)
        rows = _Rows.of(parts, buckets, arena.like.device)
        self._buckets: list[_Bucket] = []
        first = 0
        for shape, members in buckets.items():
            same = rows.take(rows.order[first : first + len(members)])
            self._buckets.append(_Bucket.of(shape, same, arena.like))
            first += len(members)
        num_tokens = sum(part.num_tokens for part in parts)
        numbers = torch.arange(len(parts), device=arena.like.device)
        each = rows.take(numbers.repeat_interleave(rows.num_tokens, output_size=num_tokens))
        within = torch.arange(num_tokens, device=arena.like.device) - each.offset
        self.positions = each.position + within
        self._places = each.place + each.num_cached + within
        self._where = each.start + within

    def __call__(self, index: int, query: torch.Tensor, key_value: torch.Tensor) -> torch.Tensor:
        """What the tokens see in layer pass `index`.

        query [tokens, heads, dimension] and key_value [tokens, 2, heads, dimension] -> [tokens, heads x dimension].
        """
        cached = self._arena.layer(index)
        cached.write(self._places, key_value)
        seen = [bucket(query, cached) for bucket in self._buckets]
        return torch.cat(seen).index_select(0, self._where).flatten(1)


class _Shape(NamedTuple):
    """What rows of a bucket have in common."""

    # tokens that they feed, and places of their own that these see, padding included
    num_tokens: int
    num_seen: int
    # the block of examples that they read
    shared: Span | None


class _Rows(NamedTuple):
    """Facts of rows as [rows] each: those of their parts, and where a bucket's answer for a row begins."""

    offset: torch.Tensor
    num_tokens: torch.Tensor
    num_block: torch.Tensor
    place: torch.Tensor
    num_cached: torch.Tensor
    position: torch.Tensor
    start: torch.Tensor
    # the numbers of the rows, bucket by bucket
    order: torch.Tensor

    @classmethod
    def of(cls, parts: Sequence[Part], buckets: dict[_Shape, list[int]], device: torch.device) -> "_Rows":
        """In one transfer to the device."""
        facts = (
            [part.offset for part in parts],
            [part.num_tokens for part in parts],
            [part.num_block for part in parts],
            [part.place for part in parts],
            [part.num_cached for part in parts],
            [part.position for part in parts],
            _starts(buckets, len(parts)),
            [number for members in buckets.values() for number in members],
        )
        return cls(*to_device(facts, device))

    def take(self, numbers: torch.Tensor) -> "_Rows":
        return _Rows(*(fact[numbers] for fact in self))


@dataclass(frozen=True, kw_only=True)
class _Bucket:
    # [rows, tokens], padded with the last one, whose answers are not looked at
    tokens: torch.Tensor
    # [rows, seen], padded with the first one, which holds numbers
    places: torch.Tensor
    # [rows, 1, tokens, seen]: 0 for what is seen
    mask: torch.Tensor
    shared: Span | None

    @classmethod
    def of(cls, shape: _Shape, rows: _Rows, like: torch.Tensor) -> "_Bucket":
        token, seen = (torch.arange(number, device=like.device) for number in shape[:2])
        within = torch.minimum(token, rows.num_tokens[:, None] - 1)
        live = (rows.num_cached + rows.num_tokens)[:, None]
        # a prompt sees all of itself, what is behind it what is before it
        end = rows.num_cached[:, None] + torch.maximum(rows.num_block[:, None], within + 1)
        hidden = (seen >= end[..., None])[:, None]
        return cls(
            tokens=rows.offset[:, None] + within,
            places=rows.place[:, None] + torch.where(seen < live, seen, 0),
            mask=like.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf),
            shared=shape.shared,
        )

    def __call__(self, query: torch.Tensor, cached: Layer) -> torch.Tensor:
        """[rows x tokens, heads, dimension]."""
        asked, key_value = query[self.tokens], cached[self.places]
        if self.shared:
            return self._with_shared(asked, key_value, cached[self.shared.start : self.shared.end])
        keys, values = key_value.movedim(-3, 0).transpose(-3, -2)
        seen = scaled_dot_product_attention(asked.transpose(1, 2), keys, values, attn_mask=self.mask)
        return seen.transpose(1, 2).flatten(0, 1)

    def _with_shared(
        self, asked: torch.Tensor, key_value: torch.Tensor, shared: torch.Tensor
    ) -> torch.Tensor:
        """The block's keys and values are read once for all tokens, not once a row."""
        block = Partial.of(asked.flatten(0, 1), shared).in_rows(len(asked))
        own = Partial.of(asked, key_value, self.mask)
        return own.merged(block).flatten(0, 1).to(asked.dtype)


def _by_shape(parts: Sequence[Part]) -> dict[_Shape, list[int]]:
    """The numbers of the rows of each shape."""
    found: dict[_Shape, list[int]] = {}
    for number, part in enumerate(parts):
        num_tokens = max(_LEAST_TOKENS, _rounded(part.num_tokens))
        num_seen = max(_LEAST_SEEN, _rounded(part.num_cached + part.num_tokens))
        found.setdefault(_Shape(num_tokens, num_seen, part.shared), []).append(number)
    return found


def _starts(buckets: dict[_Shape, list[int]], num_rows: int) -> list[int]:
    starts, end = [0] * num_rows, 0
    for shape, members in buckets.items():
        for number in members:
            starts[number] = end
            end += shape.num_tokens
    return starts


def _rounded(number: int) -> int:
    """The next power of two, or three quarters of it if that is enough."""
    power = 1 << (number - 1).bit_length()
    return power * 3 // 4 if number <= power * 3 // 4 else power
