"""`gleaner eval` as people run it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.train.data import Synthetic
from schemas.registry import Registry
from schemas.wire import dump
from tests.cases import parcels
from tests.cases.worlds import make_runtime
from workers.engine import placeholder
from workers.runtime import Runtime, set_runtime
from workers.testing import ScriptedEngine

TEXTS = [parcels.text("Ito", "4 pans"), parcels.text("Bolt Ltd", "1 lamp"), parcels.text("Kim", "2 mops")]
Gleaner = Callable[..., str]


@pytest.fixture
def runtime(tmp_path: Path) -> Any:
    made = make_runtime(f"sqlite:///{tmp_path / 'gleaner.db'}", parcels.write_schema(tmp_path / "schemas"))
    set_runtime(made)
    yield made
    set_runtime(None)
    made.store.dispose()


@pytest.fixture
def gleaner(runtime: Runtime) -> Gleaner:
    """Runs a command over a scripted engine; what it prints."""

    def run(*arguments: str | Path) -> str:
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Three parcels; the label of the last one says another receiver."""
    file = tmp_path / "labels.jsonl"
    golds = [{"receiver": name, "weight": "1.5"} for name in ("Ito", "Bolt Ltd", "Park")]
    lines = [{"text": text, "gold": gold} for text, gold in zip(TEXTS, golds, strict=True)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_figures_are_printed_by_field(gleaner: Gleaner, labels: Path) -> None:
    printed = gleaner("eval", "parcel", labels)
    rows = {row[1]: row for line in printed.splitlines() if len(row := line.split()) > 10 and row[0] == "│"}
    assert rows["receiver"][3] == "0.667" and rows["weight"][3] == "1.000" and rows["all"][3] == "0.833"
    assert "3 documents: 3 done, 0 truncated, 0 invalid, 0 failed" in printed
    assert "exact records 66.7%" in printed


def test_json_has_every_figure(gleaner: Gleaner, labels: Path) -> None:
    figures = json.loads(gleaner("eval", "parcel", labels, "--json", "--limit", "2"))
    assert (figures["num_documents"], figures["overall"]["f1"]) == (2, 1.0)
    assert list(figures["fields"]) == ["receiver", "weight"]
    assert len(figures["calibration"]["bins"]) == 10


def test_the_history_lists_what_was_measured(gleaner: Gleaner, labels: Path) -> None:
    gleaner("eval", "parcel", labels)
    gleaner("eval", "parcel", labels, "--limit", "2")
    stored = json.loads(gleaner("eval", "--history", "parcel", "--json"))
    assert [(each["id"], each["labels"], each["num_documents"]) for each in stored] == [
        (1, "labels.jsonl", 3),
        (2, "labels.jsonl", 2),
    ]
    assert [each["figures"]["overall"]["f1"] for each in stored] == [pytest.approx(5 / 6), 1.0]
    printed = gleaner("eval", "--history", "parcel")
    assert "0.833" in printed and "scripted" in printed


def test_errors_and_a_plot_are_written(gleaner: Gleaner, labels: Path, tmp_path: Path) -> None:
    errors, plots = tmp_path / "new" / "errors.jsonl", tmp_path / "plots"
    gleaner("eval", "parcel", labels, "--out", errors, "--plots", plots)
    lines = [json.loads(line) for line in errors.read_text().splitlines()]
    assert [len(line["errors"]) for line in lines] == [0, 0, 1]
    assert (plots / "parcel.png").read_bytes().startswith(b"\x89PNG")


def test_examples_may_come_from_a_file_of_labels(
    gleaner: Gleaner, runtime: Runtime, labels: Path, tmp_path: Path
) -> None:
    train = tmp_path / "train.jsonl"
    texts = [parcels.text(f"Person {n}", "3 rugs") for n in range(3)]
    train.write_text(
        "".join(
            json.dumps({"text": text, "gold": parcels.record(text)}) + "\n" for text in [*texts, TEXTS[0]]
        )
    )
    gleaner("eval", "parcel", labels, "--examples", train)
    engine: Any = runtime.engine
    prompt = engine.prompt_text(engine.requests[0])
    assert [text in prompt for text in texts] == [True] * 3
    assert prompt.count(TEXTS[0]) == 1


def test_both_ways_of_choosing_examples_are_compared(
    gleaner: Gleaner, runtime: Runtime, labels: Path, tmp_path: Path
) -> None:
    """Of a hundred, those that hold what the document holds are shown, the nearest last; both figures are kept."""
    train = tmp_path / "train.jsonl"
    things = ["rugs", "pans", "lamps", "mops"]
    texts = [parcels.text(f"Person {n}", f"3 {things[n % 4]}", weight=f"{n}.5") for n in range(100)]
    lines = ({"text": text, "gold": parcels.record(text)} for text in texts)
    train.write_text("".join(json.dumps(line) + "\n" for line in lines))
    engine: Any = runtime.engine
    shown = {}
    for shots in ("first", "nearest"):
        engine.requests.clear()
        printed = gleaner("eval", "parcel", labels, "--examples", train, "--shots", shots)
        assert f"the {shots} of 100 examples" in " ".join(printed.split())
        prompts = [engine.prompt_text(request) for request in engine.requests]
        shown[shots] = [[text for text in texts if text in prompt] for prompt in prompts]
    assert shown["first"] == [texts[:8]] * 3
    # 4 pans, 1 lamp, 2 mops
    assert shown["nearest"] == [texts[1:33:4], texts[0:8], texts[3:35:4]]
    stored = json.loads(gleaner("eval", "--history", "parcel", "--json"))
    assert [each["shots"] for each in stored] == ["first", "nearest"]
    assert len({each["schema_digest"] for each in stored}) == 2
    assert "nearest" in gleaner("eval", "--history", "parcel")


def test_with_shared_examples_it_is_a_version_of_its_own(
    gleaner: Gleaner, runtime: Runtime, labels: Path
) -> None:
    engine: Any = runtime.engine
    for cache, is_shared in (("off", False), ("on", True)):
        engine.requests.clear()
        printed = gleaner("eval", "parcel", labels, "--examples-cache", cache)
        assert ("examples, shared" in " ".join(printed.split())) == is_shared
        assert [request.num_shared > 0 for request in engine.requests] == [is_shared] * 3
    # what is shared ends where the text begins
    request = engine.requests[0]
    behind = engine.tokenizer.decode(request.prompt[request.num_shared :])
    assert behind == f"Text:\n{request.document}\nJSON:<|im_end|>"
    stored = json.loads(gleaner("eval", "--history", "parcel", "--json"))
    assert len({each["schema_digest"] for each in stored}) == 2


def test_with_other_windows_it_is_a_version_of_its_own(
    gleaner: Gleaner, runtime: Runtime, labels: Path
) -> None:
    texts = [json.loads(line)["text"] for line in labels.read_text().splitlines()]
    longest = max(map(len, texts))
    engine: Any = runtime.engine
    for window_tokens in (longest, 2 * longest):
        gleaner("eval", "parcel", labels, "--window-tokens", str(window_tokens))
    assert [request.document for request in engine.requests] == texts * 2
    stored = json.loads(gleaner("eval", "--history", "parcel", "--json"))
    assert len({each["schema_digest"] for each in stored}) == 2


ROOT = Path(__file__).resolve().parents[2]


def real_gleaner(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
    command = [sys.executable, "-c", "from pipelines.cli.main import main; main()", *arguments]
    environment = kept | {"GLEANER_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=data_dir, env=environment, capture_output=True, text=True, timeout=240)


def test_labels_of_the_catalog_are_evaluated_with_a_real_engine(tmp_path: Path) -> None:
    """The samples lie beside the labels and are of several formats, rows of csv among them."""
    registry = Registry.load()
    texts = [example.text for name in registry.names() for example in registry.get(name).examples]
    placeholder.make(tmp_path / "placeholder", texts)
    how = ("--cycles", "1x2", "--examples-cache", "on", "--json")
    ran = real_gleaner(tmp_path, "eval", "support_ticket", "--model", str(tmp_path / "placeholder"), *how)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert figures["num_documents"] == 7 == sum(figures["states"].values())
    assert figures["backing"]["grounded"] == 1.0
    assert figures["speed"]["output_tokens"] > 0
    assert "placeholder checkpoint" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("receipt", "none.jsonl"), "none.jsonl cannot be read: No such file or directory."),
        (("recipe", "none.jsonl"), "there is no schema 'recipe'"),
        (("--history", "recipe"), "there is no schema 'recipe'"),
        (("receipt", "--cycles", "0x3"), "'0x3' is no depth"),
        (
            ("random", "--synthetic", "3", "--limit", "2", "--shots", "nearest"),
            "--synthetic does not go with --limit 2, --shots nearest",
        ),
        (
            (
                "receipt",
                "labels.jsonl",
                "--history",
                "--limit",
                "2",
                "--plots",
                "pictures",
                "--cycles",
                "1x2",
            ),
            "--history does not go with LABELS labels.jsonl, --limit 2, --plots pictures, --cycles 1x2.",
        ),
    ],
)
def test_an_error_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = real_gleaner(tmp_path, "eval", *arguments)
    assert ran.returncode == 1
    assert message in ran.stderr and "Traceback" not in ran.stderr


def test_synthetic_documents_are_measured(gleaner: Gleaner, runtime: Runtime) -> None:
    answers = {
        task.example.text: dump(task.example.record)
        for task in islice(Synthetic(recipe="random", seed=0).tasks("eval"), 3)
    }
    set_runtime(Runtime(runtime.settings, engine=ScriptedEngine(answers, max_positions=40_000)))
    made = json.loads(gleaner("eval", "random", "--synthetic", "3", "--json"))
    assert made["num_documents"] == 3 and made["overall"]["f1"] == 1.0
    shared = gleaner("eval", "random", "--synthetic", "3", "--json", "--examples-cache", "on")
    assert json.loads(shared) == made
