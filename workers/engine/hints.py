"""What a prompt's examples tell of where a value stands: the text before and behind it, by the value's path."""

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple

from schemas.examples import Example
from schemas.forms import WireValue
from schemas.locate import Span
from schemas.text import words

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
        self._text = text
        self.written = _START + escaped(text) + _END
        self.shape = self.written.translate(_SHAPES)

    def around(self, start: int, end: int) -> Around:
        """What stands around a part."""
        return Around(self.shape[max(0, start - LEFT) : start], self.shape[end : end + _RIGHT])

    def places(self, raw: bytes, *, whole: bool = True) -> Iterator[Span]:
        """Where a part stands between the edges of words, or behind one if it need not be whole."""
        start = self.written.find(raw)
        while start >= 0:
            end = start + len(raw)
            if start in self._edges and (not whole or end in self._edges):
                yield start, end
            start = self.written.find(raw, start + 1)

    @cached_property
    def _edges(self) -> frozenset[int]:
        sizes = map(_size, words(self._text))
        return frozenset(accumulate(sizes, initial=len(_START)))


@dataclass(frozen=True)
class Hints:
    """By path: the surroundings of values, the last example's first, and how often each was written."""

    around: dict[str, list[Around]] = field(default_factory=dict)
    values: dict[str, Counter[bytes]] = field(default_factory=dict)
    # of paths that an example has several texts of: whether it prints each as often as it is written
    own_places: dict[str, bool] = field(default_factory=dict)

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
            written: dict[str, Counter[bytes]] = {}
            for path, value, around in _leaves(example.record, "", text, _Cursor()):
                written.setdefault(path, Counter())[value] += 1
                if around:
                    hints.around.setdefault(path, []).append(around)
            for path, values in written.items():
                hints.values.setdefault(path, Counter()).update(values)
                hints._count_places(path, values, text)
        return hints

    def has_own_places(self, path: str, *, unless_seen: bool) -> bool:
        """Whether each text of a path has a place of its own; `unless_seen` if no example has several."""
        return self.own_places.get(path, unless_seen)

    def _count_places(self, path: str, values: Counter[bytes], text: Text) -> None:
        texts = {value[1:-1]: number for value, number in values.items() if value.startswith(b'"')}
        if sum(texts.values()) > 1:
            has_own = all(number <= len(list(text.places(raw))) for raw, number in texts.items())
            self.own_places[path] = has_own and self.own_places.get(path, True)


_MOST_KEPT = 64
_kept: OrderedDict[tuple[int, ...], tuple[tuple[Example, ...], Hints]] = OrderedDict()


def escaped(text: str) -> bytes:
    """The characters of a text as JSON writes them."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace")


@lru_cache(maxsize=10_000)
def _size(word: str) -> int:
    return len(escaped(word))


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
