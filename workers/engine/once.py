"""What a list copies from one place it does not copy from there again, so that no row is written twice.

A small model that has written a row finds the same row likely once more. Which fields a place is for one item alone
in is read from the examples: a description is, a category printed above several rows is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property

from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from schemas.locate import Span
from workers.engine.hints import Hints, Text
from workers.engine.outline import Outline, Slot
from workers.engine.protocol import Request

# by path, the places that are taken
_Taken = Mapping[str, Sequence[Span]]


class Once:
    """The places of the document that one answer's lists have taken."""

    def __init__(self, request: Request) -> None:
        self._document = request.document
        self._paths = frozenset(_paths(request.form, Hints.of(request.examples)))
        self._outline = Outline(request.form)
        self._answer = b""
        self._taken: _Taken = {}

    def write(self, token: bytes) -> None:
        """Go on with the answer."""
        if self._paths:
            self._answer += token

    def refuses(self, token: bytes) -> bool:
        """Whether a value that goes on so could only be copied from a place that is taken."""
        if not self._paths:
            return False
        for slot, value in self._outline.read(self._answer):
            self._taken = self._take(slot, value, self._taken) or self._taken
        # most tokens are in the middle of something else
        if b'"' not in token and self._open(self._outline, self._taken) is None:
            return False
        outline, answer, taken = copy(self._outline), self._answer + token, self._taken
        for slot, value in outline.read(answer):
            after = self._take(slot, value, taken)
            if after is None:
                return True
            taken = after
        path, begun = self._open(outline, taken), answer[outline.position :]
        if path is None or not begun.startswith(b'"') or begun == b'"':
            return False
        return not any(self._free(path, begun[1:], taken, whole=False))

    def _open(self, outline: Outline, taken: _Taken) -> str | None:
        """The path of the value that is being written, if places of it are taken."""
        part = outline.todo[0] if outline.todo else None
        return part.path if isinstance(part, Slot) and part.path in taken else None

    def _take(self, slot: Slot, value: bytes, taken: _Taken) -> _Taken | None:
        """What is taken with a whole value, too; None if it has no place left."""
        if slot.path not in self._paths or not value.startswith(b'"'):
            return taken
        place = next(self._free(slot.path, value[1:-1], taken, whole=True), None)
        return {**taken, slot.path: (*taken.get(slot.path, ()), place)} if place else None

    def _free(self, path: str, raw: bytes, taken: _Taken, *, whole: bool) -> Iterator[Span]:
        """Where a value stands, or one that begins so, and nothing of it is taken."""
        others = taken.get(path, ())
        for start, end in self._text.places(raw, whole=whole):
            if all(end <= other_start or other_end <= start for other_start, other_end in others):
                yield start, end

    @cached_property
    def _text(self) -> Text:
        return Text(self._document)


def _paths(form: Form, hints: Hints, path: str = "", *, is_item: bool = False) -> Iterator[str]:
    """Of the texts of a list and the first ones of its rows, those of which the examples print every one."""
    if isinstance(form, ObjectForm):
        for name, field in form.wire_fields:
            yield from _paths(field, hints, f"{path}.{name}", is_item=is_item)
    elif isinstance(form, ListForm):
        naming = _naming(form.item)
        # a plain list is one of different things, unless the examples say otherwise
        is_plain = not naming and not is_item
        if naming is not None and hints.has_own_places(f"{path}{naming}", unless_seen=is_plain):
            yield f"{path}{naming}"
        if isinstance(form.item, ObjectForm):
            yield from _paths(form.item, hints, path, is_item=True)


def _naming(item: Form) -> str | None:
    """The path, within an item, of the text that names it."""
    if isinstance(item, ObjectForm):
        return next((f".{name}" for name, field in item.wire_fields if _is_text(field)), None)
    return "" if _is_text(item) else None


def _is_text(form: Form) -> bool:
    return isinstance(form, Leaf) and form.kind is Kind.TEXT
