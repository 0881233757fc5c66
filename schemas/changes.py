"""What changed between two versions of a schema, and what of it the model has to be asked for again.

The fields of a version are stored as a flat mapping, `nodes`: `line_items[].amount` -> what it is. Names found
through `Renamed` are the same field. Names, order and descriptions say nothing about what a document holds, so
they change no answer; neither does how a printed value is read, for that is done again without the model.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.forms import Form, Leaf, ListForm, ObjectForm, Path

Node = dict[str, Any]
Nodes = Mapping[str, Node]


class ChangeKind(StrEnum):
    """What may happen to a field."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    RETYPED = "retyped"
    # it is read, limited or nullable otherwise
    READ_OTHERWISE = "read otherwise"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happened to one field; `path` is that of the new version, of a removed field that of the old one."""

    kind: ChangeKind
    path: str
    # what it was: its path if renamed, its type if retyped, else what is otherwise now
    was: str = ""
    # whether the model has to be asked for it again
    is_asked: bool = False

    @property
    def field(self) -> str:
        """The field of the schema in which it is."""
        return self.path.replace("[", ".").partition(".")[0]

    def __str__(self) -> str:
        return f"{self.path} {self.kind}" + (f" (was {self.was})" if self.was else "")


def nodes(form: ObjectForm) -> dict[str, Node]:
    """Every field by its path, as JSON."""
    # sorted, for JSON that is compared as text
    return dict(sorted(_nodes(form, "")))


def changes(old: Nodes, form: ObjectForm) -> list[Change]:
    """What makes the form out of the nodes of an older version, in the order of the form, removals last."""
    found: list[Change] = []
    met: set[str] = set()
    _compare(old, form, "", "", found, met)
    gone = [path for path in old if path not in met and not path.endswith("[]")]
    tops = [path for path in gone if not any(path.startswith((f"{top}.", f"{top}[")) for top in gone)]
    return found + [Change(kind=ChangeKind.REMOVED, path=path) for path in sorted(tops)]


def asked_again(found: Iterable[Change]) -> list[str]:
    """The fields of the schema that are new or changed to the model, each once."""
    return list(dict.fromkeys(change.field for change in found if change.is_asked))


def names(form: ObjectForm, name: str) -> list[str]:
    """The names under which older versions may have a field: its own, and former ones that no other field has."""
    fields = dict(form.fields)
    return [name, *(each for each in fields[name].previously if each not in fields)]


def former(form: ObjectForm, name: str, present: Container[str]) -> str | None:
    """The name that a field had where these are present."""
    return next((each for each in names(form, name) if each in present), None)


def carry(form: ObjectForm, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Path, Path]]:
    """An older wire record under the names of the form, and where each of its leaves was before."""
    places: dict[Path, Path] = {}
    return _carry_object(form, record, (), (), places), places


def _nodes(form: Form, path: str) -> Iterator[tuple[str, Node]]:
    if path:
        yield path, _node(form)
    if isinstance(form, ListForm):
        yield from _nodes(form.item, f"{path}[]")
    elif isinstance(form, ObjectForm):
        for name, field in form.fields:
            yield from _nodes(field, f"{path}.{name}".removeprefix("."))


def _node(form: Form) -> Node:
    if isinstance(form, ObjectForm):
        return {"type": "object", "nullable": form.nullable}
    if isinstance(form, ListForm):
        return {"type": "list", "nullable": form.nullable, "max_items": form.max_items}
    return {
        "type": "unit" if form.unit_of else str(form.kind),
        "nullable": form.nullable,
        "max_length": form.max_length,
        "pattern": form.pattern,
        "choices": sorted(form.choices),
        "day_first": form.day_first,
        "decimal_comma": form.decimal_comma,
    }


def _compare(
    old: Nodes, form: ObjectForm, path: str, old_path: str, found: list[Change], met: set[str]
) -> None:
    above = f"{old_path}." if old_path else ""
    siblings = {each.removeprefix(above) for each in old if each.startswith(above)}
    for name, field in form.fields:
        at = f"{path}.{name}".removeprefix(".")
        was = former(form, name, siblings)
        if was is None:
            is_asked = not (isinstance(field, Leaf) and field.unit_of)
            found.append(Change(kind=ChangeKind.ADDED, path=at, is_asked=is_asked))
            continue
        if was != name:
            found.append(Change(kind=ChangeKind.RENAMED, path=at, was=above + was))
        _compare_node(old, field, at, above + was, found, met)


def _compare_node(
    old: Nodes, form: Form, path: str, old_path: str, found: list[Change], met: set[str]
) -> None:
    met.add(old_path)
    was, is_ = old[old_path], _node(form)
    if was["type"] != is_["type"] or was.get("choices") != is_.get("choices"):
        said = ", ".join(was.get("choices") or ()) or was["type"]
        is_asked = is_["type"] != "unit"
        found.append(Change(kind=ChangeKind.RETYPED, path=path, was=said, is_asked=is_asked))
        met.update(each for each in old if each.startswith((f"{old_path}.", f"{old_path}[")))
        return
    # a version that was stored before a limit was noted says nothing of it
    otherwise = [name for name in is_ if was.get(name, is_[name]) != is_[name]]
    if otherwise:
        found.append(Change(kind=ChangeKind.READ_OTHERWISE, path=path, was=_said(was, otherwise)))
    if isinstance(form, ListForm):
        _compare_node(old, form.item, f"{path}[]", f"{old_path}[]", found, met)
    elif isinstance(form, ObjectForm):
        _compare(old, form, path, old_path, found, met)


def _said(node: Node, names: Iterable[str]) -> str:
    return ", ".join(f"{name} {str(node.get(name)).lower()}" for name in names)


def _carry_object(
    form: ObjectForm, record: Mapping[str, Any], path: Path, old_path: Path, places: dict[Path, Path]
) -> dict[str, Any]:
    carried = {}
    for name, field in form.wire_fields:
        was = former(form, name, record)
        if was is not None:
            carried[name] = _carry(field, record[was], (*path, name), (*old_path, was), places)
    return carried


def _carry(form: Form, value: Any, path: Path, old_path: Path, places: dict[Path, Path]) -> Any:
    if isinstance(form, ObjectForm) and isinstance(value, Mapping):
        return _carry_object(form, value, path, old_path, places)
    if isinstance(form, ListForm) and isinstance(value, list):
        return [
            _carry(form.item, item, (*path, index), (*old_path, index), places)
            for index, item in enumerate(value)
        ]
    places[path] = old_path
    return value
