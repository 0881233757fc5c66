"""Labels: documents with the values that people read in them, and few-shot examples made of such."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.evaluate.values import GoldReader
from pipelines.readers import Read
from schemas.base import Schema
from schemas.errors import ConfigurationError, DocumentError
from schemas.examples import MIN_EXAMPLES, Example, make_example
from schemas.forms import ListForm
from schemas.text import clean

_LINE = '{"text": "...", "gold": {...}} or {"origin": "file.txt", "gold": {...}}'


@dataclass(frozen=True, kw_only=True)
class Label:
    """A document and its values, of all fields or some."""

    # its id or origin, else `line 3`
    name: str
    # None, with the reason, if it cannot be read
    text: str | None
    gold: dict[str, Any]
    error: DocumentError | None = None


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A file of labels."""

    labels: tuple[Label, ...]
    # SHA-256 of the file
    digest: str
    # values that do not read as their field's type, which count as not found
    unread: tuple[str, ...]


def load_labels(path: Path, schema: Schema, samples: Callable[[], Iterable[Read]]) -> Labels:
    """The labels of a JSON Lines file; `samples` gives the documents of lines that name an origin.

    Raises:
        ConfigurationError: the file cannot be read, or lines of it have faults.
    """
    data = _read_bytes(path)
    reader = _Reader(schema=schema, samples=samples)
    labels, faults, unread = [], [], []
    for number, line in _lines(path, data):
        label, gold = reader.label(number, line)
        labels.append(label)
        faults += [f"{path.name}:{number}: {fault}" for fault in gold.faults]
        unread += [f"{path.name}:{number}: {each}" for each in gold.unread]
    if faults or not labels:
        first = f"has {len(faults)} faults; first: {faults[0]}" if faults else "holds no labels"
        raise ConfigurationError(f"{path} {first}.", hint=f"A line is {_LINE}, gold in clean values.")
    return Labels(labels=tuple(labels), digest=hashlib.sha256(data).hexdigest(), unread=tuple(unread))


def load_shots(path: Path, schema: Schema, labels: Labels) -> tuple[Schema, int]:
    """The schema with the examples of a file instead of its own, and how many lines were left out.

    Lines are as in examples or labels with texts, where a field left out is null. What does not satisfy the schema,
    does not stand in its text or is one of `labels` is left out.

    Raises:
        ConfigurationError: the file cannot be read, or fewer than two examples are left.
    """
    tested = {label.text for label in labels.labels}
    lines = [line for _, line in _lines(path, _read_bytes(path))]
    shots = [shot for line in lines if (shot := _shot(line, schema)) and shot.text not in tested]
    if len(shots) < MIN_EXAMPLES:
        raise ConfigurationError(
            f"{path} holds {len(shots)} usable examples of {schema.name} in {len(lines)} lines; "
            f"{MIN_EXAMPLES} are needed.",
            hint='Write lines of {"text": "...", "record": {...}} whose values stand in the text.',
        )
    return Schema(schema.model, shots, schema.settings), len(lines) - len(shots)


def _shot(line: dict[str, Any], schema: Schema) -> Example | None:
    text, given = line.get("text"), line.get("record", line.get("gold"))
    if not isinstance(text, str) or not isinstance(given, dict):
        return None
    empty: dict[str, Any] = {
        name: [] if isinstance(form, ListForm) else None for name, form in schema.form.wire_fields
    }
    return make_example(text, empty | given, schema, is_loose=True)[0]


@dataclass(frozen=True, kw_only=True)
class _Reader:
    schema: Schema
    samples: Callable[[], Iterable[Read]]

    @cached_property
    def reads(self) -> Mapping[str, list[Read]]:
        """The samples by the last part of their origin, as `tickets.csv#row=1`."""
        by_name: dict[str, list[Read]] = {}
        for read in self.samples():
            by_name.setdefault(PurePosixPath(read.origin).name, []).append(read)
        return by_name

    def label(self, number: int, line: dict[str, Any]) -> tuple[Label, GoldReader]:
        reader = GoldReader()
        text, error = self.document(line, reader)
        gold = self.gold(line.get("gold"), reader)
        name = str(line.get("id") or line.get("origin") or f"line {number}")
        return Label(name=name, text=text, gold=gold, error=error), reader

    def document(self, line: dict[str, Any], reader: GoldReader) -> tuple[str | None, DocumentError | None]:
        if isinstance(line.get("text"), str):
            return clean(line["text"]), None
        if "origin" not in line:
            reader.faults.append("has neither text nor origin")
            return None, None
        named = self.reads.get(str(line["origin"]), [])
        if len(named) != 1:
            reader.faults.append(f"{len(named)} samples are named {line['origin']!r}")
            return None, None
        return named[0].text, named[0].error

    def gold(self, given: Any, reader: GoldReader) -> dict[str, Any]:
        fields = dict(self.schema.form.fields)
        if not isinstance(given, dict) or not given:
            reader.faults.append("gold must be an object with one field or more")
            return {}
        unknown = given.keys() - fields.keys()
        reader.faults += [f"{name} is no field; there are {', '.join(fields)}" for name in sorted(unknown)]
        return {
            name: reader.read(form, given[name], (name,)) for name, form in fields.items() if name in given
        }


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(
            f"{path} cannot be read: {exc.strerror}.", hint="Name another file."
        ) from exc


def _lines(path: Path, data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON Lines with their numbers."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_float=Decimal)
        except ValueError as exc:
            raise ConfigurationError(
                f"{path}:{number} is not JSON: {exc}.", hint=f"A line is {_LINE}."
            ) from exc
        if not isinstance(value, dict):
            raise ConfigurationError(f"{path}:{number} is not an object.", hint=f"A line is {_LINE}.")
        yield number, value
