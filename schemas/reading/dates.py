"""Printed dates and times -> date, datetime; nothing that is not printed is filled in."""

import re
from datetime import UTC, date, datetime, time, timezone
from typing import Final

from dateutil import parser as dateutil

from schemas.forms import Leaf
from schemas.reading.common import LETTER, only, plain_digits, refuse

_MONTH: Final = (
    rf"(?<!{LETTER})(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    rf"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?!{LETTER})"
)
_DAY: Final = r"\d{1,2}(?:\s?(?:st|nd|rd|th))?"
_GAP: Final = r"[\s.,/'-]"
DATE: Final = re.compile(
    rf"""(?<!\d)(?<!\d[-/.])(?:
    \d{{4}}\s?(?P<a>[-/.])\s?\d{{1,2}}\s?(?P=a)\s?\d{{1,2}}
    |\d{{1,2}}\s?(?P<b>[-/.])\s?\d{{1,2}}\s?(?P=b)\s?(?:\d{{4}}|\d\d)
    |\d{{1,2}}\ \d{{1,2}}\ \d{{4}}
    |\d{{8}}
    |{_DAY}(?:\s+day)?(?:\s+of)?{_GAP}{{0,3}}{_MONTH}{_GAP}{{0,3}}(?:\d{{4}}|\d\d(?!,?\s\d{{4}}))
    |{_MONTH}{_GAP}{{0,3}}{_DAY}{_GAP}{{1,3}}(?:\d{{4}}|\d\d)
    |\d{{4}}{_GAP}{{0,3}}{_MONTH}{_GAP}{{0,3}}{_DAY}
    )(?!\d|:\d|[-/.]\d)""",
    re.IGNORECASE | re.VERBOSE,
)
TIME: Final = re.compile(
    r"""(?<![\d:])(?:
    \d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,6})?(?:\s?[+-]\d\d:?\d\d)?)?(?:\s?[ap](?:m\b|\.m\b\.?))?
    |\d{1,2}\s?[ap](?:m\b|\.m\b\.?)
    )(?P<utc>\s?(?:Z|UTC|GMT)\b)?(?![\d:])""",
    re.IGNORECASE | re.VERBOSE,
)
BEFORE_TIME: Final = re.compile(r"[T\s,-]{0,3}(?:at\s)?")


class _ParserInfo(dateutil.parserinfo):
    JUMP = [*dateutil.parserinfo.JUMP, "day"]  # noqa: RUF012  as the library declares it

    def convertyear(self, year: int, century_specified: bool = False) -> int:
        # the library's pivot moves with today's date; this is the one of POSIX
        if year >= 100 or century_specified:
            return year
        return year + (2000 if year < 69 else 1900)


_INFO: Final = _ParserInfo()


def read_date(leaf: Leaf, printed: str) -> date:
    found = [
        _parse_date(match[0], day_first=leaf.day_first) for match in DATE.finditer(plain_digits(printed))
    ]
    days = {day for day in found if day}
    if found and not days:
        raise refuse(leaf, printed, "the calendar has no such day")
    return only(days, leaf, printed)


def _parse_date(printed: str, *, day_first: bool) -> date | None:
    """A date of which day, month and year are printed: the library would fill what is missing."""
    tidy = re.sub(r"(?<=\d)\s?([-/.])\s?(?=\d)", r"\1", printed)
    # day_first would read 2018-12-05 as the twelfth of May
    day_first = day_first and not re.match(r"\d{4}", tidy)
    try:
        return dateutil.parse(tidy, _INFO, dayfirst=day_first, default=datetime(2000, 1, 1)).date()
    except (ValueError, OverflowError, TypeError):
        return None


def read_datetime(leaf: Leaf, printed: str) -> datetime:
    day = read_date(leaf, printed)
    found = [_parse_time(match, day) for match in TIME.finditer(plain_digits(printed))]
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
