"""Where a value stands in a text; linear in the text, and spans are (start, end) in its code points."""

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
