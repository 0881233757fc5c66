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


def make_example(
    text: str, record: Any, schema: "Schema", *, is_loose: bool = False
) -> tuple[Example | None, list[tuple[str, str]]]:
    """A text and a clean record as an example, its verbatim values as the text prints them.

    If `is_loose`, a value of free text may be printed with other punctuation than the record has.
    """
    text = clean(text)
    printer = _Printer(text, is_loose=is_loose)
    printed, faults = printer.value(schema.form, record, ()), printer.faults
    if not faults:
        found = wire_faults(schema, printed) or to_record(schema, printed).faults
        faults = [(fault.path, fault.message) for fault in found]
    if faults:
        return None, faults
    return Example(text=text, record=printed), []


class _Printer:
    """Turns clean values into those that a text prints; what it does not print is a fault."""

    def __init__(self, text: str, *, is_loose: bool) -> None:
        self.faults: list[tuple[str, str]] = []
        self._text = text
        self._is_loose = is_loose

    def value(self, form: Form, value: Any, path: Path) -> Any:
        """The value as printed, of a form at a path."""
        if isinstance(form, ObjectForm) and isinstance(value, dict):
            return self._object(form, value, path)
        if isinstance(form, ListForm) and isinstance(value, list):
            return [self.value(form.item, v, (*path, i)) for i, v in enumerate(value)]
        if isinstance(form, Leaf) and form.is_verbatim and value is not None:
            return self._leaf(form, value, path)
        return value

    def _object(self, form: ObjectForm, value: dict[str, Any], path: Path) -> dict[str, Any]:
        names = [name for name, _ in form.wire_fields]
        self.faults += [
            (path_text((*path, name)), "is missing; write null if it is absent")
            for name in names
            if name not in value
        ]
        for name in value:
            if name not in names:
                is_unit = name in dict(form.fields)
                why = "is read from its sibling; leave it out" if is_unit else "is not a field of the schema"
                self.faults.append((path_text((*path, name)), why))
        return {
            name: self.value(field_form, value[name], (*path, name))
            for name, field_form in form.wire_fields
            if name in value
        }

    def _leaf(self, leaf: Leaf, value: Any, path: Path) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            self.faults.append((path_text(path), f"must be a string as printed in the text, not {value!r}"))
            return None
        wanted = clean(str(value))
        is_text = leaf.kind is Kind.TEXT
        printed = self._free_text(wanted) if is_text else _typed_as_printed(leaf, wanted, self._text)
        if printed is None:
            as_kind = "" if is_text else f" as a {leaf.kind}"
            self.faults.append((path_text(path), f"{wanted!r} does not stand in the text{as_kind}"))
        return printed

    def _free_text(self, wanted: str) -> str | None:
        text = self._text
        spans = [*locate.exact(text, wanted), *locate.normalised(text, wanted)]
        if not spans and self._is_loose:
            spans = locate.unpunctuated(text, wanted)
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
