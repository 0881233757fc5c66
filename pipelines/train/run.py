"""A training run from its recipe to a checkpoint with its card."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import torch
from rich.console import Console
from transformers import HrmTextForCausalLM

from pipelines.train.card import write_card
from pipelines.train.feed import Feed
from pipelines.train.finish import is_checkpoint, require_free, save_checkpoint
from pipelines.train.heldout import HeldOut
from pipelines.train.journal import Log, show_bar
from pipelines.train.labels import Labels
from pipelines.train.loop import Loop
from pipelines.train.model import copy_tokenizer, load_base, make_model, make_tokenizer
from pipelines.train.prepare import (
    START,
    STATES,
    Data,
    alone,
    begin,
    make_data,
    require_same_data,
    tokenizer_texts,
)
from pipelines.train.ranks import Ranks, joined, own_device
from pipelines.train.recipe import Recipe
from pipelines.train.state import Counts, load_best, load_state, remove_states, states
from pipelines.train.trainer import Trainer
from schemas.errors import ConfigurationError
from workers.engine.checkpoint import choose_device, choose_dtype
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope


@dataclass(frozen=True, kw_only=True)
class Run:
    """A recipe, its labels and where it goes."""

    recipe: Recipe
    labels: Sequence[Labels]
    envelope: Envelope
    out: Path
    console: Console
    device: str = "auto"
    # processes that make samples
    num_workers: int = 1

    @property
    def states(self) -> Path:
        return self.out / STATES

    def train(self, *, resume: bool) -> bool:
        """Whether the checkpoint is made; if not, the run was asked to stop and can be resumed.

        Raises:
            ConfigurationError: the recipe, the data and what is in the directory do not go together.
        """
        if resume and is_checkpoint(self.out) and states(self.states):
            # it was killed between its last two deeds
            remove_states(self.states)
            return True
        require_free(self.out)
        device = own_device(self.device)
        with (
            joined(choose_device(device), self.recipe.accumulate) as ranks,
            # the first keeps the directory for all of them
            alone(self.states) if ranks.is_first else nullcontext(),
        ):
            return self._train(device, ranks, resume=resume)

    def _train(self, device: str, ranks: Ranks, *, resume: bool) -> bool:
        if ranks.is_first:
            self._begin(resume=resume)
        ranks.wait()
        if not ranks.is_first:
            # each process read the data by itself, and a database may change in between
            require_same_data(self.states, self.recipe, self.labels)
        data = make_data(self.recipe, self.labels, self.states / START / "tokenizer.json", self.envelope)
        model = self._model(data.tokenizer, device)
        trainer = Trainer(model, self.recipe, choose_dtype(self.recipe.dtype, model.device), ranks)
        counts = load_state(self.states, trainer)
        self._say(model, counts)
        if not self._loop(trainer, data, counts):
            return False
        if ranks.is_first:
            self._finish(model, counts)
        return True

    def _begin(self, *, resume: bool) -> None:
        if resume:
            require_same_data(self.states, self.recipe, self.labels)
        else:
            begin(self.states, self.recipe, self.labels)
        start = self.states / START
        if (start / "tokenizer_config.json").exists():
            return
        if self.recipe.architecture:
            with self.console.status("training a tokenizer"):
                make_tokenizer(tokenizer_texts(self.recipe, self.labels), self.recipe.architecture, start)
        else:
            copy_tokenizer(str(self.recipe.base), start)

    def _model(self, tokenizer: PlainTokenizer, device: str) -> HrmTextForCausalLM:
        if self.recipe.architecture:
            return make_model(self.recipe.architecture, tokenizer, device)
        return load_base(str(self.recipe.base), device)

    def _say(self, model: HrmTextForCausalLM, counts: Counts) -> None:
        for each in self.labels:
            self.console.print(str(each))
            for reason, count in each.reasons().most_common(5):
                self.console.print(f"  left out for {reason}: {count}", markup=False)
        self.console.print(
            f"{num_parameters(model):,} parameters on {model.device}, "
            + (f"going on after step {counts.step}" if counts.step else "from the start")
        )

    def _loop(self, trainer: Trainer, data: Data, counts: Counts) -> bool:
        recipe = self.recipe
        held_out = HeldOut(
            data.held_out(recipe.held_out),
            data.tokenizer,
            tokens_per_batch=recipe.tokens_per_batch,
            num_extracted=recipe.extract,
        )
        feed = Feed(data.maker, self.num_workers)
        log = Log(self.states / "log.jsonl" if trainer.ranks.is_first else None, counts.step)
        with closing(feed), closing(log), _stop_signals() as stopping, show_bar(self.console) as bar:
            loop = Loop(
                trainer,
                held_out,
                counts,
                num_samples=data.maker.num_samples,
                directory=self.states,
                log=log,
                bar=bar,
                stopping=stopping,
            )
            return loop.run(feed)

    def _finish(self, model: HrmTextForCausalLM, counts: Counts) -> None:
        if counts.best is None:
            raise ConfigurationError("There was not one sample to learn from.", hint="Give more data.")
        device = torch.cuda.get_device_name() if model.device.type == "cuda" else "the CPU"
        card = partial(
            write_card,
            name=self.out.resolve().name,
            recipe=self.recipe,
            labels=self.labels,
            counts=counts,
            num_parameters=num_parameters(model),
            device=device,
        )
        save_checkpoint(model, load_best(self.states, counts.best), self.states / START, self.out, card)
        remove_states(self.states)


def num_parameters(model: HrmTextForCausalLM) -> int:
    """All weights of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process at once."""
    stopping = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
