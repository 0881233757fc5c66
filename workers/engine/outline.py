"""Where an answer stands in its form: which values are whole, which one is open, and what is still to be written.

What is to be written is a linked list, so that a guess may go on from any place without changing it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from schemas.forms import Form, Leaf, ListForm, ObjectForm

_WHOLE = re.compile(rb'"(?:[^"\\]|\\.)*"|null|true|false', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a value; items of a list share a path."""

    form: Form
    path: str
    is_item: bool = False


@dataclass(frozen=True, slots=True)
class More:
    """The place behind an item of a list: another, or its end."""

    form: ListForm
    path: str
    num_items: int

    @property
    def another(self) -> tuple["Part", ...]:
        """What is written from here if there is another item."""
        return b", ", Slot(self.form.item, self.path, True), More(self.form, self.path, self.num_items + 1)


Part = bytes | Slot | More
Todo: TypeAlias = "tuple[Part, Todo] | None"


class Outline:
    """Follows an answer as it grows."""

    def __init__(self, form: ObjectForm) -> None:
        self.todo: Todo = (Slot(form, ""), None)
        # bytes of the answer that are behind the first part of `todo`
        self.position = 0

    def read(self, answer: bytes) -> Iterator[tuple[Slot, bytes]]:
        """Go on in the answer, of which more is known than before; the values passed, and the lists entered."""
        for part, start in self.steps(answer):
            if isinstance(part, Slot) and not isinstance(part.form, ObjectForm):
                yield part, answer[start : self.position]

    def steps(self, answer: bytes) -> Iterator[tuple["Part", int]]:
        """Go on in the answer; the parts passed, and where each began."""
        while self.todo:
            part, rest = self.todo
            taken = _take(part, rest, answer, self.position)
            if taken is None:
                return
            start = self.position
            self.todo, self.position = taken
            yield part, start


def then(parts: tuple[Part, ...], rest: Todo) -> Todo:
    """Parts before what is to be written behind them."""
    for part in reversed(parts):
        rest = part, rest
    return rest


def fields_of(slot: Slot, form: ObjectForm) -> tuple[Part, ...]:
    """What is written for an object: its keys and the places of its values."""
    parts: list[Part] = []
    separator = "{"
    for name, field in form.wire_fields:
        parts.append(f"{separator}{json.dumps(name, ensure_ascii=False)}: ".encode())
        parts.append(Slot(field, f"{slot.path}.{name}", slot.is_item))
        separator = ", "
    return (*parts, b"}") if parts else (b"{}",)


def items_of(slot: Slot, form: ListForm) -> tuple[Part, ...]:
    """What is written for a list that is not empty."""
    return b"[", Slot(form.item, slot.path, True), More(form, slot.path, 1)


def _take(part: Part, rest: Todo, answer: bytes, position: int) -> tuple[Todo, int] | None:
    """What is to be written once a part is taken from the answer, and the place behind it; None if it is open."""
    if isinstance(part, bytes):
        return (rest, position + len(part)) if answer.startswith(part, position) else None
    if isinstance(part, More):
        if answer.startswith(b"]", position):
            return rest, position + 1
        return (then(part.another, rest), position) if answer.startswith(b",", position) else None
    return _take_value(part, rest, answer, position)


def _take_value(slot: Slot, rest: Todo, answer: bytes, position: int) -> tuple[Todo, int] | None:
    form = slot.form
    if isinstance(form, Leaf) or answer.startswith(b"n", position):
        whole = _WHOLE.match(answer, position)
        return (rest, whole.end()) if whole else None
    if isinstance(form, ObjectForm):
        return (then(fields_of(slot, form), rest), position) if len(answer) > position else None
    if answer.startswith(b"[]", position):
        return rest, position + 2
    return (then(items_of(slot, form), rest), position) if len(answer) > position + 1 else None
