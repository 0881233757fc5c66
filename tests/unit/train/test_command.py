"""What `gleaner train` refuses before it has done anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.train.__main__ import app
from pipelines.train.prepare import STATES, begin
from schemas.errors import GleanerError
from tests.cases.slips import recipe

ARCHITECTURE = "hidden_size = 32\nvocab_size = 400\nmax_positions = 512\n"


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is not there yet, beside an architecture; both are named without their parent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(ARCHITECTURE)
    return Path("out")


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, GleanerError), result.output
    return str(result.exception)


def test_another_synthetic_recipe(out: Path) -> None:
    given = ("--from-scratch", "small.toml", "--synthetic", "1", "--steps", "1", "--device", "cpu")
    said = refused(*given, "--synthetic-recipe", "tinny", "--out", str(out))
    assert "no synthetic recipe 'tinny'; there are default" in said
    assert not out.exists()


def test_a_base_that_is_not_there(out: Path) -> None:
    said = refused("--base", "nodir", "--data", "slip=slips.jsonl", "--out", str(out))
    assert said.startswith(
        "There is no checkpoint directory nodir. Give --base the directory or the hub name"
    )
    assert not out.exists()


def test_a_file_as_directory(out: Path) -> None:
    out.write_text("")
    given = ("--from-scratch", "small.toml", "--synthetic", "1", "--steps", "1", "--device", "cpu")
    assert "out cannot be written: Not a directory." in refused(*given, "--out", str(out))
    assert "out holds no run to go on with: Not a directory." in refused("--out", str(out), "--resume")


@pytest.mark.parametrize("option", ["--preview", "--workers"])
def test_less_than_none(option: str) -> None:
    result = CliRunner().invoke(app, [option, "-1"])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--steps", "13", "begun with steps 12, not 13."),
        ("--epochs", "2", "begun without epochs."),
        ("--base", "other", "begun without base."),
        ("--data", "slip=other.jsonl", "begun with data (('slip', 'slips.jsonl'),), not (('slip', 'other.jsonl'),)."),
        ("--from-db", "slip", "begun with from_db (), not ('slip',)."),
        ("--from-scratch", "small.toml", "begun with architecture hidden_size=32 "),
    ],
)  # fmt: skip
def test_a_run_goes_on_with_the_recipe_it_was_begun_with(
    out: Path, option: str, value: str, reason: str
) -> None:
    begin(out / STATES, recipe(), [])
    said = refused("--out", str(out), "--resume", option, value)
    assert f"The run in out was {reason}" in said and "leave out what the recipe says" in said


def test_what_the_recipe_says_may_be_given_again(out: Path) -> None:
    begin(out / STATES, recipe(), [])
    same = ("--steps", "12", "--lr", "3e-3", "--data", "slip=slips.jsonl", "--dtype", "float32")
    assert "there is no schema 'slip'" in refused("--out", str(out), "--resume", *same)
