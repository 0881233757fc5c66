"""Attention over rows of different lengths that lie one after another, and over blocks that rows share.

A block is the examples of a prompt when several documents are asked for behind them: it sees no document. Nothing
is padded: a row, or a block, is attended for by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, HrmTextForCausalLM

_NAME = "rows"
# the lengths of plain products are multiples of it: the first product of a shape takes far longer than the next
SHAPE_STEP = 64


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

    @property
    def num_pairs(self) -> int:
        """How many places are attended to from how many."""
        return self.num_shared**2 + sum(len(row) * (self.num_shared + len(row)) for row in self.rows)

    def positions(self) -> list[torch.Tensor]:
        """Every row goes on after the block."""
        shared = self.num_shared
        return [torch.arange(shared), *(torch.arange(shared, shared + len(row)) for row in self.rows)]


def use_row_attention(model: HrmTextForCausalLM) -> None:
    """Let a model attend as the `families` say that its forward is given."""
    # without a mask function transformers makes no mask of its own
    AttentionInterface.register(_NAME, _attend)
    model.set_attn_implementation(_NAME)


def masks(families: Sequence[Family], like: torch.Tensor) -> list[list[torch.Tensor | None]]:
    """For the block and each row of a family: 0 for what is seen, in the dtype and on the device of `like`.

    [its length, block and row] for a row, and None for a block, which sees all of itself. Where attention is in plain
    products, of the lengths that those have, and without the columns of the block.
    """
    make = _plain_masks if is_plain(like.device, like.dtype) else _whole_masks
    return [[None if mask is None else mask.to(like) for mask in make(family)] for family in families]


def is_plain(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether attention is in plain products, and a new shape of any product takes far longer than a known one."""
    # on a CPU three products are up to twice as fast as the fused kernel in bfloat16, and slower in float32
    return device.type == "cpu" and dtype is torch.bfloat16


def _whole_masks(family: Family) -> list[torch.Tensor | None]:
    return [None, *(pad(_mask(row), (family.num_shared, 0)) for row in family.rows)]


def _plain_masks(family: Family) -> list[torch.Tensor | None]:
    block = torch.full((1, -family.num_shared % SHAPE_STEP), -torch.inf)
    rows = (
        pad(_mask(row), (0, -(family.num_shared + len(row)) % SHAPE_STEP), value=-torch.inf)
        for row in family.rows
    )
    return [block, *(pad(row, (0, 0, 0, -len(row) % SHAPE_STEP)) for row in rows)]


def _mask(row: Row) -> torch.Tensor:
    places = torch.arange(len(row))
    is_seen = (places < row.num_prompt) | (places <= places[:, None])
    return torch.full(is_seen.shape, -torch.inf).masked_fill_(is_seen, 0.0)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: None,
    *,
    families: Sequence[Family],
    masks: Sequence[Sequence[torch.Tensor | None]],
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """[1, heads, places, size] each -> [1, places, heads, size]."""
    attend = _attend_plainly if is_plain(query.device, query.dtype) else scaled_dot_product_attention
    # split at once: the gradient of a slice is as large as what it was cut from
    lengths = [length for family in families for length in family.lengths]
    parts = zip(*(torch.split(each, lengths, dim=2) for each in (query, key, value)), strict=True)
    seen: list[torch.Tensor] = []
    for family, own in zip(families, masks, strict=True):
        seen += _attend_family(attend, family, own, list(islice(parts, len(own))))
    return torch.cat(seen, dim=2).transpose(1, 2).contiguous(), None


def _attend_family(
    attend: Callable[..., torch.Tensor],
    family: Family,
    masks: Sequence[torch.Tensor | None],
    parts: Sequence[tuple[torch.Tensor, ...]],
) -> list[torch.Tensor]:
    """What the block sees, and each row; `parts` are query, key and value of each of them."""
    block, *rows = parts
    if not family.num_shared:
        return [attend(*row, mask) for row, mask in zip(rows, masks[1:], strict=True)]
    seen = [attend(*block, masks[0])]
    for (query, *own), mask in zip(rows, masks[1:], strict=True):
        keys, values = (torch.cat(pair, dim=2) for pair in zip(block[1:], own, strict=True))
        seen.append(attend(query, keys, values, mask))
    return seen


def _attend_plainly(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    length = query.shape[2]
    query, key, value = map(_lengthened, (query, key, value))
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-2, -1))
    # adding it needs no gradient of its own, and nothing in front of its columns is hidden
    if mask.shape[1]:
        scores.detach()[..., -mask.shape[1] :].add_(mask)
    return torch.matmul(scores.softmax(-1), value)[:, :, :length]


def _lengthened(part: torch.Tensor) -> torch.Tensor:
    return pad(part, (0, 0, 0, -part.shape[2] % SHAPE_STEP))
