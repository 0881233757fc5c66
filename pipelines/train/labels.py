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
_HOW_TO_LABEL = 'Give JSON Lines of {"text", "gold"} in clean values, as in an examples file.'
_HOW_TO_STORE = "Extract documents of it with `gleaner run` and look them over, or give --data."


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
    # what the database held when the run began, with its places: it may hold something else when the run goes on
    stored: tuple[tuple[str, Any], ...] = ()

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


def make_labels(
    schema: Schema, lines: Iterable[tuple[str, Any]], stored: Iterable[tuple[str, Any]] = ()
) -> Labels:
    """Ground every `{"text", "gold"}`; one that does not satisfy its schema or does not ground is left out.

    All labels of a schema are given at once, so that no text is learned from one file and held out of another.

    Raises:
        ConfigurationError: fewer than two are left, or none but the schema's own examples.
    """
    lines, stored = tuple(lines), tuple(stored)
    examples: dict[str, Example] = {}
    left_out: list[LeftOut] = []
    for place, line in (*lines, *stored):
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
            hint=_HOW_TO_LABEL if lines else _HOW_TO_STORE,
        )
    train, held_out = _split(list(examples.values()), schema)
    return Labels(schema=schema, train=train, held_out=held_out, left_out=tuple(left_out), stored=stored)


def keep_stored(directory: Path, labels: Labels) -> None:
    """Write what the database held where `read_stored` finds it."""
    lines = (json.dumps({"place": place, "line": line}, ensure_ascii=False) for place, line in labels.stored)
    _stored(directory, labels.schema.name).write_text(
        "".join(f"{line}\n" for line in lines), encoding="utf-8"
    )


def read_stored(directory: Path, schema: str) -> Iterator[tuple[str, Any]]:
    """The labels of a schema that the database held when the run of a directory began.

    Raises:
        ConfigurationError: they cannot be read.
    """
    for _, kept in read_file(_stored(directory, schema)):
        yield kept["place"], kept["line"]


def _stored(directory: Path, schema: str) -> Path:
    return directory / f"stored_{schema}.jsonl"


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


def _split(examples: list[Example], schema: Schema) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Apart by the hash of the text, so that the order of the lines is nothing to it.

    The schema's own examples are not held out: they stand in the prompts of those that are.
    """
    order = sorted(examples, key=lambda e: hashlib.sha256(e.text.encode()).digest())
    shown = {example.text for example in schema.examples}
    unseen = [example for example in order if example.text not in shown]
    if not unseen:
        raise ConfigurationError(
            f"All {len(order)} labels of {schema.name} are examples of the schema, so none can be held out.",
            hint="Give labels of other documents.",
        )
    held_out = unseen[: max(1, round(len(order) * _HELD_OUT_SHARE))]
    apart = {example.text for example in held_out}
    return tuple(example for example in order if example.text not in apart), tuple(held_out)
