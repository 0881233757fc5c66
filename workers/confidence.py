"""How sure the model was of each field: the probability of its tokens among those the grammar allowed."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
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
    answer = b"".join([token.text for token in tokens])
    logprobs = [token.logprob for token in tokens]
    spans: dict[Path, tuple[int, int]] = {}
    _measure(record, (), 0, spans)
    if answer != dump(record).encode():
        return dict.fromkeys(spans, _probability(logprobs))
    ends = list(accumulate([len(token.text) for token in tokens]))
    starts = [0, *ends[:-1]]
    return {
        path: _probability(logprobs[bisect_right(ends, start) : bisect_left(starts, end)])
        for path, (start, end) in spans.items()
    }


def _probability(logprobs: Sequence[float]) -> float:
    # a logarithm that was rounded may be above nought
    return min(1.0, math.exp(sum(logprobs)))


def _measure(value: Any, path: Path, start: int, spans: dict[Path, tuple[int, int]]) -> int:
    """Note the byte range of every value in its dumped text, containers included; where this one ends."""
    if isinstance(value, dict) and value:
        end = start - 1
        for name, item in value.items():
            end = _measure(item, (*path, name), end + 2 + _size(name) + 2, spans)
        end += 1
    elif isinstance(value, list) and value:
        end = start - 1
        for index, item in enumerate(value):
            end = _measure(item, (*path, index), end + 2, spans)
        end += 1
    else:
        end = start + _size(value)
    spans[path] = (start, end)
    return end


def _size(value: Any) -> int:
    return len(dump(value).encode())
