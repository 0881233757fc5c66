"""Small slips with labels, and recipes that learn from them in seconds."""

import datetime
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field

from pipelines.train.recipe import Architecture, Recipe, make_recipe
from schemas import Example, ExtractionSchema

ARCHITECTURE = Architecture(
    hidden_size=32, layers_per_stack=1, num_heads=2, vocab_size=400, max_positions=512
)


class Slip(ExtractionSchema):
    """A slip."""

    shop: str = Field(description="who was paid")
    day: datetime.date | None
    total: Decimal
    kind: str | None


def slip(number: int) -> dict[str, Any]:
    """A labelled slip, its text unlike that of any other number."""
    rng = random.Random(number)
    shop = (
        f"{rng.choice(['Oak', 'Fern', 'Kettle', 'Quarry'])} {rng.choice(['Books', 'Cafe', 'Tools'])} {number}"
    )
    day = datetime.date(2020, 1, 1) + datetime.timedelta(days=rng.randint(0, 900))
    total = f"{rng.randint(1, 99)}.{rng.randint(10, 99)}"
    lines = [f"Date {day:%d %B %Y}", f"Total {total}"]
    rng.shuffle(lines)
    return {
        "text": "\n".join([shop, *lines]),
        "gold": {"shop": shop, "day": day.isoformat(), "total": total, "kind": None},
    }


def places(lines: list[Any]) -> list[tuple[str, Any]]:
    return [(f"slips.jsonl:{number}", line) for number, line in enumerate(lines, start=1)]


def as_printed(number: int) -> Example:
    line = slip(number)
    day = next(row for row in line["text"].split("\n") if row.startswith("Date "))
    return Example(text=line["text"], record={**line["gold"], "day": day.removeprefix("Date ")})


def recipe(**given: Any) -> Recipe:
    """A recipe of few small steps from scratch on labels, with evaluations and states on the way."""
    usual = {
        "architecture": ARCHITECTURE,
        "data": [("slip", "slips.jsonl")],
        "steps": 12,
        "tokens_per_batch": 1024,
        "lr": 3e-3,
        "held_out": 4,
        "evaluate_every": 5,
        "save_every": 4,
        "dtype": "float32",
    }
    return make_recipe(**{**usual, **given})


def read_log(out: Path, kind: str = "step") -> list[dict[str, Any]]:
    lines = map(json.loads, (out / "training" / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]
