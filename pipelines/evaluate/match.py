"""Gold values against extracted ones: a verdict on each."""

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeGuard

from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm, Path, path_text
from schemas.locate import collapse

# what of a value is compared
Key = Callable[[Leaf, Hashable], Hashable]


class Verdict(StrEnum):
    """What became of one value."""

    RIGHT = "right"
    # another value than gold's
    WRONG = "wrong"
    # gold has one, the record has not
    MISSING = "missing"
    # the record has one, gold has not
    SPURIOUS = "spurious"
    # gold has none, and the record says so
    RIGHT_NULL = "right_null"
    # gold has none, and the record does not say so
    LOST_NULL = "lost_null"


NULLS = frozenset({Verdict.RIGHT_NULL, Verdict.LOST_NULL})


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one value."""

    verdict: Verdict
    # where the extracted value is in its record; positions say nothing if there is none
    path: Path
    gold: Any = None
    found: Any = None

    @property
    def field(self) -> str:
        """The path without positions: `line_items[].amount`, and `skills` for what is in it."""
        return re.sub(r"\[\d+\]", "[]", path_text(self.path)).removesuffix("[]")


def strict(leaf: Leaf, value: Hashable) -> Hashable:
    """Texts but for white space, all else by value."""
    return collapse(value) if _is_text(value, leaf) else value


def loose(leaf: Leaf, value: Hashable) -> Hashable:
    """Texts but for white space, case and punctuation, all else by value."""
    if not _is_text(value, leaf):
        return value
    folded = unicodedata.normalize("NFKC", value).casefold()
    # white space, controls and punctuation
    kept = "".join(char for char in folded if unicodedata.category(char)[0] not in "ZCP")
    return kept or strict(leaf, value)


def _is_text(value: Hashable, leaf: Leaf) -> TypeGuard[str]:
    return isinstance(value, str) and leaf.kind in (Kind.TEXT, Kind.INFERRED)


def judge(
    form: ObjectForm, gold: dict[str, Any], found: dict[str, Any] | None, key: Key = strict
) -> list[Judgement]:
    """A verdict on every value of the fields that gold has; `found` is None if nothing was extracted."""
    scored = replace(form, fields=tuple((name, item) for name, item in form.fields if name in gold))
    judgements = _Judge(key).value(scored, gold, found, ())
    if found is not None:
        return judgements
    return [replace(j, verdict=Verdict.LOST_NULL) if j.verdict in NULLS else j for j in judgements]


@dataclass(frozen=True)
class _Judge:
    key: Key

    def value(self, form: Form, gold: Any, found: Any, path: Path) -> list[Judgement]:
        if isinstance(form, Leaf):
            return self.leaf(form, gold, found, path)
        if isinstance(form, ListForm):
            return self.items(form, gold or [], found or [], path)
        gold, found = gold or {}, found or {}
        return [
            judgement
            for name, item in form.fields
            for judgement in self.value(item, gold.get(name), found.get(name), (*path, name))
        ]

    def leaf(self, leaf: Leaf, gold: Any, found: Any, path: Path) -> list[Judgement]:
        if found is None:
            verdict = Verdict.RIGHT_NULL if gold is None else Verdict.MISSING
            return [Judgement(verdict=verdict, path=path, gold=gold)]
        if gold is None:
            spurious = Judgement(verdict=Verdict.SPURIOUS, path=path, found=found)
            return [spurious, Judgement(verdict=Verdict.LOST_NULL, path=path)]
        verdict = Verdict.RIGHT if self.key(leaf, gold) == self.key(leaf, found) else Verdict.WRONG
        return [Judgement(verdict=verdict, path=path, gold=gold, found=found)]

    def items(self, form: ListForm, gold: Sequence[Any], found: Sequence[Any], path: Path) -> list[Judgement]:
        if isinstance(form.item, Leaf):
            judgements = self.as_sets(form.item, gold, found, path)
        else:
            judgements = self.by_assignment(form.item, gold, found, path)
        if not gold:
            verdict = Verdict.LOST_NULL if found else Verdict.RIGHT_NULL
            judgements.append(Judgement(verdict=verdict, path=path))
        return judgements

    def as_sets(self, leaf: Leaf, gold: Sequence[Any], found: Sequence[Any], path: Path) -> list[Judgement]:
        """Neither order nor repetition matters."""
        wanted = {self.key(leaf, value): value for value in gold}
        given = {self.key(leaf, value): (index, value) for index, value in enumerate(found)}
        judgements = [
            Judgement(verdict=Verdict.MISSING, path=path, gold=value)
            for mark, value in wanted.items()
            if mark not in given
        ]
        for mark, (index, value) in given.items():
            verdict = Verdict.RIGHT if mark in wanted else Verdict.SPURIOUS
            judgements.append(
                Judgement(verdict=verdict, path=(*path, index), gold=wanted.get(mark), found=value)
            )
        return judgements

    def by_assignment(
        self, item: Form, gold: Sequence[Any], found: Sequence[Any], path: Path
    ) -> list[Judgement]:
        """Pairs of items with most right values in all, by the Hungarian method (Kuhn 1955)."""
        # in an order of their own, so that ties do not depend on that of the lists
        gold = sorted(gold, key=repr)
        placed = sorted(enumerate(found), key=lambda place: repr(place[1]))
        grid = [[self.value(item, each, value, (*path, at)) for at, value in placed] for each in gold]
        pairs = _assign(grid)
        judgements = [judgement for row, column in pairs.items() for judgement in grid[row][column]]
        alone = [
            self.value(item, each, None, (*path, 0)) for row, each in enumerate(gold) if row not in pairs
        ]
        alone += [
            self.value(item, None, value, (*path, at))
            for column, (at, value) in enumerate(placed)
            if column not in pairs.values()
        ]
        # the nulls of an item without its partner say nothing
        return judgements + [j for judged in alone for j in judged if j.verdict not in NULLS]


def _assign(grid: Sequence[Sequence[Sequence[Judgement]]]) -> dict[int, int]:
    """The column of each row that gets one."""
    if not grid or not grid[0]:
        return {}
    # imported here: it takes a while, and most commands do not need it
    from scipy.optimize import linear_sum_assignment

    scores = [[_score(judgements) for judgements in row] for row in grid]
    rows, columns = linear_sum_assignment(scores, maximize=True)
    return dict(zip(rows.tolist(), columns.tolist(), strict=True))


def _score(judgements: Iterable[Judgement]) -> float:
    # right nulls decide between equals
    weights = {Verdict.RIGHT: 1.0, Verdict.RIGHT_NULL: 1e-6}
    return sum(weights.get(judgement.verdict, 0.0) for judgement in judgements)
