"""The typed values that a text prints: every number, date and currency in it, in the spellings that read.

A typed field is copied from among these, so what the model writes for one always converts. An author of examples
may write a clean value, and it is found here as printed. A text whose pattern says all of it, as that of an e-mail
address, is copied whole in the same way.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, chain
from typing import Final

from schemas.errors import ConversionError
from schemas.forms import Kind, Leaf
from schemas.locate import Span
from schemas.reading import Value, read
from schemas.reading.common import plain_digits
from schemas.reading.currencies import find_currencies
from schemas.reading.dates import find_dates, find_moments, find_times
from schemas.reading.numbers import find_numbers
from schemas.text import words

# as in "12 kg", "15%", "80,000 per year"
_UNIT_AFTER: Final = re.compile(r"[ ]?(?:%|(?:per )?[^\W\d_]{1,12}(?![\w-]))")
_PHONE: Final = re.compile(
    r"\b(?i:tel|telephone|fax|(?:phone|mobile|hp|h/p)(?=[\w. ]{0,4}:))(?:\.?[ ]?(?i:no))?[ .:)]{0,4}"
    r"(?P<number>[+(]{0,2}\d(?:[ ()-]{0,2}\d){6,14})(?![.,]?\d)"
)
# A date with its marks, or with a whole year; a time with seconds or its half of the day. In "5 Mar 20 pcs" the 20
# may be no year, and "B:58" is printed as "8:58" by a bad scanner.
_SURE: Final = re.compile(
    r"\d([-/.])\w+\1\d|(?=.*[^\d\s]).*(?:1[89]|20)\d\d|:\d\d(?::|\s?[ap]\.?m)", re.DOTALL | re.IGNORECASE
)


def is_offered(leaf: Leaf) -> bool:
    """Whether a leaf copies one of its candidates, and no other part of a document."""
    return leaf.kind in _SPANS or (leaf.kind is Kind.TEXT and _whole(leaf.pattern) is not None)


def candidates(leaf: Leaf, text: str) -> list[str]:
    """What a leaf that is offered some may copy from a text, each spelling once, in the text's order."""
    plain = plain_digits(text)
    spans = list(_find_matches(leaf, text) if leaf.kind is Kind.TEXT else _SPANS[leaf.kind](plain))
    if leaf.kind in _NUMBERS:
        spans = [*spans, *_with_units(spans, plain)]
    printed = dict.fromkeys(text[start:end] for start, end in sorted(spans))
    return [each for each in printed if len(each) <= leaf.max_length and _try_read(leaf, each) is not None]


def find_value(leaf: Leaf, value: str, text: str) -> list[Span]:
    """Where a number, date or currency is printed, given as clean text: "1234.50", "2024-03-03", "EUR"."""
    find = _SPANS.get(leaf.kind)
    wanted = _try_read(replace(leaf, decimal_comma=False), value)
    if find is None or wanted is None:
        return []
    spans = find(plain_digits(text))
    return [(start, end) for start, end in spans if _try_read(leaf, text[start:end]) == wanted]


def _try_read(leaf: Leaf, printed: str) -> Value | None:
    try:
        return read(leaf, printed)
    except ConversionError:
        return None


# what leaves open how far a pattern reaches: white space but a blank, classes of all but something, looking around
_OPEN: Final = re.compile(r"[^\S ]|\\[bBDsSW ]|\[[\^\[]|\(\?|[*+?}]\?")
# an escaped character or a class
_ATOM: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")


@lru_cache
def _whole(pattern: str) -> re.Pattern[str] | None:
    """A pattern from `^` to `$` that says how far it reaches, so that a match cannot be a part of a longer value.

    Where it has a blank, a document may have any white space.
    """
    inner = pattern.removeprefix("^").removesuffix("$")
    if len(pattern) - len(inner) != 2 or inner.endswith("\\") or _OPEN.search(inner):
        return None
    # a dot that is neither escaped nor in a class is any character
    if "." in _ATOM.sub("", inner) or has_open_choice(inner):
        return None
    spaced = _ATOM.sub(lambda atom: atom[0].replace(" ", r"\s"), inner)
    # elsewhere a blank is a run of white space, unless the pattern counts it
    spaced = re.sub(r" (?![*+?{])", r"\\s+", spaced).replace(" ", r"\s")
    try:
        return re.compile(spaced)
    except re.error:
        return None


def has_open_choice(pattern: str) -> bool:
    """Whether a `|` stands outside all parentheses, so that marks of start and end are those of one side alone."""
    bare = _ATOM.sub("", pattern)
    while (rest := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = rest
    return "|" in bare


def _find_matches(leaf: Leaf, text: str) -> Iterator[Span]:
    """Where the pattern of a text matches whole words, as long as they can be."""
    pattern = _whole(leaf.pattern)
    if pattern is None:
        return
    edges = [0, *accumulate(map(len, words(text)))]
    whole = set(edges)
    free = 0
    for start in edges:
        # what goes on behind the longest value is none; to read all of it for each edge would take too long
        limit = start + 2 * leaf.max_length + 1
        match = pattern.match(text, start, limit) if start >= free else None
        if match and start < match.end():
            free = _longest(match, edges, limit)
            if free in whole:
                yield start, free


def _longest(match: re.Match[str], edges: Sequence[int], limit: int) -> int:
    """Where the longest match ends that begins as this one: of several choices the first may be shorter."""
    longer = edges[bisect_right(edges, match.end()) : bisect_right(edges, limit)]
    for end in reversed(longer) if "|" in match.re.pattern else ():
        if match.re.fullmatch(match.string, match.start(), end):
            return end
    return match.end()


def _find_amounts(plain: str) -> list[Span]:
    """Numbers that are no part of a date, time or telephone number."""
    moments = (span for span in chain(find_times(plain), find_moments(plain)) if _SURE.search(plain, *span))
    phones = (phone.span("number") for phone in _PHONE.finditer(plain))
    others = {at: span for span in chain(moments, phones) for at in range(*span)}
    return [number for number in find_numbers(plain) if not _is_part(number, others)]


def _is_part(number: Span, others: dict[int, Span]) -> bool:
    """Whether a span that is not inside the number covers its first or last character."""
    start, end = number
    around = [others[at] for at in (start, end - 1) if at in others]
    return any(other_start < start or other_end > end for other_start, other_end in around)


def _with_units(numbers: list[Span], plain: str) -> Iterator[Span]:
    """Numbers with the currency before them, and with the currency or unit after them."""
    signs = dict(find_currencies(plain))
    starts = {end: start for start, end in signs.items()}
    for start, end in numbers:
        before = starts.get(start - (plain[start - 1 : start] == " "))
        if before is not None:
            yield before, end
        unit = _UNIT_AFTER.match(plain, end)
        after = signs.get(end + (plain[end : end + 1] == " ")) or (unit and unit.end())
        if after:
            yield start, after


_SPANS: Final[dict[Kind, Callable[[str], Iterable[Span]]]] = {
    Kind.CURRENCY: find_currencies,
    Kind.DATE: find_dates,
    Kind.DATETIME: find_moments,
    Kind.DECIMAL: _find_amounts,
    Kind.FLOAT: _find_amounts,
    # the year of a date, too
    Kind.INTEGER: find_numbers,
}
_NUMBERS: Final = frozenset({Kind.DECIMAL, Kind.INTEGER, Kind.FLOAT})
