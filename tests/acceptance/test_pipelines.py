"""Pipelines through the command line: as the README says, and by beats side by side."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import GLEANER, TIMEOUT_S, Cli, wait_until, write_notes
from tests.acceptance.test_readme import named_file, section

MODULE = """
from pipelines.etl import Pipeline
from pipelines.schedule import {schedule}
from pipelines.sources.folder import Files

notes = Pipeline("notes", source=Files("inbox"), schema="note", schedule={when})
"""
HOURLY = {"schedule": "Cron", "when": 'Cron("0 * * * *", "Europe/Berlin")'}
ALWAYS = {"schedule": "Every", "when": "Every(seconds=1)"}


@pytest.fixture
def declared(cli: Cli) -> Cli:
    """An hourly pipeline over three notes."""
    declare(cli, HOURLY)
    write_notes(cli.directory / "inbox", 3)
    return cli


def declare(cli: Cli, schedule: dict[str, str]) -> None:
    (cli.directory / "mine").mkdir()
    (cli.directory / "mine" / "daily.py").write_text(MODULE.format(**schedule))
    cli.settings["pipelines"] = "mine"


def test_the_section_of_the_readme_works_as_written(cli: Cli) -> None:
    blocks = section("pipelines")
    code = next(block for block in blocks if block.language == "python")
    shell = next(block for block in blocks if "gleaner pipelines run" in block.text)
    file = cli.directory / named_file(code, ".py")
    file.parent.mkdir()
    # the weights of the tests' checkpoint are random, and a note is sooner written than a receipt
    file.write_text(code.text.replace('"receipt"', '"note"'))
    write_notes(cli.directory / "inbox", 2)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", shell.text.partition("gleaner beat")[0]],
        cwd=cli.directory,
        env=cli.environment({}) | {"PATH": f"{GLEANER.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    # once after the run, once in its history
    assert len(re.findall(r"│ +1 │ command │ done +│ [\d :-]+ │ +2 │ +2 │ +2 │", ran.stdout)) == 2
    assert "30 6 * * 1-5 Europe/Berlin" in ran.stdout


def test_commands_show_and_steer(declared: Cli) -> None:
    cli = declared
    listed = cli("pipelines", "list").ok.out
    assert re.search(r"notes +│ note +│ inbox +│ 0 \* \* \* \* Europe/Berlin │", listed)
    assert " 3 " in cli("pipelines", "run", "notes").ok.out
    assert cli.rows("SELECT state, new, unchanged, done FROM pipeline_runs") == [["done", "3", "0", "3"]]
    assert "notes is paused" in cli("pipelines", "pause", "notes", "--why", "a holiday.").ok.out
    refused = cli("pipelines", "run", "notes")
    assert refused.code == 1
    assert (
        "is paused since" in refused.err
        and "a holiday." in refused.err
        and "pipelines resume notes" in refused.err
    )
    assert re.search(
        r"notes goes on, next at \d{4}-\d\d-\d\d \d\d:00:00 UTC", cli("pipelines", "resume", "notes").ok.out
    )
    filled = cli("pipelines", "backfill", "notes", "--from", "2020-01-01").ok.out
    assert "backfill" in filled
    assert cli.rows("SELECT new, unchanged FROM pipeline_runs WHERE cause = 'backfill'") == [["0", "3"]]
    wrong = cli("pipelines", "backfill", "notes", "--to", "tomorrow")
    assert wrong.code == 1 and "'tomorrow' is no date" in wrong.out
    missing = cli("pipelines", "show", "note")
    assert missing.code == 1 and "There is no pipeline 'note'; there are notes." in missing.err


def test_a_declaration_that_cannot_be_is_one_sentence(cli: Cli) -> None:
    declare(cli, {"schedule": "Cron", "when": 'Cron("0 25 * * *")'})
    ran = cli("pipelines", "list")
    assert ran.code == 1 and "Traceback" not in ran.err
    assert "'0 25 * * *' is no cron expression" in ran.err


def test_beats_without_a_broker_extract_and_stop_when_told(cli: Cli) -> None:
    declare(cli, ALWAYS)
    inbox = write_notes(cli.directory / "inbox", 2)
    beats = [cli.start("beat") for _ in range(2)]
    done = "SELECT count(*) FROM jobs WHERE state = 'done'"
    wait_until(lambda: database(cli).exists() and cli.value(done) == "2", "the first notes")
    write_notes(inbox, 5)
    wait_until(lambda: cli.value(done) == "5", "the other notes")
    for beat in beats:
        beat.terminate()
        assert beat.wait(TIMEOUT_S) == 0, cli.log
    assert cli.rows("SELECT count(*), count(DISTINCT job_id) FROM batch_entries") == [["5", "5"]]
    assert (
        cli.value("SELECT count(*) - count(DISTINCT scheduled_for) FROM runs WHERE scheduled_for IS NOT NULL")
        == "0"
    )


def database(cli: Cli) -> Path:
    return cli.directory / ".gleaner" / "gleaner.db"


def test_beats_with_a_broker_enqueue_once(cli: Cli, migrated_url: str, redis_url: str) -> None:
    declare(cli, ALWAYS)
    inbox = write_notes(cli.directory / "inbox", 2)
    # killed in the middle of a run, a beat holds it until its lease ends
    cli.settings |= {"database_url": migrated_url, "broker_url": redis_url, "lease_s": "3"}
    beats = [cli.start("beat") for _ in range(2)]
    entries = "SELECT count(*) FROM batch_entries"
    wait_until(lambda: cli.value(entries) == "2", "the first notes")
    beats[0].kill()
    write_notes(inbox, 5)
    wait_until(lambda: cli.value(entries) == "5", "the other notes")
    beats[1].terminate()
    assert beats[1].wait(TIMEOUT_S) == 0, cli.log
    sent = (
        "SELECT count(DISTINCT job_id), count(enqueued_at) FROM batch_entries JOIN jobs ON jobs.id = job_id"
    )
    assert cli.rows(sent) == [["5", "5"]]
