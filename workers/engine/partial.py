"""Attention to a part of what is seen, kept so that other parts can be added to it.

A softmax over two parts is the two parts' sums of exponentials, each weighed by its own largest score.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Partial:
    """What some tokens see in a part of the cache; [heads, tokens, ...] each, and of many rows [rows, heads, ...]."""

    # the largest score, and the sum of the exponentials of what the others are less; float32 or better
    top: torch.Tensor
    total: torch.Tensor
    # values weighed by those exponentials
    seen: torch.Tensor

    @classmethod
    def of(cls, query: torch.Tensor, key_value: torch.Tensor, mask: torch.Tensor | None = None) -> "Partial":
        """query [tokens, heads, dimension], key_value [seen, 2, heads, dimension], mask [tokens, seen].

        Of many rows, each of these [rows, ...], and the mask [rows, 1, tokens, seen].
        """
        keys, values = key_value.movedim(-3, 0).transpose(-3, -2)
        wide = torch.promote_types(query.dtype, torch.float32)
        # made wide first: rounded scores would be far off where they are large
        scores = query.to(wide).transpose(-3, -2) @ keys.to(wide).transpose(-2, -1) * query.shape[-1] ** -0.5
        if mask is not None:
            scores += mask
        top = scores.amax(dim=-1, keepdim=True)
        weights = (scores - top).exp_()
        return cls(top, weights.sum(dim=-1, keepdim=True), (weights.to(values.dtype) @ values).to(wide))

    def __getitem__(self, tokens: slice) -> "Partial":
        return Partial(self.top[:, tokens], self.total[:, tokens], self.seen[:, tokens])

    def in_rows(self, num_rows: int) -> "Partial":
        """The same of tokens that are those of many rows, one row behind another."""
        all_ = (self.top, self.total, self.seen)
        return Partial(*(each.view(len(each), num_rows, -1, each.shape[-1]).transpose(0, 1) for each in all_))

    def merged(self, other: "Partial") -> torch.Tensor:
        """What the tokens see in both parts, [tokens, heads, dimension], of many rows [rows, tokens, ...]."""
        top = torch.maximum(self.top, other.top)
        mine, others = (self.top - top).exp_(), (other.top - top).exp_()
        total = self.total * mine + other.total * others
        return ((self.seen * mine + other.seen * others) / total).transpose(-3, -2)
