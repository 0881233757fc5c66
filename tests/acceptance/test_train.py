"""The real command: a killed run goes on to the same weights, and samples can be looked at."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cases.slips import as_printed, slip

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., subprocess.Popen[str]]

ARCHITECTURE = """
hidden_size = 32
layers_per_stack = 1
num_heads = 2
vocab_size = 500
max_positions = 1024
"""

SCHEMA = '''
from tests.cases.slips import Slip as Base


class Slip(Base):
    """A slip."""
'''


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A directory with an architecture, a schema of one's own and labels for it."""
    (tmp_path / "tiny.toml").write_text(ARCHITECTURE)
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "slip.py").write_text(SCHEMA)
    shots = (as_printed(number) for number in range(1000, 1003))
    lines = (json.dumps({"text": shot.text, "record": shot.record}) for shot in shots)
    (schemas / "slip.jsonl").write_text("\n".join(lines))
    labels = [slip(number) for number in range(30)]
    labels[3]["gold"]["total"] = "12345.00"
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in labels))
    return tmp_path


@pytest.fixture
def command(world: Path) -> Iterator[Command]:
    """Starts `python -m pipelines.train`; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "GLEANER_SCHEMAS": str(world / "schemas"),
    }

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.train", *map(str, arguments)],
            cwd=world,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def finished(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    return output


def log(out: Path) -> Iterator[dict[str, Any]]:
    path = out / "training" / "log.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        yield json.loads(line)


def losses(out: Path) -> list[float]:
    return [line["loss"] for line in log(out) if line["kind"] == "step"]


def options(world: Path, out: Path) -> list[str | Path]:
    return [
        *("--from-scratch", world / "tiny.toml", "--data", "slip=labels.jsonl", "--synthetic", "0.5"),
        *("--synthetic-recipe", "tiny", "--steps", "60", "--tokens-per-batch", "1024", "--held-out", "4"),
        *(
            "--save-every",
            "10",
            "--evaluate-every",
            "25",
            "--dtype",
            "float32",
            "--device",
            "cpu",
            "--out",
            out,
        ),
    ]


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name in parentheses may hold anything
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def test_a_killed_run_goes_on_to_the_same_weights(world: Path, command: Command) -> None:
    whole, cut = world / "whole", world / "cut"
    first = command(*options(world, whole), "--workers", "0")
    second = command(*options(world, cut), "--workers", "1")
    deadline = time.monotonic() + 200
    while not list((cut / "training").glob("state-*[0-9]")):
        assert second.poll() is None, second.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = children(second.pid)
    assert workers
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert len(losses(cut)) < 60, "it was over before it was killed"
    output = finished(first)
    assert "slip: 26 to learn from, 3 held out, 1 left out" in output
    assert "left out for total: 1" in output
    assert "total" in (whole / "training" / "left_out.jsonl").read_text()

    stale = command(*options(world, cut), "--resume", "--lr", "0.5")
    message, _ = stale.communicate(timeout=100)
    assert stale.returncode == 1
    assert "was begun with lr 0.001, not 0.5" in message

    assert "going on after step" in finished(command("--out", cut, "--resume", "--workers", "0"))
    assert losses(cut) == losses(whole)
    assert len(losses(cut)) == 60
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()], (
        "the killed run left processes behind"
    )


def test_a_preview_prints_samples_without_training(command: Command) -> None:
    output = finished(command("--preview", "2", "--synthetic-recipe", "tiny"))
    assert output.count("=== sample ") == 2
    assert output.count("<|box_end|>") == 2
