"""The typed values that a text prints: every number, date and currency in it, in the spellings that read.

A typed field is copied from among these, so what the model writes for one always converts. An author of examples
may write a clean value, and it is found here as printed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from schemas.errors import ConversionError
from schemas.forms import Kind, Leaf
from schemas.locate import Span
from schemas.reading import Value, read
from schemas.reading.common import plain_digits
from schemas.reading.currencies import CURRENCY
from schemas.reading.dates import BEFORE_TIME, DATE, TIME
from schemas.reading.numbers import NUMBER

_SIGN_BEFORE: Final = re.compile(rf"(?:{CURRENCY.pattern})[ ]?\Z")
# a currency or a unit, as in "12.50 EUR", "12 kg", "15%", "80,000 per year"
_UNIT_AFTER: Final = re.compile(rf"[ ]?(?:{CURRENCY.pattern}|%|(?:per )?[^\W\d_]{{1,12}}(?![\w-]))")
_LONGEST_SIGN: Final = 24


def candidates(leaf: Leaf, text: str) -> list[str]:
    """What a number, date or currency leaf may copy from a text, each spelling once, in the text's order."""
    spans = [*_SPANS[leaf.kind](text), *(_with_units(text) if leaf.kind in _NUMBERS else ())]
    printed = dict.fromkeys(text[start:end] for start, end in sorted(spans))
    return [each for each in printed if len(each) <= leaf.max_length and _try_read(leaf, each) is not None]


def find_value(leaf: Leaf, value: str, text: str) -> list[Span]:
    """Where a number, date or currency is printed, given as clean text: "1234.50", "2024-03-03", "EUR"."""
    spans = _SPANS.get(leaf.kind)
    wanted = _try_read(replace(leaf, decimal_comma=False), value)
    if spans is None or wanted is None:
        return []
    return [(start, end) for start, end in spans(text) if _try_read(leaf, text[start:end]) == wanted]


def _try_read(leaf: Leaf, printed: str) -> Value | None:
    try:
        return read(leaf, printed)
    except ConversionError:
        return None


def _numbers(text: str) -> Iterator[Span]:
    plain = plain_digits(text)
    for number in NUMBER.finditer(plain):
        start, end = number.span()
        opening, closing = plain.rfind("(", max(0, start - 8), start), plain.find(")", end, end + 8)
        if opening >= 0 and closing >= 0:
            yield opening, closing + 1
        yield start, end


def _with_units(text: str) -> Iterator[Span]:
    """Numbers with what is printed beside them."""
    for start, end in _numbers(text):
        before = _SIGN_BEFORE.search(text[max(0, start - _LONGEST_SIGN) : start])
        after = _UNIT_AFTER.match(text, end)
        if before:
            yield start - len(before[0]), end
        if after:
            yield start, after.end()


def _dates(text: str) -> Iterator[Span]:
    return (day.span() for day in DATE.finditer(plain_digits(text)))


def _moments(text: str) -> Iterator[Span]:
    plain = plain_digits(text)
    for day in DATE.finditer(plain):
        gap = BEFORE_TIME.match(plain, day.end())
        clock = TIME.match(plain, gap.end()) if gap else None
        yield day.start(), (clock or day).end()


def _currencies(text: str) -> Iterator[Span]:
    return (sign.span() for sign in CURRENCY.finditer(text))


_NUMBERS: Final = frozenset({Kind.DECIMAL, Kind.INTEGER, Kind.FLOAT})
_SPANS: Final[dict[Kind, Callable[[str], Iterator[Span]]]] = {
    Kind.CURRENCY: _currencies,
    Kind.DATE: _dates,
    Kind.DATETIME: _moments,
    **dict.fromkeys(_NUMBERS, _numbers),
}
