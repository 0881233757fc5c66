"""A list ends where the model would go on behind an item that it has written more often than the document holds it.

A small model that has copied the last row of a table finds the rows before it likely once more, and goes round until
its answer is cut off. `schemas.repeats` says how often an item may be written.
"""

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch

from schemas.forms import ListForm
from schemas.repeats import is_spent
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
                found |= is_spent(part.form.item, item, begun.items, self._document)
                lists[part.path] = _Begun(start + len(b", "), (*begun.items, item))
        return found
