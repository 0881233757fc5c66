"""Verdicts -> figures."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.evaluate.match import Judgement, Verdict


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How well values were extracted; None where there is nothing to divide by."""

    # of the values extracted, the share that is right
    precision: float | None
    # of gold's values, the share that was extracted right
    recall: float | None
    # a right null earns nothing here
    f1: float | None
    # of gold's nulls and empty lists, the share that the record has too
    null_rate: float | None
    num_gold: int
    num_found: int
    num_right: int
    num_nulls: int


def figures(judgements: Iterable[Judgement]) -> Figures:
    """The figures of verdicts taken together."""
    counts = Counter(judgement.verdict for judgement in judgements)
    right, wrong = counts[Verdict.RIGHT], counts[Verdict.WRONG]
    num_gold = right + wrong + counts[Verdict.MISSING]
    num_found = right + wrong + counts[Verdict.SPURIOUS]
    num_nulls = counts[Verdict.RIGHT_NULL] + counts[Verdict.LOST_NULL]
    return Figures(
        precision=share(right, num_found),
        recall=share(right, num_gold),
        f1=share(2 * right, num_found + num_gold),
        null_rate=share(counts[Verdict.RIGHT_NULL], num_nulls),
        num_gold=num_gold,
        num_found=num_found,
        num_right=right,
        num_nulls=num_nulls,
    )


def field_figures(judgements: Iterable[Judgement]) -> dict[str, Figures]:
    """The figures of each field, in the order in which they are first met."""
    fields: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        fields.setdefault(judgement.field, []).append(judgement)
    return {field: figures(of_field) for field, of_field in fields.items()}


def is_exact(judgements: Iterable[Judgement]) -> bool:
    """Whether every value and every null is right."""
    return all(judgement.verdict in (Verdict.RIGHT, Verdict.RIGHT_NULL) for judgement in judgements)


def share(part: int, whole: int) -> float | None:
    """A part of a whole, None if that is nothing."""
    return part / whole if whole else None
