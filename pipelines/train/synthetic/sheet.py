"""A document while it is written: values are single private code points until all else is settled.

So templates, noise and column widths never touch a value by accident, and the record is read back from where
each value came to stand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pipelines.train.synthetic.printing import Region, Style, draw_style
from schemas.locate import Span

_FIRST_SLOT = 0xE000
SLOT = re.compile("[\ue000-\uf8ff]")


@dataclass(frozen=True)
class Said:
    """A choice or flag, which holds if one of its wordings was printed."""

    slots: str
    value: Any
    otherwise: Any


@dataclass(frozen=True)
class Written:
    """A finished document and its wire record."""

    text: str
    record: dict[str, Any]


# a text with slots, and a record of slots
Draft = tuple[str, dict[str, Any]]


class Sheet:
    """One document: its dice, its way of printing, and the values put on it."""

    def __init__(self, rng: Random, region: Region, *, room: int = 4_000) -> None:
        self.rng = rng
        self.region = region
        self.style: Style = draw_style(rng, region)
        self._printed: dict[int, str] = {}
        # numbers and currencies: a line never breaks in them
        self._solid: set[int] = set()
        self._sign = ""
        # the longest line; None leaves lines as written
        self.width: int | None = None
        # characters that a long document should stay below
        self.room = room

    def prints(self, **changes: Any) -> None:
        """Change the style of this document, as its currency."""
        self.style = replace(self.style, **changes)

    def put(self, printed: str, *, solid: bool = False) -> str:
        """The code point that stands for a value in texts and in the record."""
        code = _FIRST_SLOT + len(self._printed)
        self._printed[code] = printed
        if solid:
            self._solid.add(code)
        return chr(code)

    def put_money(self, cents: int, decimals: int = 2) -> str:
        """The slot of an amount without its currency."""
        return self.put(self.money(cents, decimals), solid=True)

    def money(self, cents: int, decimals: int = 2) -> str:
        """An amount as this document prints it."""
        return self.style.number(cents if decimals else cents // 100, decimals)

    def sign(self) -> str:
        """The slot of the currency that this document prints."""
        self._sign = self._sign or self.put(self.style.sign, solid=True)
        return self._sign

    def change(self, slot: str, printed: str) -> None:
        """Print a value otherwise, as with line breaks in it."""
        self._printed[ord(slot)] = printed

    def show(self, text: str) -> str:
        """A text as it will be printed."""
        return text.translate(self._printed)

    def pad(self, text: str, width: int, *, right: bool = False) -> str:
        """A text filled with blanks to the width it will have."""
        fill = " " * (width - len(self.show(text)))
        return fill + text if right else text + fill

    def finish(self, text: str, record: dict[str, Any], *, upper: bool = False) -> Written | None:
        """Put the values in, break lines longer than `width`, and read the record from the text.

        None if a value came to stand where it does not read.
        """
        made = self._print(text)
        if not made.is_sound:
            return None
        printed = _wrap(made.text, made.breakable, self.width) if self.width else made.text
        if upper and not _KEEPS_CASE.search(printed) and len(printed.upper()) == len(printed):
            printed = printed.upper()
        values = {slot: printed[start:end] for slot, (start, end) in made.spans.items()}
        return Written(text=printed, record=_resolve(record, values))

    def _print(self, text: str) -> "_Printed":
        """The text with its values, blanks put where neighbours would be read as one."""
        out: list[str] = []
        breakable: list[str] = []
        spans: dict[str, Span] = {}
        end = 0
        tail = ""
        for literal, slot in _pieces(text):
            value = self._printed[ord(slot)] if slot else ""
            before = _gap(tail, (literal + value)[:2]) + literal if literal else ""
            before += _gap((tail + before)[-2:], value[:2])
            out += [before, value]
            breakable += [before, value.replace(" ", "\0") if slot and ord(slot) in self._solid else value]
            end += len(before)
            if value:
                spans.setdefault(slot, (end, end + len(value)))
            end += len(value)
            tail = (tail + before + value)[-2:]
        return _Printed(text="".join(out), breakable="".join(breakable), spans=spans)


@dataclass(frozen=True, kw_only=True)
class _Printed:
    """A text, the same without places to break in solid values, and where values stand."""

    text: str
    breakable: str
    spans: dict[str, Span]

    @property
    def is_sound(self) -> bool:
        """Whether no date is read together with a number beside it."""
        return not any(self._is_misread(start, end) for start, end in self.spans.values())

    def _is_misread(self, start: int, end: int) -> bool:
        before, value = self.text[max(0, start - 12) : start], self.text[start:end]
        if month := _MONTH_START.match(value):
            return bool((_DAY_END if month["ordinal"] else _YEAR_END).search(before))
        if value[0].isdigit() and _DATE_BEGUN.search(before):
            return True
        return bool(_SHORT_YEAR_END.search(value) and _YEAR_START.match(self.text, end))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """A text as (words before a value, the value's slot), the last with an empty slot."""
    start = 0
    for slot in SLOT.finditer(text):
        yield text[start : slot.start()], slot[0]
        start = slot.end()
    yield text[start:], ""


# what reads in one case only
_KEEPS_CASE = re.compile(r"\d,? at \d|Kč|zł|R[sp](?![a-z])|\bkr\b")
_NUMBER_END = re.compile(r"\d[ '.,]?\Z|[.,]\Z|(?<![\w)])-\Z")
_NUMBER_START = re.compile(r"[ '.,]?\d|-(?!\w)|[kKmM](?![^\W_])")
_MONTH_START = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z.]* \d+(?P<ordinal>[a-z]{2})?", re.IGNORECASE
)
_DATE_BEGUN = re.compile(r"\d\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\Z")
_DAY_END = re.compile(r"\d(?:\s+day)?(?:\s+of)?[\s.,/'-]{0,3}\Z")
_YEAR_END = re.compile(r"\d{4}[\s.,/'-]{0,3}\Z")
_SHORT_YEAR_END = re.compile(r"\D\d\d\Z")
_YEAR_START = re.compile(r",?\s\d{4}")


