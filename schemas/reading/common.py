"""What the readers of numbers, dates and currencies share."""

import unicodedata
from collections.abc import Hashable
from typing import Final, TypeVar

from schemas.errors import ConversionError
from schemas.forms import Kind, Leaf

T = TypeVar("T", bound=Hashable)


_EXPECTED: Final = {
    Kind.TEXT: ("a text", "Acme Ltd"),
    Kind.DATE: ("a date", "2018-12-25, 25/12/2018, 25 Dec 2018"),
    Kind.DATETIME: ("a date and time", "2018-12-25T14:33:00, 25/12/2018 2:33 PM"),
    Kind.DECIMAL: ("a number", "RM 1,234.50, 1.234,50 EUR, (12.00), 85k"),
    Kind.INTEGER: ("a whole number", "12, 1,200 pcs"),
    Kind.FLOAT: ("a number", "12.5 kg, -0.75"),
    Kind.CURRENCY: ("a currency", "EUR, €, US$, RM"),
}

LETTER = r"[^\W\d_]"


def refuse(leaf: Leaf, printed: str, reason: str) -> ConversionError:
    expected, example = _EXPECTED[leaf.kind]
    return ConversionError(
        f"{printed!r} does not read as {expected}: {reason}.",
        hint=f"What reads: {example}.",
        printed=printed,
        expected=expected,
    )


def only(values: set[T], leaf: Leaf, printed: str) -> T:
    if len(values) != 1:
        raise refuse(leaf, printed, "there are several in it" if values else "there is none in it")
    return values.pop()


_PLAIN: Final = str.maketrans("−–‐‑﹣－’‘ʼ´`．，（）٫٬", "------'''''.,().'")


def plain_digits(text: str) -> str:
    """Digits, blanks, minus and separators of every script as ASCII; no offset moves."""
    if text.isascii():
        return text.replace("`", "'")
    text = text.translate(_PLAIN)
    return text.translate({ord(char): _plain_char(char) for char in set(text) if not char.isascii()})


def _plain_char(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    return str(unicodedata.decimal(char, char))
