"""The README is true: its SQL runs on both databases, and its schema is made and run as it is written."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.ingest import ingest
from pipelines.readers import Read, read
from pipelines.sources.files import FileSource
from schemas import Registry
from schemas.errors import EmptyDocumentError
from schemas.examples import make_example
from schemas.wire import dump
from tests.acceptance.conftest import GLEANER, TIMEOUT_S, Cli
from workers.embedded import work_off
from workers.engine.protocol import Request
from workers.runtime import Runtime, set_runtime
from workers.settings import Settings
from workers.testing import ScriptedEngine

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block and what stands before it, up to the block before."""

    heading: str
    language: str
    before: str
    text: str


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks in their order."""
    heading, end = "", 0
    for fence in re.finditer(r"^```(\w*)\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        before = markdown[end : fence.start()]
        headings = re.findall(r"^#+ (.*)$", before, re.MULTILINE)
        heading, end = (headings or [heading])[-1], fence.end()
        yield Block(heading, fence[1], before, fence[2])


BLOCKS = list(blocks(README))
STATEMENTS = [block.text.strip().removesuffix(";") for block in BLOCKS if block.language == "sql"]
# the tables that are shown under statements
SHOWN = {
    block.text.strip().removesuffix(";"): below.text
    for block, below in pairwise(BLOCKS)
    if block.language == "sql" and below.text.startswith("┏")
}
TORN = "A receipt that was torn in two."


def test_blocks_are_found() -> None:
    found = list(blocks("# A\n```sh\nls\n```\n## B\nSay `x.py`:\n```python\nx = 1\n```\n"))
    assert [(block.heading, block.language, block.text) for block in found] == [
        ("A", "sh", "ls\n"),
        ("B", "python", "x = 1\n"),
    ]
    assert "`x.py`" in found[1].before
    assert STATEMENTS


@cache
def samples() -> dict[str, tuple[list[Read], dict[str, str]]]:
    """The documents of the catalog's samples, and what a good model writes for each: by schema."""
    registry = Registry.load()
    found = {}
    for name in registry.names():
        entry, schema = registry.entry(name), registry.get(name)
        reads = [one for file in FileSource([entry.samples_dir]) for one in read(file, text_column="text")]
        lines = (entry.file.parent / "labels" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        gold = {line["origin"]: line["gold"] for line in map(json.loads, lines)}
        answers = {}
        for one in reads:
            assert one.text is not None
            example, faults = make_example(one.text, gold[Path(one.origin).name], schema)
            assert example is not None, faults
            answers[one.text] = dump(example.record)
        found[name] = (reads, answers)
    return found


def held_in(window: str, value: Any) -> Any:
    """What of a record stands in a window of its document."""
    if isinstance(value, dict):
        return {name: held_in(window, each) for name, each in value.items()}
    if isinstance(value, list):
        return [each for each in value if each in window]
    return value if value and value in window else None


@pytest.fixture
def filled(request: pytest.FixtureRequest, store: Engine, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the rows of all samples of the catalog."""
    url = store.url.render_as_string(hide_password=False)
    answers = {text: answer for _, answers in samples().values() for text, answer in answers.items()}
    answers[TORN] = "{"

    def answer(asked: Request) -> str:
        if asked.document in answers:
            return answers[asked.document]
        whole = next(text for text in answers if asked.document in text)
        return dump(held_in(asked.document, json.loads(answers[whole])))

    settings = Settings(_env_file=None, database_url=url, data_dir=tmp_path)
    runtime = Runtime(settings, engine=ScriptedEngine(answer, max_positions=20_000))
    set_runtime(runtime)
    bad = [
        Read.done("inbox/torn.txt", "text/plain", TORN),
        Read.failed("inbox/blank.pdf", "application/pdf", EmptyDocumentError("There is no text in it.")),
    ]
    for name, (reads, _) in samples().items():
        given = [*reads, *bad] if name == "receipt" else reads
        batch_id = ingest(runtime.store, given, runtime.registry.get(name), runtime.checkpoint)
        work_off(runtime, batch_id)
    yield url
    set_runtime(None)
    runtime.store.dispose()


def test_every_statement_runs_on_both_databases(filled: str, cli: Cli) -> None:
    for statement in STATEMENTS:
        answer = json.loads(cli("query", statement, "--format", "json", database_url=filled).ok.out)
        # a threshold may leave nothing over, but something must be there to look at
        assert answer or "<" in statement, statement
        if statement in SHOWN:
            found = [list(answer[0]), *([plain(value) for value in row.values()] for row in answer)]
            assert found == shown_cells(SHOWN[statement]), statement
    assert len(SHOWN) == 5
    states = cli.rows("SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state", database_url=filled)
    assert states == [["done", "27"], ["failed", "1"], ["review", "1"]]


def plain(value: object) -> str:
    """A value as it is shown in a table, without the zeros that only PostgreSQL keeps."""
    if value is None:
        return "-"
    return f"{Decimal(str(value)).normalize():f}" if isinstance(value, int | float) else str(value)


def shown_cells(table: str) -> list[list[str]]:
    """The header and the rows of a printed table."""
    return [
        [cell.strip() for cell in line[1:-1].replace("┃", "│").split("│")]
        for line in table.splitlines()
        if line.startswith(("┃", "│"))
    ]


def section(heading: str) -> list[Block]:
    (name,) = {block.heading for block in BLOCKS if heading in block.heading.lower()}
    return [block for block in BLOCKS if block.heading == name]


def named_file(block: Block, suffix: str) -> str:
    """The file that the text before a block says it is."""
    return re.findall(rf"`([\w/]+{re.escape(suffix)})`", block.before)[-1]


def test_a_schema_of_ones_own_works_as_written(cli: Cli) -> None:
    own = section("your own schema")
    code = next(block for block in own if block.language == "python")
    examples = next(block for block in own if block.language.startswith("json"))
    shell = next(block for block in own if "gleaner run" in block.text)
    for block, suffix in ((code, ".py"), (examples, ".jsonl")):
        file = cli.directory / named_file(block, suffix)
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text)
    folder, table = re.findall(r"gleaner run \w+ (\S+) --out (\S+)", shell.text)[0]
    inbox = cli.directory / folder
    inbox.mkdir()
    for number, line in enumerate(examples.text.splitlines()):
        (inbox / f"{number}.txt").write_text(json.loads(line)["text"])
    environment = cli.environment({}) | {"PATH": f"{GLEANER.parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shell.text],
        cwd=cli.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    name = Path(named_file(code, ".py")).stem
    assert f"{name}: no faults" in ran.stdout
    assert f"2 documents: {len((cli.directory / table).read_text().splitlines()) - 1} done" in ran.stdout
    columns = re.findall(r"^    (\w+): (?!ClassVar)", code.text, re.MULTILINE)
    header = (cli.directory / table).read_text().splitlines()[0].split(",")
    assert header == ["origin", "document_id", "confidence", *columns]
    assert f"rows are in table {name}" in ran.stdout
    # the answer of the query
    assert "┃" in ran.stdout.partition("rows are in table")[2]


def test_labels_are_measured_and_previewed_as_written(cli: Cli, checkpoint: Path) -> None:
    """Training itself takes too long: its command shows a sample instead, which reads base and labels all the same."""
    tuning = section("measure and fine-tune")
    labels = next(block for block in tuning if block.language == "json")
    file = cli.directory / named_file(labels, ".jsonl")
    file.write_text(labels.text)
    lines = [line.split() for block in tuning if not block.language for line in block.text.splitlines()]
    commands = [line[1:] for line in lines if file.name in " ".join(line) or "--history" in line]
    assert [command[0] for command in commands] == ["eval", "eval", "train", "train"]
    for command in commands:
        given = [str(checkpoint) if part == "/models/HRM-Text-1B" else part for part in command]
        ran = cli(*given, *(["--preview", "1"] if "--out" in given and given[0] == "train" else [])).ok
        expected = "=== sample 1: receipt" if given[0] == "train" else file.name
        assert expected in ran.out
    assert not (cli.directory / "receipts-1b").exists()
