"""Training samples without end: a schema, examples of it, and a document with its record."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar

from pipelines.train.synthetic.page import Split
from pipelines.train.synthetic.sheet import Written
from pipelines.train.synthetic.writers import WRITERS, Writer
from schemas.examples import MIN_EXAMPLES, Example
from schemas.forms import ObjectForm
from schemas.text import clean
from schemas.wire import dump

_T = TypeVar("_T")

# a change of what a seed gives makes a new version
VERSION = 13
# version 13 is another in the eval split alone: seeds give the documents of this one to train on
_SEEDS_OF = 12
MAX_EXAMPLES = 8
# documents drawn for one that reads; some schemas have none in some templates
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One training sample before prompting."""

    form: ObjectForm
    # domain or schema
    name: str
    # 2 to 8 of the same schema; texts are not the document
    examples: tuple[Example, ...]
    document: str
    # wire record: values as printed in the document
    record: dict[str, Any]
    # genre and variant of the document, as `form/12`
    template: str
    # more documents of the schema
    siblings: tuple[Example, ...] = ()

    @property
    def num_chars(self) -> int:
        """Characters of prompt and answer, but for the envelope."""
        return len(self.document) + len(dump(self.record)) + sum(map(_size, self.examples))


def _size(example: Example) -> int:
    return len(example.text) + len(dump(example.record)) + len("Text:\n\nJSON: \n\n")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to mix, and how long samples may be."""

    # writer -> weight
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "random": 6.0,
            "receipt": 1.3,
            "invoice": 1.2,
            "support_ticket": 0.8,
            "job_posting": 0.9,
            "nda": 0.9,
        }
    )
    # the most characters of a sample -> weight
    sizes: Mapping[int, float] = field(
        default_factory=lambda: {1_500: 4.5, 3_000: 3.5, 6_000: 1.5, 10_000: 0.5}
    )
    # writer -> its own sizes
    own_sizes: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    max_examples: int = MAX_EXAMPLES
    # the share of samples whose documents are all of one template
    uniform: float = 0.35
    # the first samples to learn from follow another recipe
    lead: "Lead | None" = None

    def at(self, index: int) -> "Recipe":
        """The recipe that the sample of an index follows."""
        return self.lead.recipe.at(index) if self.lead and index < self.lead.until else self


@dataclass(frozen=True, kw_only=True)
class Lead:
    """What comes first: the samples before an index."""

    recipe: Recipe
    until: int


# copying is learned from a few lines at once, and from whole documents hardly ever
_DRILLS = Recipe(shares={"drill": 1.0}, sizes={700: 1.0}, max_examples=3)
_SHORT = Recipe(sizes={1_500: 1.0}, lead=Lead(recipe=_DRILLS, until=32_000))


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "default": Recipe(),
        # for a model that knows nothing yet
        "beginner": Recipe(lead=Lead(recipe=_SHORT, until=50_000)),
        # one kind alone: `random`, a schema of the catalog, or a drill of names
        **{name: Recipe(shares={name: 1.0}) for name in (*Recipe().shares, "names")},
        "catalog": Recipe(
            shares={name: share for name, share in Recipe().shares.items() if name != "random"}
        ),
        # for a model that copies already: rows, choices, the catalog most of the time, prompts as long as its own
        "finish": Recipe(
            shares={
                # short ones
                "drill": 1.0,
                "names": 6.0,
                "rows": 2.0,
                "choices": 1.5,
                "random": 10.0,
                "receipt": 3.0,
                "invoice": 4.0,
                "support_ticket": 5.5,
                "job_posting": 5.0,
                "nda": 6.0,
            },
            sizes={1_500: 3.5, 3_000: 3.0, 6_000: 2.0, 10_000: 0.7},
            # a window of an agreement fills what the examples leave
            own_sizes={
                "names": {1_500: 1.0, 2_500: 1.0},
                "nda": {1_500: 1.5, 3_000: 2.0, 6_000: 2.0, 12_000: 1.5},
            },
        ),
        # for runs of minutes: short prompts of random schemas
        "tiny": Recipe(shares={"random": 1.0}, sizes={1_200: 1.0}, max_examples=3),
    }
)


def samples(
    seed: int,
    *,
    split: Split,
    recipe: Recipe = RECIPES["default"],
    start: int = 0,
    step: int = 1,
    num_siblings: Callable[[int], int] = lambda index: 0,
) -> Iterator[Sample]:
    """Samples `start`, `start + step`, ... of a seed, without end; workers take every `step`th."""
    for index in count(start, step):
        yield sample(seed, index, split=split, recipe=recipe, num_siblings=num_siblings(index))


def sample(seed: int, index: int, *, split: Split, recipe: Recipe, num_siblings: int = 0) -> Sample:
    """The sample of a seed and index: the same on every machine."""
    recipe = recipe.at(index) if split == "train" else recipe
    for attempt in count():
        rng = Random(f"{_SEEDS_OF} {seed} {split} {index} {attempt}")
        name = _drawn(rng, recipe.shares)
        writer = WRITERS[name](rng, split)
        max_chars = _drawn(rng, recipe.own_sizes.get(name, recipe.sizes))
        drawn = _Draw(rng, writer, recipe, max_chars).sample(num_siblings)
        if drawn and drawn.num_chars <= max_chars:
            return drawn
    raise AssertionError


def _drawn(rng: Random, weights: Mapping[_T, float]) -> _T:
    return rng.choices(list(weights), list(weights.values()))[0]


class _Draw:
    """Draws one sample."""

    def __init__(self, rng: Random, writer: Writer, recipe: Recipe, max_chars: int) -> None:
        self._rng = rng
        self._writer = writer
        self._recipe = recipe
        self._max_chars = max_chars
        self._template = rng.choice(writer.templates)
        self._is_uniform = writer.is_uniform or rng.random() < recipe.uniform

    def sample(self, num_siblings: int) -> Sample | None:
        """A document and as many examples as were drawn and fit, of two at least; None if one cannot be written."""
        # examples are mostly short: most of the room is the document's, at times all but what is left over
        share = self._rng.choice((7, 7, 8))
        written = _write(self._writer, self._template, self._rng, self._max_chars * share // 10)
        if not written:
            return None
        document = _example(written)
        examples = self._examples(self._max_chars - len(document.text) - len(dump(document.record)))
        texts = {document.text, *(example.text for example in examples)}
        # a document that says nothing may be said again
        if not examples or len(texts) <= len(examples):
            return None
        return Sample(
            form=self._writer.form,
            name=self._writer.name,
            examples=examples,
            document=document.text,
            record=document.record,
            template=self._template,
            siblings=tuple(each for each in self._siblings(num_siblings) if each.text not in texts),
        )

    def _examples(self, room: int) -> tuple[Example, ...]:
        examples: list[Example] = []
        for _ in range(self._rng.randint(MIN_EXAMPLES, self._recipe.max_examples)):
            shown = self._other(self._max_chars // self._rng.choice((4, 8, 12, 12)))
            if not shown:
                return ()
            room -= _size(shown)
            if room < 0 and len(examples) >= MIN_EXAMPLES:
                break
            examples.append(shown)
        return tuple(examples)

    def _siblings(self, number: int) -> Iterator[Example]:
        drawn = (self._other(self._max_chars * 7 // 10) for _ in range(number))
        return filter(None, drawn)

    def _other(self, room: int) -> Example | None:
        """Another document of the same schema."""
        template = self._template if self._is_uniform else self._rng.choice(self._writer.templates)
        written = _write(self._writer, template, self._rng, room)
        return _example(written) if written else None


def _example(written: Written) -> Example:
    return Example(text=clean(written.text), record=written.record)


def _write(writer: Writer, template: str, rng: Random, room: int) -> Written | None:
    tries = (writer.write(template, rng, room=room) for _ in range(_TRIES))
    # one in which nothing is to be said may come out empty
    return next((written for written in tries if written and written.text.strip()), None)


def preview(drawn: Iterator[Sample], number: int) -> str:
    """The first samples as text to look at."""
    return "\n\n".join(
        f"{'=' * 40} {each.name} {each.template}\n{_shown(each)}" for each in islice(drawn, number)
    )


def _shown(each: Sample) -> str:
    shots = (f"Text:\n{example.text}\nJSON: {dump(example.record)}\n" for example in each.examples)
    return "\n".join([*shots, f"Text:\n{each.document}\nJSON:\n-> {dump(each.record)}"])
