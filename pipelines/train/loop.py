"""The loop: steps, held-out figures, and states from which a killed run goes on as if nothing had been."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from pipelines.train.batches import Fed, batches
from pipelines.train.feed import Feed
from pipelines.train.heldout import HeldOut
from pipelines.train.journal import Bar, Log, StepLine, as_line
from pipelines.train.recipe import Recipe
from pipelines.train.state import Best, Counts, save_best, save_state
from pipelines.train.trainer import Step, Trainer
from schemas.errors import ConfigurationError

# steps between readings of the loss, for which the host waits for the device, and the longest time between them
_READ_EVERY = 10
_READ_S = 10.0


@dataclass(frozen=True, kw_only=True)
class _Unread:
    """A step whose loss is still on the device."""

    number: int
    step: Step


class Loop:
    """Trains from where the counts are to the end of the recipe, or until asked to stop."""

    def __init__(
        self,
        trainer: Trainer,
        held_out: HeldOut,
        counts: Counts,
        *,
        num_samples: int | None,
        directory: Path,
        log: Log,
        bar: Bar,
        stopping: threading.Event,
    ) -> None:
        self._trainer = trainer
        self._held_out = held_out
        self._counts = counts
        self._num_samples = num_samples
        self._directory = directory
        self._log = log
        self._bar = bar
        self._stopping = stopping
        self._unread: list[_Unread] = []
        self._read_s = time.monotonic()

    @property
    def _recipe(self) -> Recipe:
        return self._trainer.recipe

    def run(self, feed: Feed) -> bool:
        """Whether the end was reached; the state is saved either way."""
        recipe, counts = self._recipe, self._counts
        stream = batches(feed, counts.position, tokens_per_batch=recipe.tokens_per_batch, seed=recipe.seed)
        self._read_s = time.monotonic()
        while not self._is_stopped():
            left = recipe.accumulate if recipe.steps is None or counts.step < recipe.steps else 0
            fed = list(islice(stream, left))
            if not fed:
                self._end()
                return True
            self._step(fed)
        self._read()
        self._save()
        return False

    def _step(self, fed: Sequence[Fed]) -> None:
        counts, recipe = self._counts, self._recipe
        counts.num_dropped += sum(each.num_dropped for each in fed)
        counts.num_samples += sum(each.batch.num_samples for each in fed)
        counts.step += 1
        step = self._trainer.step([each.batch for each in fed], self._share())
        counts.position = fed[-1].after
        counts.num_tokens += step.num_tokens
        counts.num_answer_tokens += step.num_answer_tokens
        self._unread.append(_Unread(number=counts.step, step=step))
        if len(self._unread) == _READ_EVERY or time.monotonic() - self._read_s > _READ_S:
            self._read()
        if counts.step % recipe.evaluate_every == 0:
            self._evaluate()
        if counts.step % recipe.save_every == 0:
            self._read()
            self._save()
            self._read_s = time.monotonic()

    def _is_stopped(self) -> bool:
        """Whether one of the ranks was asked to stop, so that all stop at the same step."""
        return self._trainer.ranks.any(self._stopping.is_set(), self._trainer.model.device)

    def _share(self) -> float:
        """How much of the run is done."""
        if self._recipe.steps:
            return self._counts.step / self._recipe.steps
        return (self._counts.num_samples + self._counts.num_dropped) / (self._num_samples or 1)

    def _read(self) -> None:
        """Fetch the losses of the last steps, log them and show the last.

        Raises:
            ConfigurationError: a loss is not finite.
        """
        if not self._unread:
            return
        losses = [each.step.loss.item() for each in self._unread]
        now = time.monotonic()
        seconds, self._read_s = now - self._read_s, now
        self._counts.seconds += seconds
        speed = sum(each.step.num_tokens for each in self._unread) / max(seconds, 1e-9)
        lines = [self._line(each, loss, speed) for each, loss in zip(self._unread, losses, strict=True)]
        self._log.write([as_line("step", line) for line in lines])
        self._bar.show(self._share(), lines[-1])
        self._unread.clear()
        for line in lines:
            if not math.isfinite(line.loss):
                raise ConfigurationError(
                    f"The loss of step {line.step} is {line.loss}.",
                    hint="Start anew with a lower --lr or a longer --warmup.",
                )

    def _line(self, unread: _Unread, loss: float, speed: float) -> StepLine:
        step = unread.step
        return StepLine(
            step=unread.number,
            loss=loss,
            lr=step.lr,
            gradient=step.gradient.item(),
            samples=step.num_samples,
            tokens=step.num_tokens,
            answer_tokens=step.num_answer_tokens,
            tokens_per_s=round(speed, 1),
            seconds=round(self._counts.seconds, 3),
        )

    def _evaluate(self) -> None:
        """Measure on the held-out samples, and keep the weights if there were none better."""
        self._read()
        if not self._trainer.ranks.is_first:
            return
        counts = self._counts
        found = Best(step=counts.step, **asdict(self._held_out.measure(self._trainer)))
        self._log.write([as_line("evaluation", found)])
        is_best = counts.best is None or found.loss < counts.best.loss
        if is_best:
            save_best(self._directory, self._trainer)
            counts.best = found
        exact = "" if found.exact is None else f", {found.exact:.1%} of answers exact"
        self._bar.say(
            f"step {found.step}: held-out loss {found.loss:.4f}, token accuracy {found.accuracy:.2%}{exact}"
            f"{', the best so far' if is_best else ''}"
        )
        self._read_s = time.monotonic()

    def _end(self) -> None:
        self._read()
        if self._counts.step % self._recipe.evaluate_every:
            self._evaluate()
        self._save()

    def _save(self) -> None:
        if self._trainer.ranks.is_first:
            save_state(self._directory, self._trainer, self._counts)
