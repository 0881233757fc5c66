"""Attention as three plain products: on the CPU they train at up to twice the speed of its fused kernel."""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, HrmTextForCausalLM
from transformers.masking_utils import eager_mask

_NAME = "plain"


def use_plain_attention(model: HrmTextForCausalLM) -> None:
    """Let a model attend with matrix products and a softmax in its own dtype."""
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, eager_mask)
    model.set_attn_implementation(_NAME)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """[rows, heads, width, size] each, an additive mask [rows, 1, width, width] -> [rows, width, heads, size]."""
    scores = torch.matmul(query * scaling, key.transpose(2, 3))
    weights = scores.add_(mask).softmax(-1)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None
