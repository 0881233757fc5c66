"""Which of a schema's examples go into a prompt: the first of the file, or those nearest to the text.

Sizes are tokens. A step's `skip_shots` leaves out the first or the nearest ones if two others remain.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

from schemas.base import SchemaSettings, Step
from schemas.examples import MIN_EXAMPLES
from workers.rank import Ranking


class Chooser(Protocol):
    """Chooses among two or more examples."""

    def least(self, step: Step) -> int:
        """Tokens in which two examples fit, whatever the text is."""

    def reserve(self, step: Step, free: int) -> int:
        """Of the tokens for a window and its examples, how many are kept for the examples; no fewer than `least`."""

    def choose(self, text: str, step: Step, room: int) -> list[int]:
        """The numbers of two or more examples that fit `room`, as they stand in the prompt; room is `least` or more."""


def chooser(settings: SchemaSettings, texts: Sequence[str], sizes: Sequence[int]) -> Chooser:
    """What a schema's settings ask for."""
    return Nearest(texts, sizes) if settings.shots == "nearest" else First(sizes)


class First:
    """As many of the first examples as fit."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes

    def least(self, step: Step) -> int:
        return sum(self._sizes[number] for number in self._candidates(step)[:MIN_EXAMPLES])

    def reserve(self, step: Step, free: int) -> int:
        return self.least(step)

    def choose(self, text: str, step: Step, room: int) -> list[int]:
        chosen = self._candidates(step)
        while len(chosen) > MIN_EXAMPLES and sum(self._sizes[number] for number in chosen) > room:
            chosen = chosen[:-1]
        return list(chosen)

    def _candidates(self, step: Step) -> range:
        skip = _num_skipped(step, self._sizes)
        return range(len(self._sizes))[skip : skip + step.max_shots]


class Nearest:
    """The nearest examples that fit, the nearest of all last, beside the text."""

    def __init__(self, texts: Sequence[str], sizes: Sequence[int]) -> None:
        self._texts = texts
        self._sizes = sizes
        self._by_size = sorted(sizes)

    def least(self, step: Step) -> int:
        # the shortest ones may be those that are skipped
        skip = _num_skipped(step, self._sizes)
        return sum(self._by_size[skip : skip + MIN_EXAMPLES])

    def reserve(self, step: Step, free: int) -> int:
        # any two, unless they would take more than half
        return max(self.least(step), min(sum(self._by_size[-MIN_EXAMPLES:]), free // 2))

    def choose(self, text: str, step: Step, room: int) -> list[int]:
        order = self._ranking.order(text)[_num_skipped(step, self._sizes) :]
        shortest = min(self._sizes[number] for number in order)
        chosen: list[int] = []
        for number in order:
            # the first one leaves room for another; the shortest does so by `least`
            partner = 0 if chosen else shortest
            if self._sizes[number] + partner <= room:
                chosen.append(number)
                room -= self._sizes[number]
            if len(chosen) == step.max_shots:
                break
        return chosen[::-1]

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self._texts)


def _num_skipped(step: Step, sizes: Sequence[int]) -> int:
    return min(step.skip_shots, len(sizes) - MIN_EXAMPLES)
