"""A schema of one's own changes, and the command line says what to do."""

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import EXAMPLES, MODULE, Cli, write_notes

ADDED = '\n    place: str | None = Field(description="where", max_length=12)\n'


@pytest.fixture
def schemas(cli: Cli) -> Path:
    directory = cli.directory / "own"
    directory.mkdir()
    cli.settings["schemas"] = str(directory)
    write(directory, MODULE)
    return directory


def write(directory: Path, module: str, **more: object) -> None:
    (directory / "note.py").write_text(module)
    lines = [json.loads(line) for line in EXAMPLES.strip().splitlines()]
    for line in lines:
        line["record"] |= more
    (directory / "note.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_field_that_comes_is_extracted_alone(cli: Cli, schemas: Path) -> None:
    inbox = write_notes(cli.directory / "inbox", 2)
    assert "not used yet" in cli("schemas", "diff", "note").ok.out
    assert cli("run", "note", inbox).code == 0
    assert "nothing changed" in cli("schemas", "diff", "note").ok.out
    assert "nothing is to be extracted again" in cli("reextract", "note").ok.out

    write(schemas, MODULE + ADDED, place=None)
    said = cli("schemas", "diff", "note").ok.out
    assert "place │ added" in said and "yes" in said and "examples" not in said
    planned = cli("reextract", "note", "--dry-run").ok.out
    assert "place" in planned and " 2 " in planned
    assert "2 documents: " in cli("reextract", "note").ok.out
    assert cli.value("SELECT count(*) FROM reuses") == "2"
    assert cli("export", "note", "--to", "notes.csv").ok.out == "2 rows in notes.csv\n"
    assert (cli.directory / "notes.csv").read_text().splitlines()[0].endswith("name,mood,place")


def test_a_removal_is_migrated_and_taken_back(cli: Cli, schemas: Path) -> None:
    inbox = write_notes(cli.directory / "inbox", 1)
    write(schemas, MODULE + ADDED, place=None)
    assert cli("run", "note", inbox).code == 0
    place = cli.value("SELECT place FROM note")
    write(schemas, MODULE)
    refused = cli("run", "note", inbox)
    assert refused.code == 1 and "gleaner schemas migrate note" in refused.err
    written = cli("schemas", "migrate", "note").ok.out
    assert "note.place: no longer in the schema." in written and "gleaner db upgrade" in written
    assert "typed tables: empty -> " in cli("db", "upgrade").ok.out
    assert "are as they should be" in cli("schemas", "migrate", "note").ok.out
    # no model is loaded for what is only removed
    assert "1 document: 1 done" in cli("run", "note", inbox).ok.out
    assert cli.value("SELECT sum(output_tokens) > 0 FROM extractions WHERE id = 2") == "0"
    assert "as they were first made" in cli("db", "downgrade").ok.out
    assert cli.value("SELECT place FROM note") == place
