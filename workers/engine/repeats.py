"""A list ends where the model would go on behind an item that it has written more often than the document holds it.

A small model that has copied the last row of a table finds the rows before it likely once more, and goes round until
its answer is cut off. `schemas.repeats` says how often an item may be written. Where the items of a list are offered,
as numbers are, those that were written as often as they may are offered no more.
"""

import json
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch

from schemas.candidates import is_offered
from schemas.forms import Form, Leaf, ListForm, ObjectForm
from schemas.repeats import is_spent
from schemas.wire import dump
from workers.engine.grammar import Printed
from workers.engine.outline import More, Outline, Slot
from workers.engine.protocol import Request


@dataclass(frozen=True, slots=True)
class _Begun:
    """A list that is open: where its last item begins, and the items before that."""

    start: int
    items: tuple[Any, ...] = ()


class Repeats:
    """The items of one answer's lists so far."""

    def __init__(self, request: Request, printed: Printed) -> None:
        self._document = request.document
        self._printed = printed
        self._outline = Outline(request.form)
        self._has_offered = _has_offered(request.form)
        self._answer = b""
        self._lists: dict[str, _Begun] = {}

    def write(self, token: bytes) -> None:
        """Go on with the answer."""
        self._answer += token

    def likeliest(self, scores: torch.Tensor, token_bytes: Callable[[int], bytes]) -> int:
        """The token of the highest score that is not refused, or of all if there is none above -inf."""
        first = token = int(scores.argmax())
        left = scores
        while self.refuses(token_bytes(token)):
            left = left.index_fill(0, torch.tensor(token, device=left.device), -torch.inf)
            token = int(left.argmax())
            if left[token].isneginf():
                return first
        return token

    def refuses(self, token: bytes) -> bool:
        """Whether a list that is to end would go on, or an item be written that is offered no more."""
        goes_on = b"," in token
        if not goes_on and not self._has_offered:
            return False
        self._writes_repeat(self._outline, self._answer, self._lists)
        if not goes_on and not _offered(self._outline):
            return False
        outline, answer, lists = copy(self._outline), self._answer + token, dict(self._lists)
        return self._writes_repeat(outline, answer, lists) or self._is_used_up(outline, answer, lists)

    def _writes_repeat(self, outline: Outline, answer: bytes, lists: dict[str, _Begun]) -> bool:
        """Read on, and whether a list does behind an item that is one too many, or where none is left to offer."""
        found = False
        for part, start in outline.steps(answer):
            if isinstance(part, Slot) and isinstance(part.form, ListForm):
                lists[part.path] = _Begun(start + len(b"["))
            elif isinstance(part, More):
                begun, form = lists[part.path], part.form.item
                item = json.loads(answer[begun.start : start])
                items = (*begun.items, item)
                goes_on = answer.startswith(b",", start)
                if goes_on or _is_offered(form):
                    found |= is_spent(form, item, begun.items, self._document)
                if goes_on and _is_offered(form):
                    found |= not any(self._left(form, items))
                lists[part.path] = _Begun(start + len(b", "), items)
        return found

    def _is_used_up(self, outline: Outline, answer: bytes, lists: dict[str, _Begun]) -> bool:
        """Whether the last item of a list is, so far, the beginning of none that is still offered."""
        offered = _offered(outline)
        if not offered or offered.path not in lists:
            return False
        leaf, begun = offered.leaf, lists[offered.path]
        if answer.startswith(b"n", begun.start):
            return False
        written = answer[begun.start :]
        return not any(each.startswith(written) for each in self._left(leaf, begun.items))

    def _left(self, leaf: Leaf, items: tuple[Any, ...]) -> Iterator[bytes]:
        """What may still be written as an item behind others."""
        for each in self._printed(leaf):
            if not is_spent(leaf, each, items, self._document):
                yield dump(each).encode()


@dataclass(frozen=True, slots=True)
class _Offered:
    """An item that is offered, and the list it is of."""

    leaf: Leaf
    path: str


def _offered(outline: Outline) -> _Offered | None:
    """The item that comes next, is being written or has just been, if it is offered."""
    part, rest = outline.todo or (b"", None)
    if isinstance(part, bytes):
        part = rest[0] if rest else part
    if isinstance(part, bytes):
        return None
    form = part.form.item if isinstance(part, More) else part.form
    is_item = isinstance(part, More) or part.is_item
    return _Offered(form, part.path) if is_item and _is_offered(form) else None


def _is_offered(form: Form) -> TypeGuard[Leaf]:
    return isinstance(form, Leaf) and is_offered(form)


def _has_offered(form: Form) -> bool:
    """Whether a form has a list whose items are offered."""
    if isinstance(form, ListForm):
        return _is_offered(form.item) or _has_offered(form.item)
    return isinstance(form, ObjectForm) and any(_has_offered(field) for _, field in form.fields)
