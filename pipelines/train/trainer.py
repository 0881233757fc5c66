"""One step: accumulate, clip, optimize at the scheduled rate, average."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import HrmTextForCausalLM

from pipelines.train.batches import Batch
from pipelines.train.objective import score
from pipelines.train.optimizers import Optimizers
from pipelines.train.ranks import ALONE, Ranks
from pipelines.train.recipe import Recipe
from schemas.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step did; its tensors are scalars on the device."""

    loss: torch.Tensor
    gradient: torch.Tensor
    lr: float
    num_samples: int
    num_tokens: int
    num_answer_tokens: int


class Trainer:
    """A model in training, its optimizers and the moving average of its weights."""

    def __init__(
        self, model: HrmTextForCausalLM, recipe: Recipe, dtype: torch.dtype, ranks: Ranks = ALONE
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.dtype = dtype
        self.ranks = ranks
        self.num_steps = 0
        if recipe.recompute:
            # the second is its name in older versions
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        # the frozen first state of the L stack is not among them
        self.weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.average = {name: p.detach().clone() for name, p in self.weights.items()}
        self.optimizers = Optimizers(model, self.weights, recipe)

    def step(self, batches: Sequence[Batch], progress: float) -> Step:
        """Learn from batches as if they were one; `progress` is the share of the run that is done after it."""
        lr = rate(self.recipe, progress)
        num_answer_tokens = sum(batch.num_answer_tokens for batch in batches)
        loss = torch.zeros((), device=self.model.device)
        for batch in self.ranks.share(batches):
            loss += self._backward(batch, num_answer_tokens)
        self._add_up(loss)
        gradient = torch.nn.utils.clip_grad_norm_(self.weights.values(), self.recipe.clip)
        self.optimizers.step(lr)
        self.num_steps += 1
        self._average()
        return Step(
            loss=loss,
            gradient=gradient,
            lr=lr,
            num_samples=sum(batch.num_samples for batch in batches),
            num_tokens=sum(batch.num_tokens for batch in batches),
            num_answer_tokens=num_answer_tokens,
        )

    def _backward(self, batch: Batch, num_answer_tokens: int) -> torch.Tensor:
        """Add a batch's gradient; its part of the mean loss.

        Raises:
            DeviceError: the batch does not fit the device.
        """
        try:
            loss = score(self.model, batch, self.dtype).loss / num_answer_tokens
            loss.backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError as exc:
            raise DeviceError(
                f"A batch of {len(batch.ids)} tokens does not fit the memory of {self.model.device}.",
                hint="Halve --tokens-per-batch and double --accumulate, or add --recompute.",
            ) from exc
        return loss.detach()

    def _add_up(self, loss: torch.Tensor) -> None:
        """Gradients and loss over all ranks; one that had no batch adds nothing."""
        if self.ranks.size == 1:
            return
        gradients = []
        for weight in self.weights.values():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
        self.ranks.add_up([loss, *gradients])

    @contextmanager
    def averaged(self) -> Iterator[HrmTextForCausalLM]:
        """The model with its averaged weights, for looking at."""
        self._swap()
        self.model.train(False)
        try:
            with torch.inference_mode():
                yield self.model
        finally:
            self.model.train()
            self._swap()

    def _swap(self) -> None:
        for name, weight in self.weights.items():
            weight.data, self.average[name] = self.average[name], weight.data

    def _average(self) -> None:
        # the first weights are soon forgotten, also by a run of few steps
        keep = min(self.recipe.ema, (1 + self.num_steps) / (10 + self.num_steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.weights.values()), 1 - keep)


def rate(recipe: Recipe, progress: float) -> float:
    """The learning rate: up in a straight line, then down a cosine to its floor."""
    if progress < recipe.warmup:
        return recipe.lr * progress / recipe.warmup
    done = min(1.0, (progress - recipe.warmup) / (1 - recipe.warmup))
    cosine = (1 + math.cos(math.pi * done)) / 2
    return recipe.lr * (recipe.lr_floor + (1 - recipe.lr_floor) * cosine)
