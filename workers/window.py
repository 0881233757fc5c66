"""Cuts a text that does not fit into overlapping windows, at paragraphs, lines or sentences where possible."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

from schemas.errors import PromptError

# A piece is at most this part of the budget, so that a window is filled well wherever it is cut.
_PIECES_PER_WINDOW = 16
# A cut may leave this part of the budget unused for the sake of a better boundary.
_SLACK = 0.4

_LINE = re.compile(r"[^\n]*\n(?:[^\S\n]*\n)*|[^\n]+")
_SENTENCE = re.compile(r".+?(?:[.!?][\"'”’)\]]*\s+|[。！？]+|\Z)", re.DOTALL)
_WORD_START = re.compile(r"(?<=\s)(?=\S)")


@dataclass(frozen=True)
class Window:
    """A part of a document: `text == document[start:end]`."""

    start: int
    end: int
    text: str


class Boundary(IntEnum):
    """What ends at a place; the higher, the better to cut there."""

    ANYWHERE = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3
    PARAGRAPH = 4


def cut(document: str, *, budget: int, count: Callable[[str], int], overlap: int) -> list[Window]:
    """Windows that cover the document, each of at most `budget` tokens as `count` counts them.

    A window begins with up to `overlap` tokens of the one before it, but never with more than half the budget.

    Raises:
        PromptError: the budget is less than one character takes.
    """
    if count(document) <= budget:
        return [Window(0, len(document), document)]
    pieces = list(_pieces(document, max(1, budget // _PIECES_PER_WINDOW), budget, count))
    return list(_Cutter(document, pieces, budget, count).windows(min(overlap, budget // 2)))


@dataclass(frozen=True)
class _Piece:
    text: str
    tokens: int


def _pieces(document: str, limit: int, budget: int, count: Callable[[str], int]) -> Iterator[_Piece]:
    """The document in lines, sentences, and parts of too long sentences."""
    for line in _LINE.findall(document):
        tokens = count(line)
        if tokens <= limit:
            yield _Piece(line, tokens)
            continue
        for sentence in _SENTENCE.findall(line):
            yield from _halves(sentence, limit, budget, count)


def _halves(text: str, limit: int, budget: int, count: Callable[[str], int]) -> Iterator[_Piece]:
    tokens = count(text)
    if tokens <= limit or len(text) == 1:
        if tokens > budget:
            raise PromptError(
                f"the character {text!r} takes {tokens} tokens and a window has {budget}.",
                hint="Use fewer or shorter examples.",
                budget=budget,
            )
        yield _Piece(text, tokens)
        return
    middle = len(text) // 2
    words = (match.start() for match in _WORD_START.finditer(text))
    place = min(words, key=lambda start: abs(start - middle), default=middle)
    yield from _halves(text[:place], limit, budget, count)
    yield from _halves(text[place:], limit, budget, count)


def _boundary(piece: str) -> Boundary:
    """What the end of a piece is."""
    blank = piece[len(piece.rstrip()) :]
    if "\n" in blank:
        return Boundary.PARAGRAPH if blank.count("\n") > 1 else Boundary.LINE
    if re.search(r"[.!?][\"'”’)\]]*\s+\Z|[。！？]\Z", piece[-len(blank) - 8 :]):
        return Boundary.SENTENCE
    return Boundary.WORD if blank else Boundary.ANYWHERE


class _Cutter:
    """Joins pieces to windows; places are indices of pieces, so place 0 is the start of the document."""

    def __init__(self, document: str, pieces: list[_Piece], budget: int, count: Callable[[str], int]) -> None:
        self.document = document
        self.budget = budget
        self.count = count
        self.offsets = [0, *accumulate(len(piece.text) for piece in pieces)]
        self.tokens = [0, *accumulate(piece.tokens for piece in pieces)]
        self.boundaries = [Boundary.PARAGRAPH, *(_boundary(piece.text) for piece in pieces)]
        self.boundaries[-1] = Boundary.PARAGRAPH

    def windows(self, overlap: int) -> Iterator[Window]:
        start = end = 0
        while end < len(self.offsets) - 1:
            stop = self.stop(start, end)
            if stop == end:
                # the overlap left no room for what comes next
                start, stop = end, self.stop(end, end)
            end = stop
            yield Window(self.offsets[start], self.offsets[end], self.text(start, end))
            start = self.restart(start, end, overlap)

    def text(self, start: int, end: int) -> str:
        return self.document[self.offsets[start] : self.offsets[end]]

    def stop(self, start: int, least: int) -> int:
        """Where a window from `start` ends: after `least`, or at it if nothing more fits."""
        room = self.budget
        while True:
            last = bisect_right(self.tokens, self.tokens[start] + room) - 1
            if last <= least:
                return least if least > start else start + 1
            end = self.best_end(start, least, last)
            # counts of pieces do not add up to the count of their text
            excess = self.count(self.text(start, end)) - self.budget
            if excess <= 0:
                return end
            room = self.tokens[end] - self.tokens[start] - max(1, excess)

    def best_end(self, start: int, least: int, last: int) -> int:
        """The latest of the best boundaries among those that fill the window well."""
        if last == len(self.offsets) - 1:
            return last
        filled = self.tokens[start] + (1 - _SLACK) * (self.tokens[last] - self.tokens[start])
        first = max(least + 1, bisect_left(self.tokens, filled))
        return max(range(first, last + 1), key=lambda place: (self.boundaries[place], place))

    def restart(self, start: int, end: int, overlap: int) -> int:
        """Where the next window starts: as early as the overlap allows, at a sentence or better if there is one."""
        first = max(start + 1, bisect_left(self.tokens, self.tokens[end] - overlap))
        good = {place: min(self.boundaries[place], Boundary.SENTENCE) for place in range(first, end)}
        return max(good, key=lambda place: (good[place], -place), default=end)
