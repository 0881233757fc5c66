"""What a genre is given to write: a title and facts with their labels, and the dice of its template."""

import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from pipelines.train.synthetic.domains import Concept
from pipelines.train.synthetic.sheet import Sheet

Split = Literal["train", "eval"]


@dataclass(kw_only=True)
class Fact:
    """Something to print: one value, several, rows of them or a group of facts."""

    concept: Concept
    # as this document calls it
    label: str
    # the value as shown; empty if it is absent
    text: str = ""
    # a part of a sentence that says it
    said: str = ""
    # the slot whose lines may be broken, as an address over several lines
    slot: str = ""
    items: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    parts: list["Fact"] = field(default_factory=list)

    @property
    def is_absent(self) -> bool:
        return not (self.text or self.items or self.rows or self.parts)

    @property
    def is_plain(self) -> bool:
        return bool(self.text)


@dataclass(kw_only=True)
class Page:
    """A document to be written."""

    template: str
    title: str
    facts: list[Fact]
    sheet: Sheet

    @property
    def rng(self) -> Random:
        return self.sheet.rng

    def dice(self) -> Random:
        """Dice that fall the same for every document of a template."""
        return Random(self.template)

    def plain(self) -> list[Fact]:
        """The facts of one value, then the parts of groups."""
        return [fact for fact in self.facts if fact.is_plain]

    def others(self) -> list[Fact]:
        return [fact for fact in self.facts if not fact.is_plain and not fact.is_absent]


def templates_of(
    split: Split, genres: Sequence[str], variants: int, layout_of: Callable[[str], Hashable] = str
) -> tuple[str, ...]:
    """The template ids of a split, as `form/12`: one in seven is for the eval split only.

    Of these, one whose layout a template of the training split has too is in neither; by default every id is a
    layout of its own.
    """
    ids = [f"{genre}/{variant}" for genre in genres for variant in range(variants)]
    held_back = [each for each in ids if zlib.crc32(each.encode()) % 7 == 0]
    train = [each for each in ids if each not in held_back]
    if split == "train":
        return tuple(train)
    shown = set(map(layout_of, train))
    return tuple(each for each in held_back if layout_of(each) not in shown)


def broken(page: Page, fact: Fact) -> str:
    """The text of a fact, an address at times over several lines."""
    if fact.slot and fact.concept.spec == "address" and page.rng.random() < 0.5:
        printed = page.sheet.show(fact.slot)
        joint = page.rng.choice((",\n", "\n"))
        page.sheet.change(fact.slot, printed.replace(", ", joint))
    return fact.text


def cased(label: str, case: str) -> str:
    """A label in the case a template gives all of its own."""
    if case == "upper":
        return label.upper()
    if case == "title":
        return label.title() if label.isascii() and "'" not in label else label
    if case == "lower":
        return label.lower()
    if case == "snake":
        return "_".join(label.lower().replace(".", "").replace("'", "").split())
    return " ".join(map(_shortened, label.split())) if case == "short" else label


def _shortened(word: str) -> str:
    return word if len(word) < 6 or not word.isalpha() else word[: 3 + len(word) % 2] + "."


def listed(items: Sequence[str], joint: str = ", ", last: str = "") -> str:
    """`a, b and c`."""
    if last and len(items) > 1:
        return f"{joint.join(items[:-1])}{last}{items[-1]}"
    return joint.join(items)
