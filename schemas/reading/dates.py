"""Printed dates and times -> date, datetime; nothing that is not printed is filled in."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timezone
from functools import lru_cache
from typing import Final

from dateutil import parser as dateutil

from schemas.forms import Leaf
from schemas.locate import Span
from schemas.reading.common import LETTER, only, plain_digits, refuse

_MONTH: Final = (
    rf"(?<!{LETTER})(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    rf"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?!{LETTER})"
)
_ORDINAL: Final = rf"[ ]?(?:st|nd|rd|th)(?!{LETTER})"
_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])(?!\d)"
_NAMED_DAY: Final = rf"{_DAY}(?:{_ORDINAL})?"
_GAP: Final = r"[ \t.,/'-]"
_YEAR: Final = r"\d{4}(?!\d|\.\d)"
_OUR_YEAR: Final = r"(?:19|20)\d\d(?!\d)"
# the 12 of "5 March 12:30", "5 March 12, 2018" or "5 March 12th" is no year
_SHORT_YEAR: Final = rf"\d\d(?!\d|[:./-]\d|{_ORDINAL})"
_NO_YEAR_AFTER: Final = rf"(?![ \t]{_OUR_YEAR}|,\s?{_OUR_YEAR})"
_NAMED_SHORT_YEAR: Final = rf"(?:(?<=[-/]){_SHORT_YEAR}(?!,)|{_SHORT_YEAR}{_NO_YEAR_AFTER})"


def _numeric(mark: str) -> str:
    """A whole year and the same mark twice, which is not beside them too."""
    to = rf"[ \t]?[{mark}][ \t]?"
    return rf"""(?<!\d[{mark}])(?:
        \d{{4}}{to}(?:0?[1-9]|1[0-2]){to}{_DAY}(?![:.]\d)
        |\d{{1,2}}{to}{_DAY}{to}{_YEAR}
        )(?![{mark}]\d)"""


_DATE: Final = re.compile(
    # first what a date begins with, or the search is slow
    rf"""(?=\d|(?<!{LETTER})[JFMASOND])(?<!\d)(?:
    {"|".join(map(_numeric, "-/."))}
    |(?<!\d[-/.])\d{{1,2}}(?:[ ]?(?P<mark>[-/])[ ]?{_DAY}[ ]?(?P=mark)[ ]?|\.{_DAY}\.){_SHORT_YEAR}
    |{_DAY}\ \d{{1,2}}\ {_YEAR}
    |(?<!\d[-/.,])\d{{8}}(?!\d|[-.,]\d)
    |(?<!\d[:.,]){_NAMED_DAY}(?:[ \t]{{1,3}}day)?(?:[ \t]{{1,3}}of)?{_GAP}{{0,3}}{_MONTH}{_GAP}{{0,3}}
        (?:{_YEAR}|{_NAMED_SHORT_YEAR})
    |(?<!\d[-/.]){_MONTH}{_GAP}{{0,3}}{_NAMED_DAY}{_GAP}{{1,3}}(?:{_YEAR}|{_NAMED_SHORT_YEAR})
    |(?:1[89]|20)\d\d{_GAP}{{0,3}}{_MONTH}{_GAP}{{0,3}}{_NAMED_DAY}{_NO_YEAR_AFTER}
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# The line ends that may stand inside a date. A number that has its line for itself counts pages or paragraphs.
_LINE_ENDS: Final = re.compile(
    rf"""(?=\d|(?<!{LETTER})[JFMASOND])(?:
    (?:(?<![^ ]){_DAY}|(?<!\d)\d{{1,2}}{_ORDINAL}|day|of)[.,]?[ ]?\n(?=[ ]{{0,2}}(?:day|of|{_MONTH})(?!{LETTER}))
    |(?<!\d)\d{{1,2}}\n(?=(?:st|nd|rd|th)[ ])
    |{_MONTH}[.,]?[ ]?\n(?=[ ]{{0,2}}(?:{_OUR_YEAR}|{_DAY}))
    |{_MONTH}[. ]{{1,2}}{_NAMED_DAY},?[ ]?\n(?=[ ,]{{0,2}}{_OUR_YEAR})
    |(?<!\d){_DAY}[ ]{_MONTH}[.,]?[ ]?\n(?=[03-9]\d(?!\d|[:./,-]\d))
    |\d[-/]\n(?=\d)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_TIME: Final = re.compile(
    r"""(?<!\d)(?:(?<!\d:)|(?<=\d{4}:))(?:
    \d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,6})?(?:\s?[+-]\d\d:?\d\d)?)?(?:\s?[ap](?:m\b|\.m\b\.?))?
    |\d{1,2}\s?[ap](?:m\b|\.m\b\.?)
    )(?P<utc>\s?(?:Z|UTC|GMT)\b)?(?![\d:])""",
    re.IGNORECASE | re.VERBOSE,
)
_DATE_TO_TIME: Final = re.compile(r":|[T\s,-]{0,3}(?:at\s)?")
_TIME_TO_DATE: Final = re.compile(r"[ \t,-]{0,3}(?:on\s(?:the\s)?)?")


def find_dates(plain: str) -> list[Span]:
    """Where dates are printed in a text of plain digits, in order; two overlap where both may be meant."""
    # without the line ends two lines may look like one date: both are searched
    joined = _LINE_ENDS.sub(lambda broken: broken[0].replace("\n", " "), plain) if "\n" in plain else plain
    texts = (plain,) if joined == plain else (plain, joined)
    return sorted({day.span() for text in texts for day in _DATE.finditer(text)})


def find_times(plain: str) -> Iterator[Span]:
    """Where times of the day are printed."""
    return (clock.span() for clock in _TIME.finditer(plain))


def find_moments(plain: str) -> Iterator[Span]:
    """Where dates are printed, each with the time after or before it."""
    clocks = {}
    for start, end in find_times(plain):
        gap = _TIME_TO_DATE.match(plain, end)
        clocks[gap.end() if gap else end] = start
    for start, end in find_dates(plain):
        gap = _DATE_TO_TIME.match(plain, end)
        after = _TIME.match(plain, gap.end()) if gap else None
        yield start, after.end() if after else end
        if start in clocks:
            yield clocks[start], end


class _ParserInfo(dateutil.parserinfo):
    JUMP = [*dateutil.parserinfo.JUMP, "day"]  # noqa: RUF012  as the library declares it

    def convertyear(self, year: int, century_specified: bool = False) -> int:
        # the library's pivot moves with today's date; this is the one of POSIX
        if year >= 100 or century_specified:
            return year
        return year + (2000 if year < 69 else 1900)


_INFO: Final = _ParserInfo()


def read_date(leaf: Leaf, printed: str) -> date:
    plain = plain_digits(printed)
    found = [_parse_date(plain[start:end], day_first=leaf.day_first) for start, end in find_dates(plain)]
    days = {day for day in found if day}
    if found and not days:
        raise refuse(leaf, printed, "the calendar has no such day")
    return only(days, leaf, printed)


# a pile of documents prints few days, each often
@lru_cache(maxsize=10_000)
def _parse_date(printed: str, *, day_first: bool) -> date | None:
    """A date of which day, month and year are printed: the library would fill what is missing."""
    if printed.isdecimal():
        return _parse_digits(printed, day_first=day_first)
    if re.search(LETTER, printed):
        # the library takes the end of "Dec 11,2014" for a number with a fraction
        tidy = re.sub(r"[\s.,/'-]+", " ", printed)
    else:
        tidy = re.sub(r"\s?([-/.])\s?", r"\1", printed)
    # day_first would read 2018-12-05 as the twelfth of May
    day_first = day_first and not re.match(r"\d{4}", tidy)
    try:
        return dateutil.parse(tidy, _INFO, dayfirst=day_first, default=datetime(2000, 1, 1)).date()
    except (ValueError, OverflowError, TypeError):
        return None


def _parse_digits(digits: str, *, day_first: bool) -> date | None:
    """20181225, or 25122018 as the field says: eight digits that begin or end with a year of our days."""
    year = digits[4:]
    # no date that begins with its year reads so: there is no month 19 or 20
    if "1950" <= year < "2050":
        day, month = (digits[:2], digits[2:4]) if day_first else (digits[2:4], digits[:2])
        digits = year + month + day
    try:
        return date.fromisoformat(digits) if "1900" <= digits < "2100" else None
    except ValueError:
        return None


def read_datetime(leaf: Leaf, printed: str) -> datetime:
    day = read_date(leaf, printed)
    found = [_parse_time(match, day) for match in _TIME.finditer(plain_digits(printed))]
    if not found:
        return datetime.combine(day, time.min)
    return only({moment for moment in found if moment}, leaf, printed)


def _parse_time(match: re.Match[str], day: date) -> datetime | None:
    clock = match[0].removesuffix(match["utc"] or "").replace(",", ".")
    clock = re.sub(r"([ap])\.?m\.?", r"\1m", clock, flags=re.IGNORECASE)
    try:
        moment = dateutil.parse(clock, default=datetime.combine(day, time.min))
        offset = moment.utcoffset()
        zone = UTC if match["utc"] else offset if offset is None else timezone(offset)
        return moment.replace(tzinfo=zone)
    except (ValueError, OverflowError, TypeError):
        return None
