"""A list ends where the model would go on behind an item that it has written more often than the document holds it.

A small model that has copied the last row of a table finds the rows before it likely once more, and goes round until
its answer is cut off. So an object is written as often as the rarest of what it copies is printed, a number or date of
a list as often as it is printed, and a text or choice of a list once.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch

from schemas.forms import MEASURES, Form, Leaf, ListForm, ObjectForm, Path
from workers.engine.outline import More, Outline, Slot
from workers.engine.protocol import Request


@dataclass(frozen=True, slots=True)
class _Begun:
    """A list that is open: where its last item begins, and the items before that."""

    start: int
    items: tuple[Any, ...] = ()


class Repeats:
    """The items of one answer's lists so far."""

    def __init__(self, request: Request) -> None:
        self._document = request.document
        self._outline = Outline(request.form)
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
        """Whether a list that is to end would go on."""
        if b"," not in token:
            return False
        self._goes_on(self._outline, self._answer, self._lists)
        return self._goes_on(copy(self._outline), self._answer + token, dict(self._lists))

    def _goes_on(self, outline: Outline, answer: bytes, lists: dict[str, _Begun]) -> bool:
        """Read on, and whether a list does behind an item that is one too many."""
        found = False
        for part, start in outline.steps(answer):
            if isinstance(part, Slot) and isinstance(part.form, ListForm):
                lists[part.path] = _Begun(start + len(b"["))
            elif isinstance(part, More) and answer.startswith(b",", start):
                begun = lists[part.path]
                item = json.loads(answer[begun.start : start])
                found |= _is_spent(part.form.item, item, begun.items, self._document)
                lists[part.path] = _Begun(start + len(b", "), (*begun.items, item))
        return found


def _most(form: Form, item: Any, document: str) -> float:
    """How often an item may be written."""
    copied = [
        document.count(value) for leaf, value in _leaves(form, item) if leaf.is_verbatim and value is not None
    ]
    if isinstance(form, Leaf) and form.kind not in MEASURES:
        return 1
    return max(1, min(copied)) if copied else math.inf


def without_repeats(form: Form, value: Any, document: str) -> tuple[Any, list[Path]]:
    """A wire value without the items that are one too many, and the lists that one was left out of."""
    if isinstance(form, ObjectForm) and value is not None:
        fields = {name: without_repeats(field, value[name], document) for name, field in form.wire_fields}
        ended = [(name, *path) for name, (_, paths) in fields.items() for path in paths]
        return {name: kept for name, (kept, _) in fields.items()}, ended
    if not isinstance(form, ListForm) or value is None:
        return value, []
    once = [
        item for index, item in enumerate(value) if not _is_spent(form.item, item, value[:index], document)
    ]
    items = [without_repeats(form.item, item, document) for item in once]
    ended = [(index, *path) for index, (_, paths) in enumerate(items) for path in paths]
    return [kept for kept, _ in items], [*([()] if len(once) < len(value) else []), *ended]


def _is_spent(form: Form, item: Any, before: Sequence[Any], document: str) -> bool:
    """Whether an item is one too many behind those before it."""
    number = before.count(item) + 1
    return number > 1 and number > _most(form, item, document)


def _leaves(form: Form, value: Any) -> Iterator[tuple[Leaf, Any]]:
    if isinstance(form, Leaf):
        yield form, value
    elif isinstance(form, ListForm):
        for item in value or ():
            yield from _leaves(form.item, item)
    elif value is not None:
        for name, field in form.wire_fields:
            yield from _leaves(field, value[name])
