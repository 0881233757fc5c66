import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from pipelines.cli.train import _labels
from pipelines.train.__main__ import app
from pipelines.train.labels import make_labels
from pipelines.train.recipe import make_recipe
from pipelines.train.stored import read_store
from pipelines.train.trainer import Trainer
from schemas.errors import GleanerError
from tests.cases import parcels
from tests.cases.slips import read_log
from tests.cases.worlds import enqueue, job_ids, make_runtime
from workers.runtime import Runtime, set_runtime
from workers.work import work


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    yield made
    set_runtime(None)
    made.store.dispose()


@pytest.fixture
def out(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is not there yet, for the command over this runtime; an architecture is beside it."""
    monkeypatch.setattr("workers.settings.get_settings", lambda: runtime.settings)
    set_runtime(runtime)
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text("hidden_size = 32\nvocab_size = 400\nmax_positions = 2048\n")
    return Path("out")


def extracted(runtime: Runtime, numbers: range) -> None:
    enqueue(runtime, [parcels.text(f"Ann {number}", f"{number} cups") for number in numbers])
    work(runtime, job_ids(runtime))


def train(*arguments: str) -> BaseException | None:
    """What ended the command, if it did not come to its end."""
    usual = ("--out", "out", "--device", "cpu", "--workers", "0")
    return CliRunner().invoke(app, [*arguments, *usual]).exception


def test_records_that_hold_are_labels_and_others_are_not(runtime: Runtime) -> None:
    texts = [parcels.text(f"Ann {number}", f"{number} cups") for number in range(2, 6)]
    enqueue(runtime, [*texts, "GARBLED answer", "GRAMMAR refused"])
    work(runtime, job_ids(runtime))
    read = list(read_store(runtime.store, "parcel"))
    assert [line["text"] for _, line in read] == texts
    assert read[0][0] == "document 1"
    labels = make_labels(runtime.registry.get("parcel"), read)
    assert not labels.left_out
    found = {example.text: example.record for example in (*labels.train, *labels.held_out)}
    assert found == {text: parcels.record(text) for text in texts}
    assert list(read_store(runtime.store, "receipt")) == []


def test_a_run_goes_on_with_the_records_that_it_began_with(
    runtime: Runtime, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(runtime, range(2, 12))

    def cut(self: Trainer, *arguments: object) -> None:
        raise KeyboardInterrupt

    given = (
        "--from-scratch",
        "tiny.toml",
        "--from-db",
        "parcel",
        "--steps",
        "2",
        "--tokens-per-batch",
        "2048",
    )
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", cut)
        train(*given)
    extracted(runtime, range(12, 14))
    assert train("--resume") is None
    assert len(read_log(out)) == 2
    assert "parcel: 9 to learn from, 1 held out, 0 left out" in (out / "README.md").read_text()


def test_a_database_without_records_is_told_as_such(out: Path) -> None:
    error = train("--from-scratch", "tiny.toml", "--from-db", "parcel")
    assert isinstance(error, GleanerError)
    assert str(error).startswith("0 labels of parcel can be learned from. Extract documents of it")


def test_no_text_is_learned_from_one_file_and_held_out_of_another(
    runtime: Runtime, out: Path, tmp_path: Path
) -> None:
    texts = [parcels.text(f"Ann {number}", f"{number} cups") for number in range(2, 42)]
    for name, given in (("a", texts), ("b", texts[10:20])):
        lines = ({"text": text, "gold": parcels.record(text)} for text in given)
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = make_recipe(base="any", data=[("parcel", "a.jsonl"), ("parcel", "b.jsonl")])
    (labels,) = _labels(recipe)
    assert (len(labels.train), len(labels.held_out), len(labels.left_out)) == (36, 4, 10)
    assert labels.reasons() == {"the text stands twice in the data": 10}
