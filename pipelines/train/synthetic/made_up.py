"""Matters that are no one's: fields are named by any words, and documents label them with the same ones.

What is asked for is then found by its name alone, which has to be learned for words that no list of fields holds.
"""

from collections.abc import Sequence
from random import Random

from pipelines.train.synthetic.domains import DOMAINS, Concept, Domain
from pipelines.train.synthetic.pools import all_words, coined

# the name of every such domain
MADE_UP = "made up"
_SPECS = tuple(
    dict.fromkeys(
        concept.spec
        for domain in DOMAINS
        if not domain.is_held_back
        for concept in domain.concepts
        if concept.shape == "one" and not concept.choices
    )
)
# values of one or a few tokens, so that most of what is learned is which of them is meant
_SHORT_SPECS = (
    "int 1-40",
    "int 10-900",
    "int 100-60000",
    "number",
    "date",
    "code",
    "person",
    "city",
    "colour",
    "money",
)
# what a label may say besides
_EXTRA = (
    "{} no.",
    "the {}",
    "{} (if any)",
    "our {}",
    "{}*",
    "{} of record",
    "1. {}",
    "{} as stated",
    "your {}",
)


def names_alone(rng: Random) -> Domain:
    """A domain of up to 12 short values of one kind, or of a few: only its name tells which is which."""
    maker = _Maker(rng, rng.sample(_SHORT_SPECS, rng.choice((1, 1, 2, 3))))
    concepts = tuple(maker.one() for _ in range(rng.choice((4, 6, 8, 10, 12))))
    return Domain(MADE_UP, maker.titles(), concepts, is_held_back=False)


def made_up(rng: Random) -> Domain:
    """A domain that is drawn: up to 12 single values, often of few kinds, choices and flags, a list and rows."""
    # where all are of one kind, the kind does not tell which is meant
    maker = _Maker(rng, rng.sample(_SPECS, rng.choice((1, 2, 3, 5, 8))))
    concepts = [
        *(maker.one() for _ in range(rng.choice((4, 6, 8, 10, 12)))),
        *(maker.choice() for _ in range(rng.choice((0, 1, 2)))),
        *(maker.flag() for _ in range(rng.choice((0, 1, 2)))),
        maker.list(),
        maker.rows(),
    ]
    return Domain(MADE_UP, maker.titles(), tuple(concepts), is_held_back=False)


class _Maker:
    """Draws the concepts of one domain; no two have the same name."""

    def __init__(self, rng: Random, specs: Sequence[str]) -> None:
        self._rng = rng
        self._specs = specs
        self._shared = rng.choice(all_words()) if rng.random() < 0.3 else ""
        self._taken: set[str] = set()

    def words(self) -> str:
        """One to three words as a field name."""
        rng = self._rng
        while True:
            words = [
                coined(rng).lower() if rng.random() < 0.2 else rng.choice(all_words())
                for _ in range(rng.choice((1, 1, 2, 2, 2, 3)))
            ]
            if self._shared and rng.random() < 0.5:
                words.insert(rng.choice((0, len(words))), self._shared)
            if not self._taken.issuperset(words):
                self._taken.update(words)
                return "_".join(dict.fromkeys(words))

    def titles(self) -> tuple[str, ...]:
        """Two headings."""
        return tuple(self.words().replace("_", " ").capitalize() for _ in range(2))

    def one(self, spec: str = "") -> Concept:
        """A field of a single value."""
        name = self.words()
        return Concept(
            shape="one", spec=spec or self._rng.choice(self._specs), names=(name,), labels=self._labels(name)
        )

    def choice(self) -> Concept:
        """A field of two to five values, which are printed as they are."""
        name = self.words()
        values = dict.fromkeys(self.words() for _ in range(self._rng.randint(2, 5)))
        return Concept(
            shape="one",
            spec="choice",
            names=(name,),
            labels=self._labels(name),
            choices=tuple((value, (value.replace("_", " "),)) for value in values),
        )

    def flag(self) -> Concept:
        """A field of true and false."""
        name = self.words()
        spoken = name.replace("_", " ")
        return Concept(
            shape="one",
            spec="bool",
            names=(name, f"has_{name}", f"is_{name}"),
            labels=self._labels(name),
            choices=(
                ("true", (f"with {spoken}", f"{spoken}: yes", f"has {spoken}", f"{spoken} included")),
                ("false", (f"without {spoken}", f"{spoken}: no", f"no {spoken}", f"{spoken} not included")),
            ),
        )

    def list(self) -> Concept:
        """A field of several values of a kind."""
        name = self.words()
        spec = self._rng.choice(("person", "product", "code", "city", "skill", "topic"))
        return Concept(shape="list", spec=spec, names=(name,), labels=self._labels(name))

    def rows(self) -> Concept:
        """A table whose first column names the row."""
        name = self.words()
        specs = [self._rng.choice(self._specs) for _ in range(self._rng.choice((1, 2, 2, 3)))]
        first = self._rng.choice(("product", "person", "task", "service", "code", "city"))
        return Concept(
            shape="rows",
            spec="",
            names=(name,),
            labels=self._labels(name),
            parts=tuple(self.one(spec) for spec in (first, *specs)),
        )

    def _labels(self, name: str) -> tuple[str, ...]:
        """Ways to print a name: its words, at times turned round or among others."""
        rng, spoken = self._rng, name.replace("_", " ").capitalize()
        labels = [spoken, name.replace("_", "-")]
        if rng.random() < 0.4:
            labels.append(rng.choice(_EXTRA).format(spoken))
        first, _, rest = name.partition("_")
        if rest and rng.random() < 0.3:
            labels.append(f"{rest.replace('_', ' ').capitalize()} of {first}")
        return tuple(dict.fromkeys(labels))
