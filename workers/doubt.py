"""Optional values that the model was too unsure of: the record lacks them, and their evidence keeps them."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from schemas.forms import Form, Leaf, ListForm, ObjectForm, Path, leaves
from workers.ground import State
from workers.merge import Part


def doubted(
    form: ObjectForm, record: dict[str, Any], confidence: Callable[[Path], float], below: float
) -> set[Path]:
    """The paths of values whose fields may be empty and whose confidence, 0..1, is less than `below`."""
    return {
        path
        for path, leaf, value in leaves(form, record)
        if value is not None and leaf.nullable and not leaf.is_item and confidence(path) < below
    }


def emptied(form: Form, value: Any, paths: Collection[Path], at: Path = ()) -> Any:
    """A wire value with null at the paths."""
    if isinstance(form, Leaf) or value is None:
        return None if at in paths else value
    if isinstance(form, ListForm):
        return [emptied(form.item, item, paths, (*at, index)) for index, item in enumerate(value)]
    return {name: emptied(field, value[name], paths, (*at, name)) for name, field in form.wire_fields}


def leave_empty(form: ObjectForm, part: Part, below: float) -> Part:
    """The part without its doubted values; their evidence says so and holds what the model wrote."""
    confidences = {item.path: item.confidence for item in part.evidence}
    paths = doubted(form, part.record, confidences.__getitem__, below)
    if not paths:
        return part
    return replace(
        part,
        record=emptied(form, part.record, paths),
        evidence=[
            item._replace(state=State.DOUBTED) if item.path in paths else item for item in part.evidence
        ],
    )
