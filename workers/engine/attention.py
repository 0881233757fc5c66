"""PrefixLM attention over rows of different lengths, each reading its own slice of the cache and no more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn.functional import scaled_dot_product_attention

from workers.engine.cache import Arena, Layer, Span
from workers.engine.partial import Partial


@dataclass(frozen=True, kw_only=True)
class Part:
    """The tokens that one row feeds in a step, as they lie in the packed batch and in the cache.

    First `num_block` tokens that all see each other (the prompt), then `num_causal` that see what is before them.
    All see the `num_cached` tokens before the step, and those of a block of examples before these.
    """

    # of the row's first token in the batch
    offset: int
    # of the row's first place in the cache
    place: int
    num_cached: int
    num_block: int
    num_causal: int
    # places of a block that this row shares with others, and that does not see it
    shared: Span | None = None

    @property
    def num_tokens(self) -> int:
        return self.num_block + self.num_causal

    @property
    def position(self) -> int:
        """The position of the first token, counted from the start of the prompt."""
        return self.num_cached + (self.shared.num_places if self.shared else 0)


class Attention:
    """The attention of one step: writes the new keys and values, and reads each row's own."""

    def __init__(self, parts: Sequence[Part], arena: Arena) -> None:
        self._readers = [_Reader(part, arena.like) for part in parts]
        self._arena = arena
        device = arena.like.device
        self.positions = torch.cat([_run(part.position, part.num_tokens, device) for part in parts])
        self._places = torch.cat(
            [_run(part.place + part.num_cached, part.num_tokens, device) for part in parts]
        )
        self._groups = [_Group(span, readers, device) for span, readers in _by_span(self._readers).items()]

    def __call__(self, index: int, query: torch.Tensor, key_value: torch.Tensor) -> torch.Tensor:
        """What the tokens see in layer pass `index`.

        query [tokens, heads, dimension] and key_value [tokens, 2, heads, dimension] -> [tokens, heads x dimension].
        """
        cached = self._arena.layer(index)
        cached.write(self._places, key_value)
        shared: dict[_Reader, Partial] = {}
        for group in self._groups:
            shared.update(group(query, cached))
        seen = [reader(query, cached, shared.get(reader)) for reader in self._readers]
        return (seen[0] if len(seen) == 1 else torch.cat(seen)).flatten(1)


@dataclass(frozen=True, eq=False)
class _Segment:
    """Neighbouring tokens of a row that read so many places of it, through a mask or all of them."""

    start: int
    end: int
    num_read: int
    mask: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Reader:
    part: Part
    like: torch.Tensor
    segments: list[_Segment] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", list(self._cut()))

    def _cut(self) -> Iterator[_Segment]:
        part = self.part
        start, before = part.offset, part.num_cached + part.num_block
        if part.num_block:
            yield _Segment(start, start + part.num_block, before)
        if part.num_causal:
            mask = _causal(part.num_causal, before, self.like) if part.num_causal > 1 else None
            yield _Segment(start + part.num_block, start + part.num_tokens, before + part.num_causal, mask)

    def __call__(self, query: torch.Tensor, cached: Layer, shared: Partial | None) -> torch.Tensor:
        """[tokens of the row, heads, dimension]; `shared` is what they see in the block of examples."""
        seen = [
            self._attend(query, cached, each) if shared is None else self._add(query, cached, each, shared)
            for each in self.segments
        ]
        return seen[0] if len(seen) == 1 else torch.cat(seen)

    def _attend(self, query: torch.Tensor, cached: Layer, segment: _Segment) -> torch.Tensor:
        # [2, heads, length, dimension]
        keys, values = self._read(cached, segment).permute(1, 2, 0, 3).unsqueeze(1)
        own = query[segment.start : segment.end].transpose(0, 1)[None]
        return scaled_dot_product_attention(own, keys, values, attn_mask=segment.mask)[0].transpose(0, 1)

    def _add(self, query: torch.Tensor, cached: Layer, segment: _Segment, shared: Partial) -> torch.Tensor:
        own = Partial.of(query[segment.start : segment.end], self._read(cached, segment), segment.mask)
        first = self.part.offset
        return own.merged(shared[segment.start - first : segment.end - first]).to(query.dtype)

    def _read(self, cached: Layer, segment: _Segment) -> torch.Tensor:
        return cached[self.part.place : self.part.place + segment.num_read]


class _Group:
    """Rows that share a block of examples: its keys and values are read once for all of them."""

    def __init__(self, span: Span, readers: Sequence[_Reader], device: torch.device) -> None:
        self._span = span
        self._readers = readers
        self._tokens = torch.cat([_run(r.part.offset, r.part.num_tokens, device) for r in readers])

    def __call__(self, query: torch.Tensor, cached: Layer) -> Iterator[tuple[_Reader, Partial]]:
        seen = Partial.of(query[self._tokens], cached[self._span.start : self._span.end])
        start = 0
        for reader in self._readers:
            end = start + reader.part.num_tokens
            yield reader, seen[start:end]
            start = end


def _by_span(readers: Sequence[_Reader]) -> dict[Span, list[_Reader]]:
    found: dict[Span, list[_Reader]] = {}
    for reader in readers:
        if reader.part.shared:
            found.setdefault(reader.part.shared, []).append(reader)
    return found


def _causal(number: int, before: int, like: torch.Tensor) -> torch.Tensor:
    """[tokens, all before them and themselves]: 0 for what is seen."""
    return like.new_full((number, before + number), -torch.inf).triu_(before + 1)


def _run(start: int, number: int, device: torch.device) -> torch.Tensor:
    return torch.arange(start, start + number, device=device)
