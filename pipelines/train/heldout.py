"""How good the averaged weights are on documents that are not learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import HrmTextForCausalLM

from pipelines.train.batches import Batch, collate, group
from pipelines.train.data import Sample, Task
from pipelines.train.objective import score
from pipelines.train.trainer import Trainer
from schemas.wire import dump
from workers.engine.tokenizer import PlainTokenizer


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of the right answers' tokens: mean loss, and the share that is the likeliest there."""

    loss: float
    accuracy: float
    # of the documents extracted, the share whose answer was exactly right
    exact: float | None = None
    num_extracted: int = 0


class HeldOut:
    """Held-out samples, ready to be measured on."""

    def __init__(
        self,
        tasks: Sequence[tuple[Task, Sample]],
        tokenizer: PlainTokenizer,
        *,
        tokens_per_batch: int,
        num_extracted: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._batches: list[Batch] = [
            collate(samples) for samples in group([sample for _, sample in tasks], tokens_per_batch)
        ]
        # from all over, as tasks of a kind stand together
        self._extracted = (
            tasks[:: max(1, len(tasks) // num_extracted)][:num_extracted] if num_extracted else []
        )

    def measure(self, trainer: Trainer) -> Figures:
        """The figures of the averaged weights."""
        with trainer.averaged() as model:
            scores = [score(model, batch, trainer.dtype) for batch in self._batches]
            exact = self._exact(model) if self._extracted else None
        num_tokens = sum(each.num_tokens for each in scores)
        loss = torch.stack([each.loss for each in scores]).double().sum().item()
        num_right = torch.stack([each.num_right for each in scores]).sum().item()
        return Figures(
            loss=loss / num_tokens,
            accuracy=num_right / num_tokens,
            exact=exact,
            num_extracted=len(self._extracted),
        )

    def _exact(self, model: HrmTextForCausalLM) -> float:
        # imported here: it needs llguidance, which training does not
        from workers.engine.checkpoint import Loaded
        from workers.engine.engine import HrmTextEngine
        from workers.engine.protocol import Checkpoint, Request

        identity = Checkpoint(name="in training", digest="")
        engine = HrmTextEngine(Loaded(checkpoint=identity, model=model, tokenizer=self._tokenizer))
        requests = [
            Request(
                prompt=sample.ids[: sample.num_prompt].tolist(),
                document=task.example.text,
                form=task.schema.form,
                max_new_tokens=min(task.schema.settings.max_answer_tokens, engine.max_positions // 2),
            )
            for task, sample in self._extracted
        ]
        completions = engine.complete(requests)
        right = [
            completion.text == dump(task.example.record)
            for completion, (task, _) in zip(completions, self._extracted, strict=True)
        ]
        return sum(right) / len(right)
