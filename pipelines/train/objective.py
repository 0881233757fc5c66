"""The loss: cross entropy of the answer and its <|box_end|>, after a prompt that is read both ways."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import HrmTextForCausalLM

from pipelines.train.attention import masks
from pipelines.train.batches import Batch


@dataclass(frozen=True, kw_only=True)
class Score:
    """Sums over the answer tokens of a batch, on the device."""

    loss: torch.Tensor
    num_right: torch.Tensor
    num_tokens: int


def score(model: HrmTextForCausalLM, batch: Batch, dtype: torch.dtype) -> Score:
    """Run a batch on a model with row attention; weights stay as they are, arithmetic is in `dtype`."""
    device = model.device
    with _arithmetic(device, dtype):
        # so the residual stream has the dtype it has in extraction
        embeddings = model.model.embed_tokens(batch.ids.to(device)).to(dtype)
        hidden = model.model(
            inputs_embeds=embeddings[None],
            position_ids=batch.positions[None].to(device),
            families=batch.families,
            masks=masks(batch.families, embeddings),
            use_cache=False,
        ).last_hidden_state
        # the head is applied where an answer token is predicted, and nowhere else
        logits = model.lm_head(hidden[0, batch.places.to(device)]).float()
    wanted = batch.wanted.to(device)
    return Score(
        loss=functional.cross_entropy(logits, wanted, reduction="sum"),
        num_right=(logits.argmax(dim=1) == wanted).sum(),
        num_tokens=batch.num_answer_tokens,
    )


def _arithmetic(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    # The first L cycles run without gradients. A cache would keep the weights as cast there, in some versions of
    # torch, and the later cycles would not train them.
    is_mixed = dtype is not torch.float32
    mixed: AbstractContextManager[None] = torch.autocast(
        device.type, dtype=dtype if is_mixed else torch.bfloat16, enabled=is_mixed, cache_enabled=False
    )
    return mixed
