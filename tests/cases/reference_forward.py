"""The model's forwards for one batch: a left-padded prefill, then one token a row at a time."""

from collections.abc import Sequence
from inspect import signature
from typing import cast

import torch
from transformers import DynamicCache, HrmTextForCausalLM

# named anew in transformers 5.24, which warns of the old name
_CACHE = "cache" if "cache" in signature(HrmTextForCausalLM.forward).parameters else "past_key_values"


class Batch:
    """Prompts in one KV cache; rows may leave, none may join."""

    def __init__(self, model: HrmTextForCausalLM) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._mask = torch.empty(0)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logits after each prompt, [rows, vocabulary]."""
        width = max(map(len, prompts))
        padding = [width - len(prompt) for prompt in prompts]
        ids = self._tensor([[0] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)])
        self._mask = self._tensor([[0] * pad + [1] * (width - pad) for pad in padding])
        # PrefixLM: without the ones attention over the prompt is causal, silently. Padding has ones too: zeros
        # there would make rows whose softmax is over nothing
        return self._forward(ids, token_type_ids=torch.ones_like(ids))

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; the logits after it, [rows, vocabulary]."""
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        return self._forward(self._tensor([[token] for token in tokens]))

    def keep(self, rows: Sequence[int]) -> None:
        """Let all other rows leave."""
        indices = self._tensor(rows)
        self._cache.batch_select_indices(indices)
        self._mask = self._mask[indices]

    def _forward(self, ids: torch.Tensor, token_type_ids: torch.Tensor | None = None) -> torch.Tensor:
        # [rows, width]; each row counts from its own first token, so that padding does not move it
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            token_type_ids=token_type_ids,
            use_cache=True,
            logits_to_keep=1,
            **{_CACHE: self._cache},
        )
        return cast(torch.Tensor, output.logits[:, -1])

    def _tensor(self, values: Sequence[object]) -> torch.Tensor:
        return torch.tensor(values, device=self._model.device)
