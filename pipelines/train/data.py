"""Samples: the prompt that extraction would build, and the answer it should get.

A run's samples come in chunks, and a chunk depends on its number alone. So they can be made in any process, and
a run goes on where it was without making those before.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.train.labels import Labels
from pipelines.train.windows import fitting
from schemas.base import Schema, SchemaSettings, Step
from schemas.errors import ConfigurationError
from schemas.examples import MIN_EXAMPLES, Example
from schemas.forms import ObjectForm
from schemas.wire import dump
from workers.engine.protocol import Tokenizer
from workers.engine.special_tokens import END_OF_ANSWER
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope, Prompter

CHUNK_SIZE = 64
MAX_SHOTS = 8
# how often a sample is asked as a later step of the ladder asks, so that no condition is unknown to the model
_LATER_STEP_SHARE = 1 / 16
# with examples as a block: how many more documents stand behind it, and how often there is none after all, so that
# extraction without it stays known to the model
SIBLINGS = 7
_WITHOUT_BLOCK_SHARE = 1 / 4


class AskedSchema(Schema):
    """A form and the examples of one prompt; there need be no class behind it."""

    def __init__(
        self, name: str, form: ObjectForm, settings: SchemaSettings, shots: Iterable[Example]
    ) -> None:
        self.name = name
        self.form = form
        self.settings = settings
        self.examples = tuple(shots)

    @classmethod
    def of(cls, schema: Schema, shots: Iterable[Example]) -> "AskedSchema":
        return cls(schema.name, schema.form, schema.settings, shots)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A document, what stands in it, and how it is asked for."""

    schema: AskedSchema
    example: Example
    step: Step
    # asked for behind the same examples, as a block that sees no document
    siblings: tuple[Example, ...] = ()
    # of synthetic documents, what they were written from
    template: str = ""
    # how it is asked for instead if it does not fit so
    fallback: "Task | None" = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A task as tokens."""

    # prompt, answer and <|box_end|>
    ids: npt.NDArray[np.int32]
    num_prompt: int
    # how many of the first ids are a block that sees nothing behind it, and who else stands behind it
    num_shared: int = 0
    siblings: tuple["Sample", ...] = ()

    @property
    def num_answer(self) -> int:
        return len(self.ids) - self.num_prompt

    def __len__(self) -> int:
        return len(self.ids)


def encode(task: Task, tokenizer: Tokenizer, max_tokens: int, envelope: Envelope) -> Sample | None:
    """The tokens of a task, None if it does not fit; siblings that do not fit behind the same examples are left out."""
    prompter = Prompter(task.schema, tokenizer, max_tokens, envelope)
    sample, block = _encode(task.example, task.step, prompter)
    if sample is None:
        return encode(task.fallback, tokenizer, max_tokens, envelope) if task.fallback else None
    siblings = [_encode(example, task.step, prompter) for example in task.siblings]
    alike = tuple(replace(other, num_shared=len(block)) for other, own in siblings if other and own == block)
    return replace(sample, num_shared=len(block), siblings=alike) if alike else sample


def _encode(example: Example, step: Step, prompter: Prompter) -> tuple[Sample | None, tuple[int, ...]]:
    """The tokens of one document behind its examples, if it fits, and those of the examples."""
    prompt = prompter.build(example.text, step)
    answer = prompter.tokenizer.encode(dump(example.record))
    if prompt is None or len(answer) > prompter.max_new_tokens:
        return None, ()
    ids = [*prompt.ids, *answer, prompter.tokenizer.special(END_OF_ANSWER)]
    sample = Sample(ids=np.array(ids, dtype=np.int32), num_prompt=len(prompt.ids))
    return sample, prompt.ids[: prompt.num_shared]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Labelled examples of one schema, and those that may be shown for them."""

    # without its class, which another process could perhaps not import
    schema: AskedSchema
    examples: tuple[Example, ...]
    shots: tuple[Example, ...]

    def draw(self, number: int, rng: Random, num_siblings: int = 0) -> Task:
        """One example, asked for with 2 to 8 others, or with the schema's own if those are too long.

        Its siblings are examples that are neither it nor shown.
        """
        example = self.examples[number]
        others = [shot for shot in self.shots if shot.text != example.text]
        count = min(len(others), rng.randint(MIN_EXAMPLES, MAX_SHOTS))
        task = _task(AskedSchema.of(self.schema, rng.sample(others, count)), example, rng)
        seen = {example.text, *(shot.text for shot in task.schema.examples)}
        free = [each for each in self.examples if each.text not in seen] if num_siblings else []
        siblings = tuple(rng.sample(free, min(num_siblings, len(free))))
        return replace(task, siblings=siblings, fallback=replace(task, schema=self.schema))


def make_lesson(labels: Labels, tokenizer: Tokenizer, max_tokens: int, envelope: Envelope) -> Lesson:
    """What is learned from labels: documents that fit with the schema's own examples, and windows of the others."""
    prompter = Prompter(labels.schema, tokenizer, max_tokens, envelope)
    examples = tuple(part for example in labels.train for part in fitting(example, prompter))
    shots = {example.text: example for example in (*labels.schema.examples, *labels.train)}
    schema = AskedSchema.of(labels.schema, labels.schema.examples)
    return Lesson(schema=schema, examples=examples, shots=tuple(shots.values()))


