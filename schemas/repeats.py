"""Items of a list that are written more often than the document holds them.

An object may be written as often as the rarest of what it copies is printed, a number or date of a list as often as it
is printed, and a text or choice of a list once.
"""

import math
from collections.abc import Sequence
from typing import Any

from schemas.forms import MEASURES, Form, Leaf, ListForm, ObjectForm, Path, leaves


def is_spent(form: Form, item: Any, before: Sequence[Any], document: str) -> bool:
    """Whether an item is one too many behind those before it."""
    number = before.count(item) + 1
    return number > 1 and number > _most(form, item, document)


def without_repeats(form: Form, value: Any, document: str) -> tuple[Any, list[Path]]:
    """A wire value without the items that are one too many, and the lists that one was left out of."""
    if isinstance(form, ObjectForm) and value is not None:
        fields = {name: without_repeats(field, value[name], document) for name, field in form.wire_fields}
        ended = [(name, *path) for name, (_, paths) in fields.items() for path in paths]
        return {name: kept for name, (kept, _) in fields.items()}, ended
    if not isinstance(form, ListForm) or value is None:
        return value, []
    once = [
        item for index, item in enumerate(value) if not is_spent(form.item, item, value[:index], document)
    ]
    items = [without_repeats(form.item, item, document) for item in once]
    ended = [(index, *path) for index, (_, paths) in enumerate(items) for path in paths]
    return [kept for kept, _ in items], [*([()] if len(once) < len(value) else []), *ended]


def _most(form: Form, item: Any, document: str) -> float:
    """How often an item may be written."""
    if isinstance(form, Leaf) and form.kind not in MEASURES:
        return 1
    values = (value for _, leaf, value in leaves(form, item) if leaf.is_verbatim and value is not None)
    return max(1, min(map(document.count, values), default=math.inf))
