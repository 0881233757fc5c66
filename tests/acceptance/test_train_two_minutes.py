"""Two minutes of training, with a kill in the middle, teach a model that knew nothing to read a field.

Every document holds three numbers, so a grammar that allows nothing but the document leaves a blind guess one in
three at best. The numbers that are asked for at the end stand in no document that was learned from.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Cli, wait_until

STEPS = 1000
SAVE_EVERY = 50
TIMEOUT_S = 1200
ARCHITECTURE = """
hidden_size = 128
layers_per_stack = 1
num_heads = 4
vocab_size = 300
max_positions = 256
# half as deep as usual: copying is learned in half the steps
L_cycles = 1
L_bp_cycles = [1, 1]
"""
MODULE = '''
from typing import ClassVar

from pydantic import Field

from schemas import ExtractionSchema, SchemaSettings, Step


class Delivery(ExtractionSchema):
    """A note that comes with a delivery."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(ladder=(Step(max_shots=2),), max_answer_tokens=24)

    order: str = Field(description="number of the order")
'''


def delivery(rng: random.Random, numbers: list[str], num_others: int) -> dict[str, Any]:
    """A labelled note with the number of an order among others of the same kind."""
    names = ["order", *rng.sample(["client", "phone"], num_others)]
    found = dict(zip(names, rng.sample(numbers, len(names)), strict=True))
    lines = [f"{name} {number}" for name, number in found.items()]
    rng.shuffle(lines)
    return {"text": "\n".join(lines), "gold": {"order": found["order"]}}


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def gleaner(tmp_path: Path) -> Iterator[Cli]:
    """`gleaner` in a directory with an architecture, a schema, labels to learn from and labels never seen."""
    rng = random.Random(0)
    numbers = [str(number) for number in range(100, 1000)]
    rng.shuffle(numbers)
    unseen, seen = numbers[:100], numbers[100:]
    (tmp_path / "small.toml").write_text(ARCHITECTURE)
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "delivery.py").write_text(MODULE)
    shots = [delivery(rng, seen, 2) for _ in range(2)]
    write(schemas / "delivery.jsonl", [{"text": shot["text"], "record": shot["gold"]} for shot in shots])
    # half of them with one number alone: what copying is, is learned before which to copy
    labels = {line["text"]: line for n in range(2400) for line in [delivery(rng, seen, max(0, n % 4 - 1))]}
    write(tmp_path / "labels.jsonl", list(labels.values()))
    write(tmp_path / "unseen.jsonl", [delivery(rng, unseen, 2) for _ in range(60)])
    made = Cli(tmp_path, {"schemas": str(schemas)})
    yield made
    made.stop_all()


def recipe(out: str, steps: int) -> list[str]:
    return [
        *("train", "--from-scratch", "small.toml", "--data", "delivery=labels.jsonl"),
        *("--steps", str(steps), "--tokens-per-batch", "2048", "--lr", "3e-3", "--ema", "0.95"),
        *("--dtype", "float32", "--device", "cpu", "--held-out", "48"),
        *("--evaluate-every", "100", "--save-every", str(SAVE_EVERY), "--out", out),
    ]


def read_log(out: Path, kind: str) -> list[dict[str, Any]]:
    path = out / "training" / "log.jsonl"
    # the last line may be half written
    *whole, _ = path.read_text().split("\n") if path.exists() else [""]
    return [line for line in map(json.loads, whole) if line["kind"] == kind]


def saved_step(out: Path) -> int:
    """The step of the newest state, 0 if there is none."""
    states = (out / "training").glob("state-" + "[0-9]" * 8)
    return max((int(state.name.removeprefix("state-")) for state in states), default=0)


def kill_after_a_state(gleaner: Cli, out: Path) -> int:
    """Begin the run and kill it some steps after a state was saved; the step of that state."""
    process = gleaner.start(*recipe(out.name, STEPS))

    def is_past_a_state() -> bool:
        assert process.poll() is None, gleaner.log
        steps = read_log(out, "step")
        # not at one itself, which could be saved just before the kill
        return bool(steps) and steps[-1]["step"] % SAVE_EVERY > 0 and saved_step(out) >= 100

    wait_until(is_past_a_state, "a state after which the run goes on", TIMEOUT_S)
    process.kill()
    process.wait()
    return saved_step(out)


def f1(gleaner: Cli, model: str) -> float:
    """Over the documents that were never seen."""
    figures = json.loads(gleaner("eval", "delivery", "unseen.jsonl", "--model", model, "--json").ok.out)
    assert figures["num_documents"] == 60
    return float(figures["overall"]["f1"])


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_two_minutes_of_training_survive_a_kill_and_teach_a_field(gleaner: Cli) -> None:
    out = gleaner.directory / "trained"
    saved = kill_after_a_state(gleaner, out)
    before = read_log(out, "step")
    assert 100 <= saved < len(before) < STEPS
    assert not (out / "config.json").exists()

    resumed = gleaner.start("train", "--resume", "--out", "trained", "--device", "cpu")
    assert resumed.wait(TIMEOUT_S) == 0, gleaner.log
    assert f"going on after step {saved}" in gleaner.log
    steps, evaluations = read_log(out, "step"), read_log(out, "evaluation")
    assert [line["step"] for line in steps] == list(range(1, STEPS + 1))
    assert [line["step"] for line in evaluations] == list(range(100, STEPS + 1, 100))
    # those after the state were run twice
    assert [line["loss"] for line in steps[: len(before)]] == [line["loss"] for line in before]
    card = (out / "README.md").read_text()
    best = min(evaluations, key=lambda line: line["loss"])
    assert f"averaged weights of step {best['step']:,}" in card
    assert f"{STEPS:,} steps in" in card
    assert saved_step(out) == 0, "states are left behind"

    assert gleaner(*recipe("untrained", 1)).ok
    assert f1(gleaner, "untrained") < 0.5
    assert f1(gleaner, "trained") > 0.8
