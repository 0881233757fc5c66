"""Printed numbers -> Decimal, int, float, and the unit beside them."""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from schemas.forms import Leaf
from schemas.locate import Span, collapse
from schemas.reading.common import plain_digits, refuse
from schemas.reading.currencies import CURRENCY, ISO_4217, code_of


def unit_of(printed: str) -> str | None:
    """What is printed beside the only number: "RM" of "RM 1,234.50", "kg" of "12 kg"."""
    plain = plain_digits(printed)
    numbers = list(_NUMBER.finditer(plain))
    if len(numbers) != 1:
        return None
    end = numbers[0].end("body") if _is_length(numbers[0], plain) else numbers[0].end()
    before, after = plain[: numbers[0].start("body")], plain[end:]
    signs: list[str] = [sign for side in (before, after) for sign in CURRENCY.findall(side) if code_of(sign)]
    if signs:
        return next((sign for sign in signs if sign in ISO_4217), signs[0])
    # "Qty:" is a label, not a unit
    label = "" if before.rstrip().endswith(":") else before
    return collapse(after.strip(_AROUND)) or collapse(label.strip(_AROUND)) or None


_POWERS: Final = {
    "": 0,
    "k": 3,
    "m": 6,
    "thousand": 3,
    "lakh": 5,
    "million": 6,
    "mio": 6,
    "crore": 7,
    "billion": 9,
    "bn": 9,
}
# the hyphen of "$24,000-$36,000" or "30%-40%" is no minus, neither before nor after a number
_NUMBER: Final = re.compile(
    rf"""(?P<minus>(?:(?<![\w)%-])-|\A\s*-\s)(?:(?:{CURRENCY.pattern})\s?)?)?
    (?P<body>[1-9]\d{{0,2}}(?P<gap>[ '])\d{{3}}(?:(?P=gap)\d{{3}})*(?:[.,]\d+)?(?![.,']?\d)
        |\d+(?:[.,]\d+)*
        |(?<![\w.,])\.\d+)
    (?:(?P<suffix>[kKmM])(?![^\W_])
        |\s?(?P<word>(?i:thousand|million|mio|billion|bn|lakh|crore))s?(?![^\W_]))?
    (?P<trailing>-(?![\w(.-]|{CURRENCY.pattern}))?""",
    re.VERBOSE,
)
# what stands between a number and the minus of the next, or the number after a minus, where it may be a range
_RANGE_BEFORE: Final = re.compile(rf"[ ]?(?:(?:{CURRENCY.pattern})[ ]?)?")
_RANGE_AFTER: Final = re.compile(rf"\s?(?:(?:{CURRENCY.pattern})[ ]?)?\d")
_GROUPED: Final = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}")
_COLUMN: Final = re.compile(r"[ ](?=[1-9])")
_AROUND: Final = " \t\n()[]-+:;,./"
_INT64: Final = 2**63


def find_numbers(plain: str) -> Iterator[Span]:
    """Where numbers are printed in a text of plain digits; spans overlap where it reads in two ways."""
    last = 0
    for number in _NUMBER.finditer(plain):
        start, end = number.span()
        yield start, end
        opening, closing = plain.rfind("(", max(0, start - 8), start), plain.find(")", end, end + 8)
        if opening >= 0 and closing >= 0 and not {*"()"} & {*plain[opening + 1 : closing]}:
            yield opening, closing + 1
        if number["gap"] == " ":
            yield from _columns(number)
        if last and number["minus"] and _RANGE_BEFORE.fullmatch(plain, last, start):
            yield number.start("body"), end
        if number["trailing"] and _RANGE_AFTER.match(plain, end):
            yield start, end - 1
        last = end


def _columns(number: re.Match[str]) -> Iterator[Span]:
    """The numbers of "2 150.00" if a blank does not group digits but parts columns, of up to three groups each."""
    # no column begins with the zero of "2 050.00"
    gaps = [number.start("body") + gap.start() for gap in _COLUMN.finditer(number["body"])]
    starts = [number.start(), *(gap + 1 for gap in gaps)]
    ends = [*gaps, number.end()]
    for first, start in enumerate(starts):
        for end in ends[first : first + 3]:
            if (start, end) != number.span():
                yield start, end


def read_decimal(leaf: Leaf, printed: str) -> Decimal:
    plain = plain_digits(printed)
    numbers = list(_NUMBER.finditer(plain))
    if len(numbers) != 1:
        raise refuse(leaf, printed, f"there are {len(numbers)} numbers in it")
    number = numbers[0]
    digits = _digits(number["body"], decimal_comma=leaf.decimal_comma)
    if digits is None:
        raise refuse(leaf, printed, "its separators do not group the digits")
    power = 0 if _is_length(number, plain) else _POWERS[(number["suffix"] or number["word"] or "").lower()]
    value = Decimal(format(Decimal(f"{digits}E{power}"), "f"))
    return value.copy_negate() if _is_negative(number, plain) else value


def _is_length(number: re.Match[str], plain: str) -> bool:
    """Whether a small m is metres: it is millions only of money, as in "$5m"."""
    return number["suffix"] == "m" and not CURRENCY.search(plain)


def _digits(body: str, *, decimal_comma: bool) -> str | None:
    """The digits of a printed number with a dot for its fraction; None if they are grouped like no number."""
    body = body.replace(" ", "").replace("'", "")
    last = max(body.rfind("."), body.rfind(","))
    if last < 0:
        return body
    mark, head, tail = body[last], body[:last], body[last + 1 :]
    other = "," if mark == "." else "."
    if other not in head and mark not in head:
        thousands = mark == ("." if decimal_comma else ",") and _GROUPED.fullmatch(f"{head},{tail}")
        return head + tail if thousands else f"{head}.{tail}"
    if other in head and mark in head:
        return None
    whole, fraction = (head, tail) if other in head else (body, "")
    if not _GROUPED.fullmatch(whole.replace(other if fraction else mark, ",")):
        return None
    return re.sub("[.,]", "", whole) + (f".{fraction}" if fraction else "")


def _is_negative(number: re.Match[str], plain: str) -> bool:
    if number["minus"] or number["trailing"]:
        return True
    if "(" not in plain:
        return False
    # brackets around all but a currency: "(12.00)", "RM (12.00)", but not "four (4)"
    around = CURRENCY.sub("", f"{plain[: number.start()]}#{plain[number.end() :]}")
    return "".join(around.split()) == "(#)"


def read_integer(leaf: Leaf, printed: str) -> int:
    value = read_decimal(leaf, printed)
    if abs(value) >= _INT64:
        raise refuse(leaf, printed, "it does not fit 64 bits")
    if value != int(value):
        raise refuse(leaf, printed, "it has a fraction")
    return int(value)


def read_float(leaf: Leaf, printed: str) -> float:
    value = float(read_decimal(leaf, printed))
    if not math.isfinite(value):
        raise refuse(leaf, printed, "it is too large")
    return value