def held_out_tasks(
    labels: Labels, tokenizer: Tokenizer, max_tokens: int, envelope: Envelope
) -> Iterator[Task]:
    """The held-out documents as extraction asks for them, with the schema's own examples."""
    prompter = Prompter(labels.schema, tokenizer, max_tokens, envelope)
    schema = AskedSchema.of(labels.schema, labels.schema.examples)
    for example in labels.held_out:
        for part in fitting(example, prompter):
            yield Task(schema=schema, example=part, step=schema.settings.ladder[0])


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The endless synthetic documents of a split, by number."""

    recipe: str
    seed: int

    def require_recipe(self) -> None:
        """Refuse a recipe that cannot be followed.

        Raises:
            ConfigurationError: there is no such recipe, or faker is not installed.
        """
        try:
            from pipelines.train.synthetic import RECIPES
        except ModuleNotFoundError as exc:
            raise ConfigurationError(
                f"Synthetic documents need {exc.name}.",
                hint="Install it with `pip install 'gleaner[train]'`.",
            ) from exc
        if self.recipe not in RECIPES:
            raise ConfigurationError(
                f"There is no synthetic recipe {self.recipe!r}; there are {', '.join(RECIPES)}.",
                hint="Correct --synthetic-recipe.",
            )

    def tasks(
        self,
        split: Literal["train", "eval"],
        first: int = 0,
        num_siblings: Callable[[int], int] = lambda _: 0,
    ) -> Iterator[Task]:
        """The documents from a number on; of those to learn from, some are asked for as a later step asks.

        `num_siblings` says how many more are asked for behind the examples of a number.

        Raises:
            ConfigurationError: there is no such recipe.
        """
        self.require_recipe()
        # imported here, so that labelled data alone needs nothing of it
        from pipelines.train.synthetic import RECIPES, samples

        recipe = RECIPES[self.recipe]
        drawn = samples(self.seed, split=split, recipe=recipe, start=first, num_siblings=num_siblings)
        for number, made in enumerate(drawn, start=first):
            rng = Random(f"{self.seed}/step/{number}") if split == "train" else None
            schema = AskedSchema(made.name, made.form, SchemaSettings(), made.examples)
            example = Example(text=made.document, record=made.record)
            yield replace(_task(schema, example, rng), siblings=made.siblings, template=made.template)


def _task(schema: AskedSchema, example: Example, rng: Random | None) -> Task:
    step, *later = schema.settings.ladder
    if rng and later and rng.random() < _LATER_STEP_SHARE:
        step = rng.choice(later)
    return Task(schema=schema, example=example, step=step)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the chunks of a run."""

    lessons: tuple[Lesson, ...]
    synthetic: Synthetic
    # of the samples, how many are synthetic
    share: float
    seed: int
    # None: without end
    num_samples: int | None
    tokenizer_file: Path
    max_tokens: int
    # whether most samples stand behind a block of examples with others
    examples_block: bool = False
    envelope: Envelope = field(default_factory=Envelope)

    def chunk(self, number: int) -> list[Sample | None]:
        """The samples of a chunk, None where one does not fit; empty after the last."""
        encoded = (encode(t, self._tokenizer, self.max_tokens, self.envelope) for t in self.tasks(number))
        return list(encoded)

    def tasks(self, number: int) -> Iterator[Task]:
        """The tasks of a chunk."""
        start, stop = number * CHUNK_SIZE, (number + 1) * CHUNK_SIZE
        first = start - self._num_labelled(start)
        synthetic = self.synthetic.tasks("train", first, self._num_siblings)
        for position in range(start, stop if self.num_samples is None else min(stop, self.num_samples)):
            before, after = self._num_labelled(position), self._num_labelled(position + 1)
            yield self._labelled(before) if after > before else next(synthetic)

    def _labelled(self, number: int) -> Task:
        """The example of that number, counted over all epochs."""
        places = self._places
        epoch, index = divmod(number, len(places))
        lesson, example = places[_shuffled(len(places), f"{self.seed}/epoch/{epoch}")[index]]
        return lesson.draw(example, Random(f"{self.seed}/shots/{number}"), self._num_siblings(number))

    def _num_siblings(self, number: int) -> int:
        """How many documents stand behind the same block as that of a number."""
        if not self.examples_block or Random(f"{self.seed}/block/{number}").random() < _WITHOUT_BLOCK_SHARE:
            return 0
        return SIBLINGS

    def _num_labelled(self, position: int) -> int:
        """How many of the first `position` samples are labelled."""
        return math.floor(position * self._labelled_share)

    @cached_property
    def _labelled_share(self) -> Fraction:
        return 1 - Fraction(str(self.share))

    @cached_property
    def _places(self) -> list[tuple[Lesson, int]]:
        return [(lesson, number) for lesson in self.lessons for number in range(len(lesson.examples))]

    @cached_property
    def _tokenizer(self) -> PlainTokenizer:
        return PlainTokenizer(self.tokenizer_file)

    def __getstate__(self) -> dict[str, Any]:
        # a tokenizer is read anew in the process that needs it
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}


@lru_cache(maxsize=2)
def _shuffled(count: int, seed: str) -> list[int]:
    order = list(range(count))
    Random(seed).shuffle(order)
    return order


def encoded(
    tasks: Iterable[Task], tokenizer: Tokenizer, max_tokens: int, envelope: Envelope
) -> Iterator[tuple[Task, Sample]]:
    """The tasks that fit, with their tokens."""
    for task in tasks:
        sample = encode(task, tokenizer, max_tokens, envelope)
        if sample:
            yield task, sample
