"""A record as a tree to look at: fields in the order of the schema, each with the number of its evidence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.forms import Form, ListForm, ObjectForm, Path, path_text

# the place of a field among all fields, by its path without the positions of items
Ranks = Mapping[str, int]

_POSITION = re.compile(r"\[\d+\]")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A field or an item: a value, or what is below it."""

    # of an item its position, as in paths
    name: str
    path: str
    value: str = ""
    # the value says in words that there is none
    is_blank: bool = False
    below: tuple["Node", ...] = ()
    # of its evidence; None if it has none
    number: int | None = None


def ranks(form: ObjectForm | None, paths: Sequence[str]) -> Ranks:
    """The order of fields: that of the form, and of the paths of evidence where the form is not known."""
    # evidence comes in the order of fields, but knows no empty lists and no units
    known = [*(_field_paths(form) if form else ()), *(_POSITION.sub("", path) for path in paths)]
    # an object stands where its first field does
    above = (path[:end] for path in known for end in (*_ends(path), len(path)))
    return {path: rank for rank, path in enumerate(dict.fromkeys(above))}


def nodes(record: Mapping[str, Any], numbers: Mapping[str, int], order: Ranks) -> tuple[Node, ...]:
    """The fields of a record; `numbers` are those of evidence by path."""
    return tuple(_children(record, (), numbers, order))


def _children(
    value: Mapping[str, Any] | Sequence[Any], path: Path, numbers: Mapping[str, int], order: Ranks
) -> Iterator[Node]:
    pairs: list[tuple[str | int, str, Any]]
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda name: order.get(_field_path((*path, name)), len(order)))
        pairs = [(name, name, value[name]) for name in keys]
    else:
        pairs = [(index, f"[{index}]", item) for index, item in enumerate(value)]
    for key, name, item in pairs:
        at = (*path, key)
        below = tuple(_children(item, at, numbers, order)) if isinstance(item, Mapping | list) else ()
        yield Node(
            name=name,
            path=path_text(at),
            value="" if below else _shown(item),
            is_blank=item is None or item == [],
            below=below,
            number=numbers.get(path_text(at)),
        )


def _shown(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "no items" if value == [] else str(value)


def _field_paths(form: Form, path: Path = ()) -> Iterator[str]:
    if isinstance(form, ListForm):
        yield path_text(path)
        yield from _field_paths(form.item, path)
    elif isinstance(form, ObjectForm):
        for name, field in form.fields:
            yield from _field_paths(field, (*path, name))
    else:
        yield path_text(path)


def _field_path(path: Path) -> str:
    return path_text(tuple(part for part in path if isinstance(part, str)))


def _ends(path: str) -> Iterator[int]:
    return (index for index, char in enumerate(path) if char == ".")
