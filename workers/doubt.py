"""Values that the model was too unsure of: the record does without them, and their evidence keeps them.

An optional value becomes empty, and a value in a list is left out of it. In the evidence the values that a list has
come first, as they are numbered in the record, and those left out of it behind them.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

from schemas.forms import Form, Leaf, ListForm, ObjectForm, Path, leaves
from workers.ground import Evidence, State
from workers.merge import Part


def doubted(
    form: ObjectForm, record: dict[str, Any], confidence: Callable[[Path], float], below: float
) -> set[Path]:
    """The paths of values that a record may lack and whose confidence, 0..1, is less than `below`."""
    return {
        path
        for path, leaf, value in leaves(form, record)
        if value is not None and (leaf.nullable or leaf.is_item) and confidence(path) < below
    }


def emptied(form: Form, value: Any, paths: Collection[Path], at: Path = ()) -> Any:
    """A wire value without what is at the paths."""
    if isinstance(form, Leaf) or value is None:
        return None if at in paths else value
    if isinstance(form, ListForm):
        kept = ((*at, index) for index in range(len(value)) if (*at, index) not in paths)
        return [emptied(form.item, value[path[-1]], paths, path) for path in kept]
    return {name: emptied(field, value[name], paths, (*at, name)) for name, field in form.wire_fields}


def leave_empty(form: ObjectForm, part: Part, below: float) -> Part:
    """The part without its doubted values; their evidence says so and holds what the model wrote."""
    confidences = {item.path: item.confidence for item in part.evidence}
    paths = doubted(form, part.record, confidences.__getitem__, below)
    if not paths:
        return part
    evidence = [item._replace(state=State.DOUBTED) if item.path in paths else item for item in part.evidence]
    return Part(record=emptied(form, part.record, paths), evidence=list(_numbered(evidence)))


def _numbered(evidence: Sequence[Evidence]) -> Iterator[Evidence]:
    """Evidence with the values of each list numbered anew: those that it has, then the doubted ones."""
    for above, group in groupby(evidence, key=_list_of):
        if above is None:
            yield from group
        else:
            in_order = sorted(group, key=lambda item: item.state is State.DOUBTED)
            yield from (item._replace(path=(*above, index)) for index, item in enumerate(in_order))


def _list_of(item: Evidence) -> Path | None:
    """The path of the list that a value is in; None if it is a field."""
    return item.path[:-1] if isinstance(item.path[-1], int) else None