# within a word, with or without a sign
_WITHIN_WORD = re.compile(r"[^\W\d_]['’-]?[^\W\d_]")


def _gap(before: str, after: str) -> str:
    """A blank where two neighbours would be read as one number or one word."""
    if not before or not after:
        return ""
    last, first = before[-1], after[0]
    if any(map(_WITHIN_WORD.fullmatch, (last + first, before[-2:] + first, last + after[:2]))):
        return " "
    if last.isdigit() and first.isdigit():
        # one blank would group the digits
        return "  "
    if last.isdigit() and _NUMBER_START.match(after):
        return " "
    return " " if first.isdigit() and _NUMBER_END.search(before) else ""


def _wrap(text: str, breakable: str, width: int) -> str:
    """Blanks turned into line ends, so that no place moves."""
    out = list(text)
    start = 0
    for line in breakable.split("\n"):
        end = start + len(line)
        at = start
        while end - at > width:
            blank = breakable.rfind(" ", at + 1, at + width + 1)
            if blank <= at:
                blank = breakable.find(" ", at + width, end)
            if blank < 0 or not text[at:blank].strip() or not text[blank:end].strip():
                break
            out[blank] = "\n"
            at = blank + 1
        start = end + 1
    return "".join(out)


def _resolve(value: Any, printed: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _resolve(item, printed) for name, item in value.items()}
    if isinstance(value, list):
        items = [_resolve(item, printed) for item in value]
        return [item for item in items if _is_there(item)]
    if isinstance(value, Said):
        return value.value if any(slot in printed for slot in value.slots) else value.otherwise
    if isinstance(value, str) and SLOT.search(value):
        return _put_together(value, printed)
    return value


def _put_together(value: str, printed: dict[str, str]) -> str | None:
    """What a slot stands for, or a text of several; None if one of them was not printed."""
    if len(value) == 1 or any(slot not in printed for slot in SLOT.findall(value)):
        return printed.get(value)
    return " ".join(SLOT.sub(lambda slot: printed[slot[0]], value).split())


def _is_there(item: Any) -> bool:
    return any(map(_is_there, item.values())) if isinstance(item, dict) else item is not None
