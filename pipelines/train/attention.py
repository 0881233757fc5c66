"""Attention over rows of different lengths that lie one after another, and over blocks that rows share.

A block is the examples of a prompt when several documents are asked for behind them: it sees no document. Nothing
is padded: a row, or a block, is attended for by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, HrmTextForCausalLM

_NAME = "rows"


@dataclass(frozen=True, kw_only=True)
class Row:
    """The tokens of one sample behind its block: first the prompt, read both ways, then the answer."""

    num_prompt: int
    num_answer: int

    def __len__(self) -> int:
        return self.num_prompt + self.num_answer


@dataclass(frozen=True, kw_only=True)
class Family:
    """A block and the rows that lie behind it in a batch and see it; it may be empty."""

    num_shared: int
    rows: tuple[Row, ...]

    @property
    def lengths(self) -> list[int]:
        return [self.num_shared, *map(len, self.rows)]

    def positions(self) -> list[torch.Tensor]:
        """Every row goes on after the block."""
        shared = self.num_shared
        return [torch.arange(shared), *(torch.arange(shared, shared + len(row)) for row in self.rows)]


def use_row_attention(model: HrmTextForCausalLM) -> None:
    """Let a model attend as the `families` say that its forward is given."""
    # without a mask function transformers makes no mask of its own
    AttentionInterface.register(_NAME, _attend)
    model.set_attn_implementation(_NAME)


def masks(families: Sequence[Family], like: torch.Tensor) -> list[list[torch.Tensor]]:
    """For each row, [its length, block and row]: 0 for what is seen, in the dtype and on the device of `like`."""
    return [[_mask(row, family.num_shared).to(like) for row in family.rows] for family in families]


def _mask(row: Row, num_shared: int) -> torch.Tensor:
    places = torch.arange(len(row))
    is_seen = (places < row.num_prompt) | (places <= places[:, None])
    hidden = torch.full(is_seen.shape, -torch.inf).masked_fill_(is_seen, 0.0)
    return torch.nn.functional.pad(hidden, (num_shared, 0))


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: None,
    *,
    families: Sequence[Family],
    masks: Sequence[Sequence[torch.Tensor]],
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """[1, heads, places, size] each -> [1, places, heads, size]."""
    # on a CPU three products are up to twice as fast as the fused kernel in bfloat16, and slower in float32
    is_plain = query.device.type == "cpu" and query.dtype is torch.bfloat16
    attend = _attend_plainly if is_plain else scaled_dot_product_attention
    # split at once: the gradient of a slice is as large as what it was cut from
    lengths = [length for family in families for length in family.lengths]
    parts = zip(*(torch.split(each, lengths, dim=2) for each in (query, key, value)), strict=True)
    seen: list[torch.Tensor] = []
    for family, own in zip(families, masks, strict=True):
        seen += _attend_family(attend, family, own, list(islice(parts, 1 + len(own))))
    return torch.cat(seen, dim=2).transpose(1, 2).contiguous(), None


def _attend_family(
    attend: Callable[..., torch.Tensor],
    family: Family,
    masks: Sequence[torch.Tensor],
    parts: Sequence[tuple[torch.Tensor, ...]],
) -> list[torch.Tensor]:
    """What the block sees, and each row; `parts` are query, key and value of each of them."""
    block, *rows = parts
    if not family.num_shared:
        return [attend(*row, mask) for row, mask in zip(rows, masks, strict=True)]
    seen = [attend(*block)]
    for (query, *own), mask in zip(rows, masks, strict=True):
        keys, values = (torch.cat(pair, dim=2) for pair in zip(block[1:], own, strict=True))
        seen.append(attend(query, keys, values, mask))
    return seen


def _attend_plainly(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-2, -1))
    weights = (scores if mask is None else scores.add_(mask)).softmax(-1)
    return torch.matmul(weights, value)
