"""PrefixLM attention over rows of different lengths, each reading its own slice of the cache and no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn.functional import scaled_dot_product_attention

from workers.engine.cache import Arena


@dataclass(frozen=True, kw_only=True)
class Part:
    """The tokens that one row feeds in a step, as they lie in the packed batch and in the cache.

    First `num_block` tokens that all see each other (the prompt), then `num_causal` that see what is before them.
    All see the `num_cached` tokens before the step.
    """

    # of the row's first token in the batch
    offset: int
    # of the row's first place in the cache
    place: int
    num_cached: int
    num_block: int
    num_causal: int

    @property
    def num_tokens(self) -> int:
        return self.num_block + self.num_causal


class Attention:
    """The attention of one step: writes the new keys and values, and reads each row's own."""

    def __init__(self, parts: Sequence[Part], arena: Arena) -> None:
        self._parts = [_Reader(part, arena.values) for part in parts]
        self._values = arena.values
        device = arena.values.device
        self.positions = torch.cat([_run(part.num_cached, part, device) for part in parts])
        self._places = torch.cat([_run(part.place + part.num_cached, part, device) for part in parts])

    def __call__(self, index: int, query: torch.Tensor, key_value: torch.Tensor) -> torch.Tensor:
        """What the tokens see in layer pass `index`.

        query [tokens, heads, dimension] and key_value [tokens, 2, heads, dimension] -> [tokens, heads x dimension].
        """
        cached = self._values[index]
        cached.index_copy_(0, self._places, key_value)
        seen = [reader(query, cached) for reader in self._parts]
        return (seen[0] if len(seen) == 1 else torch.cat(seen)).flatten(1)


@dataclass(frozen=True)
class _Reader:
    part: Part
    like: torch.Tensor

    def __call__(self, query: torch.Tensor, cached: torch.Tensor) -> torch.Tensor:
        part = self.part
        own = query[part.offset : part.offset + part.num_tokens]
        before = part.num_cached + part.num_block
        if not part.num_causal:
            return self._attend(own, cached, before)
        after = before + part.num_causal
        if not part.num_block:
            return self._attend(own, cached, after, self._causal)
        block = self._attend(own[: part.num_block], cached, before)
        return torch.cat([block, self._attend(own[part.num_block :], cached, after, self._causal)])

    def _attend(
        self, query: torch.Tensor, cached: torch.Tensor, length: int, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        # [2, heads, length, dimension]
        keys, values = cached[self.part.place : self.part.place + length].permute(1, 2, 0, 3).unsqueeze(1)
        seen = scaled_dot_product_attention(query.transpose(0, 1)[None], keys, values, attn_mask=mask)
        return seen[0].transpose(0, 1)

    @cached_property
    def _causal(self) -> torch.Tensor | None:
        """[causal tokens, all tokens]: 0 for what is seen; one token alone sees all."""
        number = self.part.num_causal
        if number == 1:
            return None
        before = self.part.num_cached + self.part.num_block
        mask = self.like.new_full((number, before + number), -torch.inf)
        return mask.triu_(before + 1)


def _run(start: int, part: Part, device: torch.device) -> torch.Tensor:
    return torch.arange(start, start + part.num_tokens, device=device)
