"""The optimizers of a run: AdamW, or Muon for the matrices within the stacks and AdamW for the rest."""

from collections.abc import Mapping

import torch
from transformers import HrmTextForCausalLM

from pipelines.train.recipe import Recipe


class Optimizers:
    """One or two optimizers that step as one, each weight in one of them."""

    def __init__(
        self, model: HrmTextForCausalLM, weights: Mapping[str, torch.nn.Parameter], recipe: Recipe
    ) -> None:
        # embeddings and head are tables of tokens, whose rows are learned one by one
        tables = {model.model.embed_tokens.weight, model.lm_head.weight}
        by_muon = {
            weight
            for weight in weights.values()
            if recipe.optimizer == "muon" and weight.ndim == 2 and weight not in tables
        }
        self.is_fused = model.device.type == "cuda"
        self.members: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [weight for weight in weights.values() if weight not in by_muon],
                lr=recipe.lr,
                betas=recipe.betas,
                weight_decay=recipe.weight_decay,
                fused=self.is_fused,
            )
        ]
        if by_muon:
            # steps as long as those of AdamW, so that one rate serves both
            self.members.append(
                torch.optim.Muon(
                    [weight for weight in weights.values() if weight in by_muon],
                    lr=recipe.lr,
                    weight_decay=recipe.weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        self._of = {
            weight: optimizer
            for optimizer in self.members
            for group in optimizer.param_groups
            for weight in group["params"]
        }

    def step(self, lr: float) -> None:
        """Move the weights along their gradients at a rate, and forget the gradients."""
        for optimizer in self.members:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad()

    def moments(self, weight: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        """What is kept of a weight from step to step, by its name in torch; to be read and written."""
        kept: dict[str, torch.Tensor] = self._of[weight].state[weight]
        return kept
