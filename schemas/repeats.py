"""Items of a list that are written more often than the document holds them.

An object may be written as often as the rarest of what it copies is printed, a number or date of a list as often as it
is printed, and a text or choice of a list once.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.forms import MEASURES, Form, Leaf, ObjectForm, Path, leaves


def is_spent(form: Form, item: Any, before: Sequence[Any], document: str) -> bool:
    """Whether an item is one too many behind those before it."""
    number = before.count(item) + 1
    return number > 1 and number > _most(form, item, document)


class Kept(NamedTuple):
    """A wire value without the items that are one too many."""

    value: Any
    # the lists that one was left out of
    ended: list[Path]
    # where each value stood as it was written, by its path now
    origins: dict[Path, Path]


def without_repeats(form: Form, value: Any, document: str) -> Kept:
    """Leave out of a wire value the items that are one too many."""
    kept = Kept(None, [], {})
    return kept._replace(value=_keep(form, value, document, ((), ()), kept))


def _keep(form: Form, value: Any, document: str, place: tuple[Path, Path], kept: Kept) -> Any:
    """What is left of the value at a place, now and as written; the rest of `kept` is added to."""
    now, written = place
    kept.origins[now] = written
    if value is None or isinstance(form, Leaf):
        return value
    if isinstance(form, ObjectForm):
        return {
            name: _keep(field, value[name], document, ((*now, name), (*written, name)), kept)
            for name, field in form.wire_fields
        }
    once = [
        (index, item)
        for index, item in enumerate(value)
        if not is_spent(form.item, item, value[:index], document)
    ]
    if len(once) < len(value):
        kept.ended.append(now)
    return [
        _keep(form.item, item, document, ((*now, number), (*written, index)), kept)
        for number, (index, item) in enumerate(once)
    ]


def _most(form: Form, item: Any, document: str) -> float:
    """How often an item may be written."""
    if isinstance(form, Leaf) and form.kind not in MEASURES:
        return 1
    values = (value for _, leaf, value in leaves(form, item) if leaf.is_verbatim and value is not None)
    return max(1, min(map(document.count, values), default=math.inf))
