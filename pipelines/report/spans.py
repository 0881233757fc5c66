"""A text cut where spans begin and end, so that each part can be marked without one mark inside another."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from schemas.locate import Span


@dataclass(frozen=True)
class Segment:
    """A part of a text; spans are known by their numbers."""

    text: str
    # those that cover it, the shortest first
    spans: tuple[int, ...] = ()
    # those that begin with it
    begins: tuple[int, ...] = ()


def segments(text: str, spans: Mapping[int, Span]) -> Iterator[Segment]:
    """The text in parts that are covered by the same spans; joined they are the text, whatever the spans."""
    inside = {number: _clipped(span, len(text)) for number, span in spans.items()}
    inside = {number: (start, end) for number, (start, end) in inside.items() if start < end}
    cuts = sorted({0, len(text), *(place for span in inside.values() for place in span)})
    covering: list[list[int]] = [[] for _ in cuts]
    for number in sorted(inside, key=lambda number: (_length(inside[number]), number)):
        start, end = inside[number]
        for index in range(bisect_left(cuts, start), bisect_left(cuts, end)):
            covering[index].append(number)
    for index, (start, end) in enumerate(pairwise(cuts)):
        numbers = tuple(covering[index])
        begins = tuple(number for number in numbers if inside[number][0] == start)
        yield Segment(text[start:end], numbers, begins)


def _clipped(span: Span, length: int) -> Span:
    return max(0, span[0]), min(length, span[1])


def _length(span: Span) -> int:
    return span[1] - span[0]
