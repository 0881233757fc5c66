"""Joins the records of a document's windows into one, and keeps exactly the evidence of what it keeps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from schemas.forms import MEASURES, Form, Leaf, ObjectForm, Path, leaves
from schemas.locate import Span, collapse
from workers.ground import Evidence, State


@dataclass(frozen=True, kw_only=True)
class Part:
    """The wire record of a window or a whole document, with its evidence in field order."""

    record: dict[str, Any]
    evidence: list[Evidence]


def merge(form: ObjectForm, parts: Sequence[Part]) -> Part:
    """One part of the parts of one or more windows, given in the order of the document.

    Single values: the one of highest confidence that is not null; if all are null, the evidence of a doubted one.
    Lists: one after the other, without what two windows saw at the same place, or texts and choices that another
    window saw already: a party named on every page is one, a price printed twice is two. Items of one window are
    never joined.
    """
    if len(parts) == 1:
        return parts[0]
    finds = [
        _Find(part.record, (), {item.path: item for item in part.evidence}, window)
        for window, part in enumerate(parts)
    ]
    evidence: list[Evidence] = []
    record = _merge_object(form, finds, (), evidence)
    return Part(record=record, evidence=evidence)


def join(form: ObjectForm, *parts: Part) -> Part:
    """Parts of one record with different fields as a whole, in field order."""
    record = {name: value for part in parts for name, value in part.record.items()}
    order = {name: position for position, (name, _) in enumerate(form.wire_fields)}
    evidence = [item for part in parts for item in part.evidence]
    return Part(
        record={name: record[name] for name in order if name in record},
        evidence=sorted(evidence, key=lambda item: order[str(item.path[0])]),
    )


@dataclass(frozen=True)
class _Find:
    """A value at a place of one window's record."""

    value: Any
    path: Path
    evidence: dict[Path, Evidence]
    window: int

    def child(self, key: str | int) -> "_Find":
        return replace(self, value=self.value[key], path=(*self.path, key))

    @property
    def own_evidence(self) -> Evidence:
        return self.evidence[self.path]

    def doubted_items(self) -> Iterator[Evidence]:
        """What was left out of a list; it stands behind the items that the list has."""
        for index in count(len(self.value)):
            item = self.evidence.get((*self.path, index))
            if item is None:
                return
            yield item


def _merge(form: Form, finds: Sequence[_Find], path: Path, evidence: list[Evidence]) -> Any:
    present = [find for find in finds if find.value is not None]
    if isinstance(form, Leaf) or not present:
        best = max(present or finds, key=_standing)
        evidence.append(best.own_evidence._replace(path=path))
        return best.value
    if isinstance(form, ObjectForm):
        return _merge_object(form, present, path, evidence)
    items = [
        _merge(form.item, same, (*path, index), evidence)
        for index, same in enumerate(_distinct_items(form.item, present))
    ]
    doubted = [item for find in present for item in find.doubted_items()]
    evidence += [item._replace(path=(*path, index)) for index, item in enumerate(doubted, start=len(items))]
    return items


def _standing(find: _Find) -> tuple[bool, float]:
    """Of empty fields the one that a value was doubted for stands above those that are absent."""
    return find.own_evidence.state is State.DOUBTED, find.own_evidence.confidence


def _merge_object(
    form: ObjectForm, finds: Sequence[_Find], path: Path, evidence: list[Evidence]
) -> dict[str, Any]:
    return {
        name: _merge(field, [find.child(name) for find in finds], (*path, name), evidence)
        for name, field in form.wire_fields
    }


def _distinct_items(form: Form, lists: Sequence[_Find]) -> list[list[_Find]]:
    """The items of all lists in order, those that are one together."""
    groups: list[list[_Find]] = []
    # the groups that hold an item with this mark
    marked: dict[object, list[list[_Find]]] = {}
    for found in lists:
        for index in range(len(found.value)):
            item = found.child(index)
            marks = _marks(form, item)
            near = [group for mark in marks for group in marked.get(mark, ())]
            group = next((group for group in near if _is_one(form, item, group)), None)
            if group is None:
                groups.append(group := [])
            group.append(item)
            for mark in marks:
                marked.setdefault(mark, []).append(group)
    return groups


def _marks(form: Form, item: _Find) -> set[object]:
    """What two items have in common if they may be one: a field's place, or a text or choice."""
    marks: set[object] = set(_places(form, item).items())
    if isinstance(form, Leaf) and form.kind not in MEASURES:
        marks.add(collapse(item.value).casefold() if isinstance(item.value, str) else item.value)
    return marks


def _is_one(form: Form, item: _Find, group: Sequence[_Find]) -> bool:
    """Whether an item stands where those of the group do; those of one window are never one.

    A window's end may cut an object, so that one window saw only some of its fields.
    """
    if any(item.window == other.window for other in group):
        return False
    if isinstance(form, Leaf):
        return True
    places = _places(form, item).items()
    others = [_places(form, other).items() for other in group]
    return all(places <= other or places >= other for other in others)


def _places(form: Form, item: _Find) -> dict[Path, Span]:
    """Where the copied values of an item stand, by path within it; of inner lists only if there is nothing else."""
    depth = len(item.path)
    places = {
        path[depth:]: (found.start, found.end)
        for path, leaf, _ in leaves(form, item.value, item.path)
        if leaf.is_verbatim and (found := item.evidence[path]).start is not None and found.end is not None
    }
    plain = {path: span for path, span in places.items() if all(isinstance(key, str) for key in path)}
    return plain or places
