"""Guesses at values: what the document prints where such a value stands.

A value that has begun is continued from the places in the document where its beginning occurs. One that has not is
looked for where its surroundings are those of the same value in the examples, or in the row before. Everything is
found in the document as an answer would write it, so nothing has to be escaped or converted.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.engine.grammar import Printed, copied_name
from workers.engine.hints import LEFT, Around, Hints, Text, escaped
from workers.engine.outline import More, Slot

# places that are compared, of many
_MOST_PLACES = 12
_MOST_HINTS = 3
# how much of the text before a value is looked for: the longest that is found counts
_LENGTHS = (2, 3, 4, 6, 8, 11, 16, LEFT)
# as long as this, the text before a value makes its place likely
_SURE = 4
# white space, as an answer writes it
_BLANK = re.compile(rb"(?:[ \xa0\x03]|\\n|\\t)+$")
# copied from anywhere; all else is copied from among what is printed of its kind
_FREE = (Kind.TEXT, Kind.INFERRED)
_NEWLINE = rb"\n"
_NUMBER = re.compile(rb"0[0.,]*")


@dataclass
class Trail:
    """The values that were written so far, or are supposed to have been."""

    # the end of the last one in the document
    position: int = 0
    # by path, what stood around the last one of a list, and where it began
    around: dict[str, Around] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)

    def fork(self) -> "Trail":
        """The same, to be gone on with for a guess."""
        return Trail(self.position, dict(self.around), dict(self.starts))


# by where it starts, in order, the ends of what is printed
Spans = dict[int, list[int]]


class Found(NamedTuple):
    """A place in the document, the likeness of what stands before it, and what should stand behind the value."""

    start: int
    likeness: int
    right: bytes


class Guesser:
    """Guesses at the values of one document."""

    def __init__(self, document: str, hints: Hints, printed: Printed) -> None:
        self._text = Text(document)
        self._hints = hints
        self._printed = printed
        # by the path of a leaf, and by the name of what it may copy
        self._spans: dict[str, Spans] = {}
        self._anchors: dict[tuple[str, int, Around | None], Found | None] = {}

    def note(self, slot: Slot, value: bytes, trail: Trail) -> None:
        """Remember where a written value of a list stands, or that a list has begun."""
        if isinstance(slot.form, ListForm):
            # it may stand before what was written last
            trail.position = 0
        if not (slot.is_item and isinstance(slot.form, Leaf) and slot.form.is_verbatim):
            return
        raw = value[1:-1]
        starts = self._occurrences(raw, self._starts_of(slot, slot.form), trail.position)
        start = next(starts, self._text.written.find(raw))
        if value[:1] == b'"' and start >= 0:
            trail.position = end = start + len(raw)
            trail.around[slot.path] = self._text.around(start, end)
            trail.starts[slot.path] = start

    def has_items(self, slot: Slot, form: ListForm, trail: Trail) -> bool:
        """Whether a list has a first item, as far as one can see."""
        first = _first_leaf(Slot(form.item, slot.path, True))
        return first is None or self._anchor(first, trail) is not None

    def has_more(self, more: More, trail: Trail) -> bool:
        """Whether another item follows: its place is found, and the line is like that of the one before."""
        first = _first_leaf(Slot(more.form.item, more.path, True))
        if more.num_items >= more.form.max_items or first is None:
            return False
        found, last = self._anchor(first, trail), trail.starts.get(first.path)
        if found is None or last is None:
            return False
        if isinstance(more.form.item, Leaf):
            return found.start - trail.position <= LEFT
        return abs(self._num_numbers(found.start) - self._num_numbers(last)) <= 1

    def value(self, slot: Slot, prefix: bytes, trail: Trail) -> bytes | None:
        """The value of a leaf that begins so, None where there is no telling."""
        leaf = slot.form
        if not isinstance(leaf, Leaf):
            return None
        if leaf.kind in (Kind.CHOICE, Kind.BOOLEAN):
            return self._usual(slot, prefix)
        if not prefix and self._is_absent(slot, leaf, trail):
            return b"null"
        if prefix.startswith(b"n"):
            return b"null"
        content = self._copied(slot, leaf, prefix[1:], trail)
        return b'"%b"' % content if content else None

    def _usual(self, slot: Slot, prefix: bytes) -> bytes | None:
        values = self._hints.values.get(slot.path, Counter())
        fitting = [value for value in values if value.startswith(prefix)]
        if fitting:
            return max(fitting, key=lambda value: values[value])
        leaf = slot.form
        choices = leaf.choices if isinstance(leaf, Leaf) else ()
        written = [b'"%b"' % escaped(choice) for choice in choices] or [b"true", b"false"]
        return next((value for value in written if value.startswith(prefix)), None)

    def _is_absent(self, slot: Slot, leaf: Leaf, trail: Trail) -> bool:
        values = self._hints.values.get(slot.path)
        num_absent = values[b"null"] if values else 0
        if not leaf.wire_nullable or not values or not num_absent:
            return False
        found = self._anchor(slot, trail)
        return found is None or found.likeness < _SURE or 2 * num_absent > values.total()

    def _copied(self, slot: Slot, leaf: Leaf, begun: bytes, trail: Trail) -> bytes | None:
        if leaf.kind is Kind.INFERRED and len(begun) < _SURE:
            return None
        if begun:
            from_ = trail.position if slot.is_item else 0
            starts = list(self._occurrences(begun, self._starts_of(slot, leaf), from_))
            found = self._best(slot, starts or list(self._occurrences(begun)), trail)
        else:
            found = self._anchor(slot, trail)
        if found is None:
            return None
        if leaf.kind in _FREE:
            return self._words(found, leaf, len(begun))
        return self._number(found, slot, leaf, begun)

    def _words(self, found: Found, leaf: Leaf, least: int) -> bytes:
        """From a place to the end of what should be copied there: its line, if nothing else is known."""
        text, shape = self._text.written, self._text.shape
        most = min(found.start + leaf.max_length, len(text) - 1)
        from_ = found.start + max(least, 1)
        ends = [shape.find(right, from_, most) for right in (found.right, _NEWLINE) if right]
        end = min((end for end in ends if end >= 0), default=most)
        return _BLANK.sub(b"", text[found.start : end])

    def _number(self, found: Found, slot: Slot, leaf: Leaf, begun: bytes) -> bytes | None:
        """What is printed at a place, or little behind it; of several spellings the one that ends as it should."""
        spans = self._spans_of(slot, leaf)
        start = found.start
        if not begun and start not in spans:
            starts = list(spans)
            index = bisect_left(starts, start)
            if index == len(starts) or starts[index] - start > _SURE:
                return None
            start = starts[index]
        ends = [end for end in spans.get(start, ()) if end - start >= len(begun)]
        if not ends:
            return None
        shape, right = self._text.shape, found.right
        end = next((end for end in ends if right and shape.startswith(right, end)), ends[0])
        return self._text.written[start:end]

    def _starts_of(self, slot: Slot, leaf: Leaf) -> Spans | None:
        """Where a value of a leaf may start, None if everywhere."""
        return None if leaf.kind in _FREE else self._spans_of(slot, leaf)

    def _spans_of(self, slot: Slot, leaf: Leaf) -> Spans:
        """Where what is printed of a leaf's kind stands."""
        found = self._spans.get(slot.path)
        if found is None:
            name = copied_name(leaf)
            if name not in self._spans:
                self._spans[name] = self._places(self._printed(leaf))
            found = self._spans[slot.path] = self._spans[name]
        return found

    def _places(self, printed: Sequence[str]) -> Spans:
        places: Spans = {}
        for each in map(escaped, printed):
            for start in self._occurrences(each, most=64):
                places.setdefault(start, []).append(start + len(each))
        return {start: sorted(places[start]) for start in sorted(places)}

    def _occurrences(
        self, part: bytes, among: Spans | None = None, from_: int = 0, most: int = _MOST_PLACES
    ) -> Iterator[int]:
        text = self._text.written
        start = text.find(part, from_)
        while start >= 0 and most:
            if among is None or start in among:
                yield start
                most -= 1
            start = text.find(part, start + 1)

    def _best(self, slot: Slot, starts: Sequence[int], trail: Trail) -> Found | None:
        """The first place before which the text is most like that of the hints."""
        hints = self._around(slot, trail)
        shape = self._text.shape
        best: Found | None = None
        for start in starts:
            left = shape[max(0, start - LEFT) : start]
            likeness, right = 0, b""
            for hint in hints:
                alike = _likeness(left, hint.left)
                if alike > likeness:
                    likeness, right = alike, hint.right
            if best is None or likeness > best.likeness:
                best = Found(start, likeness, right)
        return best

    def _anchor(self, slot: Slot, trail: Trail) -> Found | None:
        """Where a value should begin of which nothing is written yet."""
        from_, before = (trail.position, trail.around.get(slot.path)) if slot.is_item else (0, None)
        key = slot.path, from_, before
        if key not in self._anchors:
            self._anchors[key] = self._find_anchor(self._around(slot, trail), from_)
        return self._anchors[key]

    def _find_anchor(self, hints: Sequence[Around], from_: int) -> Found | None:
        best: Found | None = None
        for left, right in hints:
            longer = bisect_right(_LENGTHS, best.likeness) if best else 0
            # what is found is found without its first bytes too
            index = bisect_left(_LENGTHS, True, longer, key=lambda n: self._find(left[-n:], from_) < 0)
            if index > longer:
                wanted = left[-_LENGTHS[index - 1] :]
                best = Found(self._find(wanted, from_) + len(wanted), len(wanted), right)
        return best

    def _find(self, left: bytes, from_: int) -> int:
        """Where a text stands that may be the end of the value before; nought bytes stand nowhere."""
        return self._text.shape.find(left, max(0, from_ - len(left))) if left else -1

    def _around(self, slot: Slot, trail: Trail) -> list[Around]:
        before = trail.around.get(slot.path) if slot.is_item else None
        hints = self._hints.around.get(slot.path, [])[:_MOST_HINTS]
        return [before, *hints] if before else hints

    def _num_numbers(self, start: int) -> int:
        """The numbers from a place to the end of its line."""
        shape = self._text.shape
        end = shape.find(_NEWLINE, start)
        return len(_NUMBER.findall(shape, start, end if end >= 0 else len(shape)))


def _first_leaf(slot: Slot) -> Slot | None:
    while isinstance(slot.form, ObjectForm):
        first = next(iter(slot.form.wire_fields), None)
        if first is None:
            return None
        slot = Slot(first[1], f"{slot.path}.{first[0]}", True)
    return slot if isinstance(slot.form, Leaf) and slot.form.is_verbatim else None


def _likeness(one: bytes, other: bytes) -> int:
    """About the length of the end that two texts have in common."""
    likeness = 0
    for length in _LENGTHS:
        wanted = other[-length:]
        if not one.endswith(wanted):
            break
        likeness = len(wanted)
    return likeness
