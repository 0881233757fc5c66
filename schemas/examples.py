"""Few-shot examples: loaded, validated, and rewritten to the way their own text prints each value."""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from schemas import locate
from schemas.candidates import candidates, find_value
from schemas.errors import ExampleError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm, Path, path_text
from schemas.text import clean
from schemas.validate import to_record, wire_faults

if TYPE_CHECKING:
    from schemas.base import Schema

MIN_EXAMPLES = 2
# neighbouring characters of one number or one word
_JOINED = r"\d[.,]?\d|[^\W\d_]{2}"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A short text and its wire record, as printed in it."""

    text: str
    record: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExampleFault:
    """What is wrong with one line of an examples file; line 0 is the file itself."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field + ': ' if self.field else ''}{self.message}"


@dataclass(kw_only=True)
class Loaded:
    """The good examples of a file and the faults of the others."""

    examples: list[Example] = field(default_factory=list)
    faults: list[ExampleFault] = field(default_factory=list)


def read_examples(path: FilePath, schema: "Schema") -> Loaded:
    """Read a JSON Lines file of `{"text", "record"}`; every fault is kept, not the first alone."""
    loaded = Loaded()

    def fault(line: int, where: str, message: str) -> None:
        loaded.faults.append(ExampleFault(file=str(path), line=line, field=where, message=message))

    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as exc:
        fault(0, "", f"{exc.strerror}; write {MIN_EXAMPLES} or more lines of {{'text', 'record'}}")
        return loaded
    except UnicodeDecodeError as exc:
        fault(0, "", f"is not UTF-8: {exc.reason} at byte {exc.start}")
        return loaded
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        example, faults = parse_example(line, schema)
        for where, message in faults:
            fault(number, where, message)
        if example and not faults:
            loaded.examples.append(example)
    if not loaded.faults and len(loaded.examples) < MIN_EXAMPLES:
        fault(0, "", f"holds {len(loaded.examples)} examples; at least {MIN_EXAMPLES} are needed")
    return loaded


def load_examples(path: FilePath, schema: "Schema") -> tuple[Example, ...]:
    """The examples of a file.

    Raises:
        ExampleError: any line has a fault, or there are fewer than two.
    """
    loaded = read_examples(path, schema)
    if loaded.faults:
        raise ExampleError(
            f"the examples of {schema.name} have {len(loaded.faults)} faults; first: {loaded.faults[0]}.",
            hint=f"See all with `gleaner schemas check {schema.name}`.",
            faults=loaded.faults,
        )
    return tuple(loaded.examples)


def parse_example(line: str, schema: "Schema") -> tuple[Example | None, list[tuple[str, str]]]:
    """One line as an example, and its faults as (field, message)."""
    try:
        data = json.loads(line, parse_float=Decimal, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as exc:
        return None, [("", f"is not JSON: {exc.msg} at column {exc.colno}")]
    except ValueError as exc:
        return None, [("", str(exc))]
    if not isinstance(data, dict) or set(data) != {"text", "record"} or not isinstance(data["text"], str):
        return None, [("", 'must be {"text": "...", "record": {...}} with these two keys')]
    return make_example(data["text"], data["record"], schema)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return data


def make_example(text: str, record: Any, schema: "Schema") -> tuple[Example | None, list[tuple[str, str]]]:
    """A text and a clean record as an example, its verbatim values as the text prints them."""
    text = clean(text)
    faults: list[tuple[str, str]] = []
    printed = _as_printed(schema.form, record, text, (), faults)
    if not faults:
        found = wire_faults(schema, printed) or to_record(schema, printed).faults
        faults = [(fault.path, fault.message) for fault in found]
    if faults:
        return None, faults
    return Example(text=text, record=printed), []


def _as_printed(form: Form, value: Any, text: str, path: Path, faults: list[tuple[str, str]]) -> Any:
    if isinstance(form, ObjectForm) and isinstance(value, dict):
        return _object_as_printed(form, value, text, path, faults)
    if isinstance(form, ListForm) and isinstance(value, list):
        return [_as_printed(form.item, v, text, (*path, i), faults) for i, v in enumerate(value)]
    if isinstance(form, Leaf) and form.is_verbatim and value is not None:
        return _leaf_as_printed(form, value, text, path, faults)
    return value


def _object_as_printed(
    form: ObjectForm, value: dict[str, Any], text: str, path: Path, faults: list[tuple[str, str]]
) -> dict[str, Any]:
    names = [name for name, _ in form.wire_fields]
    faults += [
        (path_text((*path, name)), "is missing; write null if it is absent")
        for name in names
        if name not in value
    ]
    for name in value:
        if name not in names:
            is_unit = name in dict(form.fields)
            why = "is read from its sibling; leave it out" if is_unit else "is not a field of the schema"
            faults.append((path_text((*path, name)), why))
    return {
        name: _as_printed(field_form, value[name], text, (*path, name), faults)
        for name, field_form in form.wire_fields
        if name in value
    }


def _leaf_as_printed(leaf: Leaf, value: Any, text: str, path: Path, faults: list[tuple[str, str]]) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        faults.append((path_text(path), f"must be a string as printed in the text, not {value!r}"))
        return None
    wanted = clean(str(value))
    printed = (
        _text_as_printed(wanted, text) if leaf.kind is Kind.TEXT else _typed_as_printed(leaf, wanted, text)
    )
    if printed is None:
        as_kind = "" if leaf.kind is Kind.TEXT else f" as a {leaf.kind}"
        faults.append((path_text(path), f"{wanted!r} does not stand in the text{as_kind}"))
    return printed


def _text_as_printed(wanted: str, text: str) -> str | None:
    spans = [*locate.exact(text, wanted), *locate.normalised(text, wanted)]
    spans = [span for span in spans if not _is_part(text, *span)] or spans
    return text[slice(*spans[0])] if spans else None


def _typed_as_printed(leaf: Leaf, wanted: str, text: str) -> str | None:
    """One of the spellings that the model will be offered."""
    if wanted in candidates(leaf, text):
        return wanted
    spans = find_value(leaf, wanted, text)
    return text[slice(*spans[0])] if spans else None


def _is_part(text: str, start: int, end: int) -> bool:
    """Whether a span is inside a longer word or number, as "12" in "312" and "12.50", or "eur" in "euros"."""
    head, tail = text[max(0, start - 2) : start + 1], text[end - 1 : end + 2]
    return bool(re.search(rf"(?:{_JOINED})\Z", head) or re.match(_JOINED, tail))
