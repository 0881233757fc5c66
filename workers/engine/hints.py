"""What a prompt's examples tell of where a value stands: the text before and behind it, by the value's path."""

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.examples import Example
from schemas.forms import WireValue

# bytes of text before a value that are compared
LEFT = 24
_RIGHT = 2
_START, _END = b"\x02", b"\x03"
# digits are alike, and so are small and capital letters
_SHAPES = bytes.maketrans(b"123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"000000000abcdefghijklmnopqrstuvwxyz")


class Around(NamedTuple):
    """The shapes of what stands before and behind a value."""

    left: bytes
    right: bytes


class Text:
    """A text as its characters are written in an answer, with marks at its ends, and the shape of that."""

    def __init__(self, text: str) -> None:
        self.written = _START + escaped(text) + _END
        self.shape = self.written.translate(_SHAPES)

    def around(self, start: int, end: int) -> Around:
        """What stands around a part."""
        return Around(self.shape[max(0, start - LEFT) : start], self.shape[end : end + _RIGHT])


@dataclass(frozen=True)
class Hints:
    """By path: the surroundings of values, the last example's first, and how often each was written."""

    around: dict[str, list[Around]] = field(default_factory=dict)
    values: dict[str, Counter[bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Hints":
        """The hints of examples, kept for the next request with the same."""
        key = tuple(map(id, examples))
        # its own examples are kept alive, so that no other has their ids
        found = _kept.get(key) or _kept.setdefault(key, (tuple(examples), cls._collect(examples)))
        if len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
        return found[1]

    @classmethod
    def _collect(cls, examples: Sequence[Example]) -> "Hints":
        hints = cls()
        for example in reversed(examples):
            text = Text(example.text)
            for path, value, around in _leaves(example.record, "", text, _Cursor()):
                hints.values.setdefault(path, Counter())[value] += 1
                if around:
                    hints.around.setdefault(path, []).append(around)
        return hints


_MOST_KEPT = 64
_kept: OrderedDict[tuple[int, ...], tuple[tuple[Example, ...], Hints]] = OrderedDict()


def escaped(text: str) -> bytes:
    """The characters of a text as JSON writes them."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace")


@dataclass
class _Cursor:
    """In a list, the end of the value before: items stand one behind another."""

    position: int = 0


def _leaves(
    value: WireValue, path: str, text: Text, cursor: _Cursor
) -> Iterator[tuple[str, bytes, Around | None]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}", text, cursor)
    elif isinstance(value, list):
        inside = _Cursor()
        for part in value:
            yield from _leaves(part, path, text, inside)
    else:
        yield (
            path,
            json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"),
            _place(value, text, cursor),
        )


def _place(value: str | bool | None, text: Text, cursor: _Cursor) -> Around | None:
    if not isinstance(value, str):
        return None
    raw = escaped(value)
    start = text.written.find(raw, cursor.position)
    if start < 0:
        start = text.written.find(raw)
    if start < 0:
        return None
    cursor.position = start + len(raw)
    return text.around(start, start + len(raw))
