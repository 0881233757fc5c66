"""Whatever goes wrong is one sentence with the next step, on standard error, with exit code 1."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import Cli, Ran, write_notes
from tests.servers import free_port

SECRET = "hunter2secret"


@pytest.fixture
def cli(cli: Cli) -> Cli:
    write_notes(cli.directory / "inbox", 2)
    return cli


def refused(ran: Ran, *parts: str) -> str:
    """The sentence of an error; `parts` are regular expressions for what it says."""
    assert ran.code == 1, ran
    assert ran.out == ""
    assert "Traceback" not in ran.err
    lines = [line for line in ran.err.splitlines() if not line.startswith("placeholder checkpoint: ")]
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("error: ")
    assert SECRET not in ran.err
    for part in parts:
        assert re.search(part, lines[0]), lines[0]
    return lines[0]


def test_an_unknown_schema_names_those_there_are(cli: Cli) -> None:
    refused(cli("run", "nonesuch", "inbox"), "'nonesuch'", "invoice.*note.*receipt", "GLEANER_SCHEMAS")


def test_a_missing_path(cli: Cli) -> None:
    refused(cli("run", "note", "nowhere"), "no file or directory 'nowhere'", "Give a file")


@pytest.mark.parametrize("command", [("enqueue", "note", "inbox"), ("worker",)])
def test_no_broker(cli: Cli, command: tuple[str, ...]) -> None:
    refused(cli(*command), f"`gleaner {command[0]}` needs a broker", "GLEANER_BROKER_URL", "redis://")


@pytest.mark.parametrize("url", ["garbage", f"amqp://user:{SECRET}@127.0.0.1//"])
def test_a_broker_that_is_not_redis(cli: Cli, url: str) -> None:
    refused(cli("enqueue", "note", "inbox", broker_url=url), "GLEANER_BROKER_URL", "redis://localhost")


def test_a_broker_that_is_away_is_a_warning_and_nothing_is_lost(cli: Cli) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"
    ran = cli("enqueue", "note", "inbox", broker_url=url).ok
    assert ran.out == "1\n"
    assert re.search("warning: the broker did not take a message.*Nothing is lost", ran.err)
    assert SECRET not in ran.err
    assert cli.rows("SELECT state, count(*) FROM jobs GROUP BY state") == [["queued", "2"]]


def test_a_postgresql_database_without_tables(cli: Cli, postgres_url: str) -> None:
    ran = cli("run", "note", "inbox", database_url=postgres_url)
    refused(ran, "has no tables yet", "gleaner db upgrade")


@pytest.mark.parametrize("command", [("status",), ("db", "upgrade")])
def test_a_database_that_is_away(cli: Cli, command: tuple[str, ...]) -> None:
    url = f"postgresql+psycopg://user:{SECRET}@127.0.0.1:{free_port()}/gleaner"
    refused(
        cli(*command, database_url=url), r"user:\*\*\*@127\.0\.0\.1", "does not answer", "Check that it runs"
    )


def test_a_database_that_does_not_exist(cli: Cli, postgres_url: str) -> None:
    url = postgres_url.rpartition("/")[0] + "/nonesuch"
    refused(cli("status", database_url=url), "nonesuch", "does not exist", "Check its URL")


def test_a_database_url_that_cannot_be_read(cli: Cli) -> None:
    refused(cli("status", database_url=SECRET), "database URL cannot be read", "postgresql")


def test_a_file_that_is_no_database(cli: Cli) -> None:
    (cli.directory / "notes.txt").write_text("not a database, but long enough to be taken for one" * 20)
    refused(cli("status", database_url=f"sqlite:///{cli.directory}/notes.txt"), "not a database")


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of either database."""
    return {} if request.param == "sqlite" else {"database_url": request.getfixturevalue("migrated_url")}


def test_queries_that_write(cli: Cli, settings: dict[str, str]) -> None:
    refused(cli("query", "DELETE FROM documents", **settings), "Queries only read", "Use SELECT")


def test_two_statements(cli: Cli, settings: dict[str, str]) -> None:
    refused(cli("query", "SELECT 1; DROP TABLE jobs", **settings), "Check the statement; it is one")


def test_an_ending_that_cannot_be_written(cli: Cli) -> None:
    refused(cli("run", "note", "inbox", "--out", "a.xlsx"), r"a\.xlsx", r"\.jsonl, \.csv and \.parquet")
    # said before anything was stored
    assert not (cli.directory / ".gleaner").exists()


def test_a_setting_with_a_bad_value(cli: Cli) -> None:
    says = ("GLEANER_BATCH_SIZE: .*integer", "table of settings in the README")
    refused(cli("doctor", batch_size="many"), *says)
    # help is there all the same
    assert "run" in cli("--help", batch_size="many").ok.out


def test_a_schema_directory_that_cannot_be_imported(cli: Cli) -> None:
    (cli.directory / "broken.py").write_text("def")
    refused(cli("schemas", "list", schemas=str(cli.directory)), "broken.py cannot be imported: SyntaxError")


def test_a_missing_checkpoint(cli: Cli) -> None:
    refused(
        cli("run", "note", "inbox", model="/nowhere"), "no checkpoint directory /nowhere", "GLEANER_MODEL"
    )


def test_a_checkpoint_of_another_kind(cli: Cli, checkpoint: Path) -> None:
    other = cli.directory / "other"
    shutil.copytree(checkpoint, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    refused(
        cli("run", "note", "inbox", model=str(other)), "'llama'", "only 'hrm_text'", "HRM-Text checkpoint"
    )


def test_a_device_that_is_not_there_fails_no_document(cli: Cli) -> None:
    ran = cli("run", "note", "inbox", device="cuda:99")
    assert ran.code == 1
    assert "error: Device cuda:99 is not there" in ran.err and "Traceback" not in ran.err
    assert cli.rows("SELECT state, count(*) FROM jobs GROUP BY state") == [["queued", "2"]]


def test_a_traceback_comes_with_debug_alone(cli: Cli) -> None:
    refused(cli("status", "7"), "no batch 7", "`gleaner status` lists")
    ran = cli("--debug", "status", "7")
    assert ran.code == 1
    assert "Traceback" in ran.err and "ConfigurationError: There is no batch 7." in ran.err
