"""The installed `gleaner` in processes of its own, with a tiny checkpoint and a schema of two short fields."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from schemas import Registry

GLEANER = Path(sys.executable).with_name("gleaner")
TIMEOUT_S = 120

MODULE = '''
from typing import ClassVar, Literal

from pydantic import Field

from schemas import ExtractionSchema, SchemaSettings, Step


class Note(ExtractionSchema):
    """A short note."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(ladder=(Step(),), max_answer_tokens=64)

    name: str | None = Field(description="who wrote it", max_length=12)
    mood: Literal["good", "bad"] = Field(description="how they are")
'''
EXAMPLES = """
{"text": "Ann is glad.", "record": {"name": "Ann", "mood": "good"}}
{"text": "Bo is angry.", "record": {"name": "Bo", "mood": "bad"}}
"""


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> "Ran":
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err, self.err
        return self


@dataclass
class Cli:
    """Runs `gleaner` in a directory with settings that the test alone gives."""

    directory: Path
    settings: dict[str, str]
    # of a command
    timeout_s: float = TIMEOUT_S
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str | Path, cwd: Path | None = None, **settings: str) -> Ran:
        """Run a command to its end; `settings` are GLEANER_* in small letters."""
        ran = subprocess.run(
            self._command(arguments),
            cwd=cwd or self.directory,
            env=self.environment(settings),
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def start(self, *arguments: str | Path, **settings: str) -> subprocess.Popen[str]:
        """A command that goes on; its output is in `gleaner.log`, and it is killed at the end of the test."""
        with (self.directory / "gleaner.log").open("a") as log:
            process = subprocess.Popen(
                self._command(arguments),
                cwd=self.directory,
                env=self.environment(settings),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                # tests that run in the background of a shell ignore Ctrl-C, and so would their children
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )
        self.started.append(process)
        return process

    @property
    def log(self) -> str:
        return (self.directory / "gleaner.log").read_text()

    def rows(self, sql: str, **settings: str) -> list[list[str]]:
        """The rows that `gleaner query` prints, without the header."""
        return [
            line.split(",") for line in self("query", sql, "-f", "csv", **settings).ok.out.splitlines()[1:]
        ]

    def value(self, sql: str, **settings: str) -> str:
        """The only value of the answer."""
        ((value,),) = self.rows(sql, **settings)
        return value

    def stop_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _command(self, arguments: Sequence[str | Path]) -> list[str]:
        return [str(GLEANER), *map(str, arguments)]

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        """That of this process, but for GLEANER_*."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
        given = {f"GLEANER_{name.upper()}": value for name, value in (self.settings | settings).items()}
        return clean | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | given


def wait_until(true: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for: {what}"
        time.sleep(0.03)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with random weights."""
    from workers.engine import placeholder

    catalog = Registry.load()
    examples = [example for name in catalog.names() for example in catalog.get(name).examples]
    texts = [text for example in examples for text in (example.text, str(example.record))]
    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    placeholder.make(path, texts)
    return path


@pytest.fixture(scope="session")
def note_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the schema `note`."""
    directory = tmp_path_factory.mktemp("schemas")
    (directory / "note.py").write_text(MODULE)
    (directory / "note.jsonl").write_text(EXAMPLES)
    return directory


def make_cli(directory: Path, checkpoint: Path, note_schema: Path) -> Cli:
    return Cli(directory, {"model": str(checkpoint), "schemas": str(note_schema)})


@pytest.fixture
def cli(tmp_path: Path, checkpoint: Path, note_schema: Path) -> Iterator[Cli]:
    """`gleaner` in an empty directory; rows go to the SQLite file below it."""
    made = make_cli(tmp_path, checkpoint, note_schema)
    yield made
    made.stop_all()


@pytest.fixture
def migrated_url(postgres_store: Engine) -> str:
    """The URL of a migrated PostgreSQL database."""
    return postgres_store.url.render_as_string(hide_password=False)


def write_notes(directory: Path, num: int) -> Path:
    """Readable documents that differ."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(num):
        (directory / f"note{number:03}.txt").write_text(f"Note {number}. Kim saw {number * 7} birds.")
    return directory
