"""Labelled documents: read, checked against their schema, grounded, and split in two."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.base import Schema
from schemas.errors import ConfigurationError
from schemas.examples import Example, make_example

# of the labels of a schema
_HELD_OUT_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A label that cannot be learned from."""

    schema: str
    # a line of a file, or a document of the database
    place: str
    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is known of the documents of one schema."""

    schema: Schema
    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    left_out: tuple[LeftOut, ...] = ()

    def __str__(self) -> str:
        split = f"{len(self.train)} to learn from, {len(self.held_out)} held out"
        return f"{self.schema.name}: {split}, {len(self.left_out)} left out"

    @property
    def digest(self) -> str:
        """SHA-256 over what is learned from and what is held out."""
        parts = [[[e.text, e.record] for e in group] for group in (self.train, self.held_out)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def reasons(self) -> Counter[str]:
        """How many labels were left out for a fault of which field."""
        return Counter(fault.field or fault.message for fault in self.left_out)


def read_file(path: Path) -> Iterator[tuple[str, Any]]:
    """The place and content of every line of a JSON Lines file; a line that is no JSON is a string.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigurationError(
            f"The labels {path} cannot be read: {reason}.",
            hint='Give JSON Lines of {"text", "gold"} as --data SCHEMA=FILE.',
        ) from exc
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", _parse(line)


def make_labels(schema: Schema, lines: Iterable[tuple[str, Any]]) -> Labels:
    """Ground every `{"text", "gold"}`; one that does not satisfy its schema or does not ground is left out.

    Raises:
        ConfigurationError: fewer than two are left.
    """
    examples: dict[str, Example] = {}
    left_out: list[LeftOut] = []
    for place, line in lines:
        example, field, message = _ground(schema, line)
        if example and example.text in examples:
            example, message = None, "the text stands twice in the data"
        if example:
            examples[example.text] = example
        else:
            left_out.append(LeftOut(schema=schema.name, place=place, field=field, message=message))
    if len(examples) < 2:
        found = (
            f"; the first was left out because {left_out[0].field} {left_out[0].message}" if left_out else ""
        )
        raise ConfigurationError(
            f"{len(examples)} labels of {schema.name} can be learned from{found}.",
            hint='Give JSON Lines of {"text", "gold"} in clean values, as in an examples file.',
        )
    train, held_out = _split(list(examples.values()))
    return Labels(schema=schema, train=train, held_out=held_out, left_out=tuple(left_out))


def _parse(line: str) -> Any:
    try:
        return json.loads(line, parse_float=Decimal)
    except ValueError:
        return line


def _ground(schema: Schema, line: Any) -> tuple[Example | None, str, str]:
    """The example, or the field and the reason why there is none."""
    if not isinstance(line, dict) or not isinstance(line.get("text"), str) or "gold" not in line:
        return None, "", 'is not a JSON object with "text" and "gold"'
    example, faults = make_example(line["text"], line["gold"], schema, is_loose=True)
    if example is None:
        return None, *faults[0]
    return example, "", ""


def _split(examples: list[Example]) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Apart by the hash of the text, so that the order of the lines is nothing to it."""
    order = sorted(examples, key=lambda e: hashlib.sha256(e.text.encode()).digest())
    num_held_out = max(1, round(len(order) * _HELD_OUT_SHARE))
    return tuple(order[num_held_out:]), tuple(order[:num_held_out])
