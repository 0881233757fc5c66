"""A small schema with a nested list, its documents, and an engine that reads them as it should."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.readers import Read
from schemas.errors import DeviceError, GrammarError
from schemas.wire import dump
from workers.engine.protocol import Request
from workers.testing import Answer

MODULE = '''
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from schemas import ExtractionSchema, SchemaSettings, Step


class Box(BaseModel):
    """How it is packed."""

    colour: str | None
    sealed: bool


class Item(BaseModel):
    """What is in it."""

    name: str
    count: int | None


class Parcel(ExtractionSchema):
    """A parcel."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(ladder=(Step(),), max_answer_tokens=512)

    receiver: str
    weight: Decimal | None = Field(ge=0)
    speed: Literal["normal", "express"]
    box: Box
    items: list[Item]
'''


def text(receiver: str, *items: str, weight: str = "1.50", speed: str = "normal") -> str:
    """A document; `items` are a count and a word."""
    return f"Parcel for {receiver}. Holds: {', '.join(items)}. Weighs {weight} kg, {speed}, red box, sealed."


def record(document: str) -> dict[str, Any]:
    """The wire record of a document."""
    found = re.search(r"for (.*?)\. Holds: (.*?)\. Weighs (\S+) kg, (\w+)", document)
    if not found:
        raise LookupError(f"no parcel is described in {document!r}")
    receiver, items, weight, speed = found.groups()
    listed = [item.split(" ", 1) for item in items.split(", ") if item]
    return {
        "receiver": receiver,
        "weight": weight,
        "speed": speed,
        "box": {"colour": "red", "sealed": True},
        "items": [{"name": name, "count": count} for count, name in listed],
    }


def answer(request: Request) -> Answer:
    """What a good model writes; a word in capitals in the document makes it fail in that way."""
    document = request.document
    if "BOOM" in document:
        return RuntimeError("boom")
    if "LOST" in document:
        return DeviceError("The device failed: it was lost.", hint="Restart the worker.")
    if "GRAMMAR" in document:
        return GrammarError("The decoder refuses the grammar.")
    if "GARBLED" in document:
        return "{"
    return dump(record(document))


def write_schema(directory: Path) -> Path:
    """The schema and its examples as files; the directory, for GLEANER_SCHEMAS."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "parcel.py").write_text(MODULE)
    texts = [text("Ann", "3 cups", "2 forks"), text("Bo & Sons", "1 rug", weight="7", speed="express")]
    lines = [dump({"text": each, "record": record(each)}) for each in texts]
    (directory / "parcel.jsonl").write_text("\n".join(lines) + "\n")
    return directory


def reads(texts: Iterable[str]) -> list[Read]:
    """Readable documents as a source would give them."""
    return [Read.done(f"/inbox/{number}.txt", "text/plain", each) for number, each in enumerate(texts)]
