"""Where a value stands in a text; linear in the text, and spans are (start, end) in its code points."""

import string
import unicodedata
from functools import lru_cache

Span = tuple[int, int]


def collapse(text: str) -> str:
    """Runs of white space as one blank, none at the ends."""
    return " ".join(text.split())


def exact(text: str, value: str) -> list[Span]:
    """Every place where the value stands as it is, from left to right and without overlaps."""
    spans = []
    start = text.find(value) if value else -1
    while start >= 0:
        end = start + len(value)
        spans.append((start, end))
        start = text.find(value, end)
    return spans


def normalised(text: str, value: str) -> list[Span]:
    """Every place where the value stands if white space, case and canonical composition are put aside."""
    folded, origins = _folded(text)
    wanted = _folded(collapse(value))[0]
    spans = (
        (origins[start], origins[end - 1] + 1)
        for start, end in exact(folded, wanted)
        if _is_boundary(origins, start) and _is_boundary(origins, end)
    )
    return [(start, end) for start, end in spans if not _splits_mark(text, end)]


def unpunctuated(text: str, value: str) -> list[Span]:
    """Every place, in whole words, where the letters and digits of the value stand one after another.

    Signs that the value ends with are part of its place where the text has them.
    """
    folded, origins = _lettered(text)
    wanted = _lettered(value)[0]
    places = ((origins[start], origins[end - 1] + 1) for start, end in exact(folded, wanted))
    tail = value[len(value.rstrip(string.punctuation)) :]
    return [
        (start, end + len(tail) if text.startswith(tail, end) else end)
        for start, end in places
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
    ]


@lru_cache(maxsize=4)
def _lettered(text: str) -> tuple[str, list[int]]:
    """The folded text without all signs that are neither letters nor digits, and where each character comes from."""
    kept = [(char, origin) for char, origin in zip(*_folded(text), strict=True) if char.isalnum()]
    return "".join(char for char, _ in kept), [origin for _, origin in kept]


@lru_cache(maxsize=4)
def _folded(text: str) -> tuple[str, list[int]]:
    """The text for comparing, and for each of its code points the index in `text` that it comes from."""
    folded: list[str] = []
    origins: list[int] = []
    for index, char in enumerate(text):
        piece = _fold(char)
        if piece == " " and folded and folded[-1] == " ":
            continue
        folded.extend(piece)
        origins.extend([index] * len(piece))
    return "".join(folded), origins


def _fold(char: str) -> str:
    if char.isascii():
        return " " if char.isspace() else char.lower()
    if char.isspace():
        return " "
    # one character may become several: "ß" is "ss", "é" is "e" and an accent
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", char).casefold())


def _is_boundary(origins: list[int], index: int) -> bool:
    """Whether a character of the original starts or ends here, so that "s" is not half an "ß"."""
    return index in (0, len(origins)) or origins[index] != origins[index - 1]


def _splits_mark(text: str, end: int) -> bool:
    return end < len(text) and unicodedata.combining(text[end]) > 0
