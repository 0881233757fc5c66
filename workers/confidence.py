"""How sure the model was of each field: the probability of its tokens among those the grammar allowed."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from schemas.forms import Path
from schemas.wire import dump
from workers.engine.protocol import Token


def field_confidences(record: dict[str, Any], tokens: Sequence[Token]) -> dict[Path, float]:
    """The probability of every value of an answer, by path, in 0..1 and uncalibrated.

    A value's probability is the product over the tokens that hold a byte of it. An answer that is not in
    the wire style cannot be split: then every value has the probability of the whole.
    """
    answer = b"".join(token.text for token in tokens)
    if answer != dump(record).encode():
        whole = _probability(tokens)
        return {path: whole for path, _, _ in _spans(record, (), 0)}
    ends = list(accumulate(len(token.text) for token in tokens))
    starts = [0, *ends[:-1]]
    return {
        path: _probability(tokens[bisect_right(ends, start) : bisect_left(starts, end)])
        for path, start, end in _spans(record, (), 0)
    }


def _probability(tokens: Iterable[Token]) -> float:
    # a logarithm that was rounded may be above nought
    return min(1.0, math.exp(sum(token.logprob for token in tokens)))


def _spans(value: Any, path: Path, start: int) -> Iterator[tuple[Path, int, int]]:
    """Byte range of every value in its dumped text, containers included, in the order they are written."""
    yield path, start, start + _size(value)
    if isinstance(value, dict):
        at = start + 1
        for name, item in value.items():
            at += _size(name) + 2
            yield from _spans(item, (*path, name), at)
            at += _size(item) + 2
    elif isinstance(value, list):
        at = start + 1
        for index, item in enumerate(value):
            yield from _spans(item, (*path, index), at)
            at += _size(item) + 2


def _size(value: Any) -> int:
    return len(dump(value).encode())
