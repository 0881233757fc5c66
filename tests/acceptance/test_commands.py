import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.acceptance.conftest import Cli, Ran, make_cli, write_notes
from tests.servers import free_port

NUM_NOTES = 12


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, note_schema: Path) -> Iterator[Cli]:
    """A directory in which twelve notes, one of them twice, and an empty file were extracted."""
    made = make_cli(tmp_path_factory.mktemp("site"), checkpoint, note_schema)
    inbox = write_notes(made.directory / "inbox", NUM_NOTES)
    (inbox / "same.md").write_text((inbox / "note000.txt").read_text())
    (inbox / "zero.txt").write_text("")
    yield made
    made.stop_all()


@pytest.fixture(scope="module")
def first_run(cli: Cli) -> Ran:
    return cli("run", "note", "inbox", "--out", "notes.jsonl").ok


@pytest.fixture
def site(cli: Cli, first_run: Ran) -> Cli:
    """The directory after its first run."""
    return cli


def test_run_extracts_and_says_where_the_rows_are(cli: Cli, first_run: Ran) -> None:
    assert "batch 1, schema note, checkpoint tiny" in first_run.out
    num_documents, num_done = re.findall(r"(\d+) documents: (\d+) done", first_run.out)[0]
    assert (int(num_documents), int(num_done)) == (NUM_NOTES + 2, NUM_NOTES + 1)
    assert "1 failed" in first_run.out and "empty_document" in first_run.out
    assert "rows are in table note" in first_run.out
    assert "placeholder checkpoint" in first_run.err
    records = [json.loads(line) for line in (cli.directory / "notes.jsonl").read_text().splitlines()]
    assert len(records) == NUM_NOTES + 1
    assert {record["record"]["mood"] for record in records} <= {"good", "bad"}
    for record in records:
        assert list(record["record"]) == ["name", "mood"]
        name = record["record"]["name"]
        assert name is None or name in " ".join(Path(record["origin"]).read_text().split())


def test_values_stand_where_the_evidence_says(site: Cli) -> None:
    wrong = site.value(
        "SELECT count(*) FROM evidence e JOIN extractions x ON x.id = e.extraction_id "
        "JOIN documents d ON d.id = x.document_id "
        "WHERE e.state = 'verbatim' AND substr(d.text, e.start_char + 1, e.end_char - e.start_char) <> e.text"
    )
    assert wrong == "0"
    assert (
        int(site.value("SELECT count(*) FROM evidence WHERE path = 'mood' AND state = 'choice'")) == NUM_NOTES
    )


@pytest.mark.parametrize("name", ["again.csv", "again.parquet"])
def test_a_second_run_is_already_done_and_writes_other_formats(site: Cli, name: str) -> None:
    ran = site("run", "note", "inbox", "--out", f"out/{name}").ok
    assert f"{NUM_NOTES + 2} documents: {NUM_NOTES + 1} already done, 1 failed" in ran.out
    assert f"{NUM_NOTES + 1} records in out/{name}" in ran.out
    file = site.directory / "out" / name
    if name.endswith("csv"):
        with file.open(newline="") as opened:
            found = list(csv.DictReader(opened))
    else:
        found = pyarrow.parquet.read_table(file).to_pylist()
    assert len(found) == NUM_NOTES + 1
    assert list(found[0]) == ["origin", "document_id", "confidence", "name", "mood"]


