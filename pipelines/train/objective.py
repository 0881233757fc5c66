"""The loss: cross entropy of the answer and its <|box_end|>, after a prompt that is read both ways."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import HrmTextForCausalLM

from pipelines.train.attention import SHAPE_STEP, Family, Row, is_plain, masks
from pipelines.train.batches import Batch

# where an answer has no token to be predicted
_UNASKED = -100


@dataclass(frozen=True, kw_only=True)
class Score:
    """Sums over the answer tokens of a batch, on the device."""

    loss: torch.Tensor
    num_right: torch.Tensor
    num_tokens: int


def score(model: HrmTextForCausalLM, batch: Batch, dtype: torch.dtype) -> Score:
    """Run a batch on a model with row attention; weights stay as they are, arithmetic is in `dtype`."""
    device = model.device
    fed = _in_few_shapes(batch) if is_plain(device, dtype) else batch
    with _arithmetic(device, dtype):
        # so the residual stream has the dtype it has in extraction
        embeddings = model.model.embed_tokens(fed.ids.to(device)).to(dtype)
        hidden = model.model(
            inputs_embeds=embeddings[None],
            position_ids=fed.positions[None].to(device),
            families=fed.families,
            masks=masks(fed.families, embeddings),
            use_cache=False,
        ).last_hidden_state
        # the head is applied where an answer token is predicted, and nowhere else
        logits = model.lm_head(hidden[0, fed.places.to(device)]).float()
    wanted = fed.wanted.to(device)
    return Score(
        loss=functional.cross_entropy(logits, wanted, reduction="sum", ignore_index=_UNASKED),
        num_right=(logits.argmax(dim=1) == wanted).sum(),
        num_tokens=batch.num_answer_tokens,
    )


def _in_few_shapes(batch: Batch) -> Batch:
    """The batch with tokens behind it that no row sees and of which nothing is asked."""
    padding, unasked = -len(batch.ids) % SHAPE_STEP, -len(batch.places) % SHAPE_STEP
    behind = [Family(num_shared=0, rows=(Row(num_prompt=padding, num_answer=0),))] if padding else []
    return Batch(
        ids=functional.pad(batch.ids, (0, padding)),
        positions=functional.pad(batch.positions, (0, padding)),
        families=(*batch.families, *behind),
        places=functional.pad(batch.places, (0, unasked)),
        wanted=functional.pad(batch.wanted, (0, unasked), value=_UNASKED),
    )


def _arithmetic(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    # The first L cycles run without gradients. A cache would keep the weights as cast there, in some versions of
    # torch, and the later cycles would not train them.
    is_mixed = dtype is not torch.float32
    mixed: AbstractContextManager[None] = torch.autocast(
        device.type, dtype=dtype if is_mixed else torch.bfloat16, enabled=is_mixed, cache_enabled=False
    )
    return mixed