def test_what_is_done_already_needs_no_model(
    site: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch is what takes seconds; one that fails shows that nobody asks for it
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "already done" in site("run", "note", "inbox").ok.out
    (site.directory / "new.txt").write_text("A new note.")
    assert "torch was imported" in site("run", "note", "new.txt").err


def test_query_prints_tables_csv_and_json(site: Cli) -> None:
    sql = "SELECT document_id, mood, NULL AS absent FROM note ORDER BY document_id LIMIT 2"
    printed = site("query", sql).ok.out
    assert re.search(r"document_id.*mood.*absent", printed)
    rows = list(csv.reader(io.StringIO(site("query", sql, "--format", "csv").ok.out)))
    assert rows[0] == ["document_id", "mood", "absent"]
    listed = json.loads(site("query", sql, "-f", "json").ok.out)
    assert [[str(row["document_id"]), row["mood"], ""] for row in listed] == rows[1:]


def test_query_says_when_it_cuts_off(site: Cli) -> None:
    ran = site("query", "SELECT document_id FROM note", "--limit", "3", "-f", "csv").ok
    assert len(ran.out.splitlines()) == 4
    assert "only the first 3 rows" in ran.err
    whole = site("query", "SELECT document_id FROM note", "--limit", "0", "-f", "csv").ok
    assert (len(whole.out.splitlines()), whole.err) == (NUM_NOTES + 1, "")


def test_status_lists_batches_and_explains_one(site: Cli) -> None:
    listed = site("status").ok.out
    assert re.search(rf"1 .*note .*{NUM_NOTES + 2} .*{NUM_NOTES + 1} done, 1 failed", listed)
    one = site("status", "1", "--watch").ok.out
    assert "empty_document" in one and "There is no text in it" in one


def test_status_without_batches(tmp_path: Path, cli: Cli) -> None:
    assert "batch" in cli("status", cwd=tmp_path).ok.out
    assert cli("status", "--watch", cwd=tmp_path).ok.out.strip() == "no batch is open"


def test_report_shows_a_batch_and_a_schema(site: Cli) -> None:
    out = site("report", "1", "--out", "pages").ok.out
    assert f"{NUM_NOTES + 2} documents in pages/index.html" in out
    overview = (site.directory / "pages" / "index.html").read_text()
    assert "Batch 1: note" in overview and "There is no text in it" in overview
    shown = (site.directory / "pages" / "documents-1.html").read_text()
    assert shown.count("<article") == NUM_NOTES + 2
    assert "same.md" in shown and 'class="value choice"' in shown
    # every document once, those of other tests too
    num = site.value("SELECT count(DISTINCT document_id) FROM jobs")
    assert f"{num} documents in" in site("report", "note").ok.out
    assert (site.directory / ".gleaner" / "reports" / "note" / "index.html").exists()


def test_schemas_are_listed_and_shown(cli: Cli) -> None:
    listed = cli("schemas", "list").ok.out
    for name in ("invoice", "job_posting", "nda", "note", "receipt", "support_ticket"):
        assert re.search(rf"\b{name}\b", listed)
    assert "line_items[].amount" in cli("schemas", "show", "invoice").ok.out
    found = json.loads(cli("schemas", "show", "note", "--json").ok.out)
    assert found["wire_schema"]["properties"]["mood"]["enum"] == ["good", "bad"]
    assert len(found["examples"]) == 2


def test_schemas_check_finds_nothing_in_the_catalog(cli: Cli) -> None:
    assert "no faults" in cli("schemas", "check").ok.out


def test_schemas_check_prints_every_fault_with_file_line_and_field(
    cli: Cli, tmp_path: Path, note_schema: Path
) -> None:
    (tmp_path / "note.py").write_text((note_schema / "note.py").read_text())
    lines = [
        '{"text": "Ann is glad.", "record": {"name": "Zoe", "mood": "good"}}',
        '{"text": "Bo is angry.", "record": {"name": "Bo", "mood": "sad"}}',
        "{broken",
        '{"text": "Cy is glad.", "record": {"name": "Cy", "mood": "good"}}',
    ]
    (tmp_path / "note.jsonl").write_text("\n".join(lines))
    ran = cli("schemas", "check", "note", schemas=str(tmp_path))
    assert ran.code == 1
    file = re.escape(str(tmp_path / "note.jsonl"))
    assert re.search(rf"^{file}:1: name: .*Zoe", ran.err, re.MULTILINE)
    assert re.search(rf"^{file}:2: mood: .*sad", ran.err, re.MULTILINE)
    assert re.search(rf"^{file}:3: ", ran.err, re.MULTILINE)
    assert not re.search(rf"^{file}:4: ", ran.err, re.MULTILINE)
    assert "3 faults" in ran.err
    # and nothing can be extracted with them
    refused = cli("run", "note", "inbox", schemas=str(tmp_path))
    assert refused.code == 1 and "note.jsonl" in refused.err and "Traceback" not in refused.err


def test_a_postgresql_database_is_upgraded(cli: Cli, postgres_url: str) -> None:
    assert re.search(r"empty -> \w+", cli("db", "upgrade", database_url=postgres_url).ok.out)
    assert "already" in cli("db", "upgrade", database_url=postgres_url).ok.out
    current = cli("db", "current", database_url=postgres_url).ok.out
    assert re.search(r"database (\w+), newest \1\b", current)


def test_doctor_finds_a_good_site_good(site: Cli, redis_url: str) -> None:
    ran = site("doctor", broker_url=redis_url).ok
    checks = {line.split()[1] for line in ran.out.splitlines() if line.startswith("│")}
    assert {"settings", "versions", "disk", "database", "clock", "broker", "celery", "workers"} <= checks
    assert {"schemas", "checkpoint", "device", "prompt"} <= checks
    assert " error " not in ran.out
    assert "nobody listens at the broker" in ran.out
    assert "placeholder" in ran.out
    assert "tokens written" in ran.out


def test_doctor_names_all_that_is_wrong(cli: Cli, postgres_url: str) -> None:
    ran = cli(
        "doctor",
        "--fast",
        database_url=postgres_url,
        broker_url=f"redis://:secret@127.0.0.1:{free_port()}/0",
        model="/nonexistent",
        modell="typing error",
    )
    assert ran.code == 1
    said = " ".join(re.sub("[│┃]", " ", ran.out).split())
    assert "has no tables yet" in said and "gleaner db upgrade" in said
    assert "does not answer" in said and "Start Redis or correct GLEANER_BROKER_URL" in said
    assert "no checkpoint directory /nonexistent" in said
    assert "nothing reads GLEANER_MODELL" in said
    assert "secret" not in ran.out + ran.err
    assert ran.out.count(" error ") == 3


@pytest.mark.parametrize("path", [(), ("run",), ("schemas", "check")])
def test_help_is_printed(cli: Cli, path: tuple[str, ...]) -> None:
    ran = cli(*path, "--help").ok
    assert "Example: " in ran.out
    assert f"gleaner {' '.join(path)}".strip() in " ".join(ran.out.split())


def test_settings_are_read_from_env_files(site: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"GLEANER_DATA_DIR={site.directory / '.gleaner'}\n")
    assert site("query", "SELECT count(*) FROM note", "-f", "csv", cwd=tmp_path).ok.out.split() == [
        "count(*)",
        str(NUM_NOTES),
    ]
