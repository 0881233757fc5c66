import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.train.labels import Labels, make_labels
from pipelines.train.prepare import alone
from pipelines.train.run import Run
from pipelines.train.state import save_state
from pipelines.train.trainer import Trainer
from schemas.base import Schema
from schemas.errors import ConfigurationError
from tests.cases.slips import places, read_log, recipe, slip

MakeRun = Callable[..., Run]


class PowerCutError(Exception):
    """What ends a process between two steps."""


@pytest.fixture
def whole(tmp_path: Path, make_run: MakeRun) -> Run:
    """A run that nothing disturbed."""
    run = make_run(tmp_path / "whole")
    assert run.train(resume=False)
    return run


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], None]) -> None:
    step = Trainer.step

    def failing(self: Trainer, *arguments: Any) -> Any:
        if self.num_steps == number:
            do()
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "step", failing)


def cut() -> None:
    raise PowerCutError


def cut_and_resume(run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Begin a run, end it between two steps, and go on to its end."""
    with monkeypatch.context() as patched:
        fail_at(patched, number, cut)
        with pytest.raises(PowerCutError):
            run.train(resume=False)
    assert run.train(resume=True)


def assert_same(run: Run, whole: Run) -> None:
    """The same losses to the last bit, evaluations and weights."""
    for kind, fields in (
        ("step", ("step", "loss", "lr", "gradient", "tokens")),
        ("evaluation", ("step", "loss")),
    ):
        found, expected = (
            [[line[field] for field in fields] for line in read_log(each.out, kind)] for each in (run, whole)
        )
        assert found == expected
    assert (run.out / "model.safetensors").read_bytes() == (whole.out / "model.safetensors").read_bytes()


@pytest.mark.parametrize("number", [2, 4, 11])
def test_a_run_that_died_goes_on_as_if_nothing_had_been(
    tmp_path: Path, make_run: MakeRun, whole: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = make_run(tmp_path / "cut")
    with monkeypatch.context() as patched:
        fail_at(patched, number, cut)
        with pytest.raises(PowerCutError):
            run.train(resume=False)
    states = [path.name for path in run.states.glob("state-*")]
    assert states == ([f"state-{number - number % 4:08}"] if number >= 4 else [])
    assert run.train(resume=True)
    assert_same(run, whole)


def test_it_goes_on_within_a_pool_and_with_accumulated_batches(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"accumulate": 3, "save_every": 5, "epochs": 12, "steps": None}
    run, whole = make_run(tmp_path / "cut", **given), make_run(tmp_path / "whole", **given)
    assert whole.train(resume=False)
    cut_and_resume(run, monkeypatch, 13)
    assert len(read_log(run.out)) > 20
    assert_same(run, whole)


def test_it_goes_on_with_the_moments_of_both_optimizers(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = (make_run(tmp_path / name, optimizer="muon") for name in ("cut", "whole"))
    assert whole.train(resume=False)
    cut_and_resume(run, monkeypatch, 6)
    assert_same(run, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_in_hand(
    tmp_path: Path, make_run: MakeRun, whole: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    run = make_run(tmp_path / "stopped")
    before = signal.getsignal(number)
    with monkeypatch.context() as patched:
        fail_at(patched, 6, lambda: os.kill(os.getpid(), number))
        assert not run.train(resume=False)
    assert signal.getsignal(number) == before
    assert [path.name for path in run.states.glob("state-*")] == ["state-00000007"]
    assert not (run.out / "config.json").exists()
    assert run.train(resume=True)
    assert_same(run, whole)


def test_half_of_a_state_and_half_a_line_are_no_harm(
    tmp_path: Path, make_run: MakeRun, whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "cut")

    def dying(directory: Path, trainer: Trainer, counts: Any) -> None:
        if counts.step == 8:
            (directory / "state-00000008.new").mkdir()
            (directory / "state-00000008.new" / "tensors.safetensors").write_bytes(b"half of it")
            raise PowerCutError
        save_state(directory, trainer, counts)

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.train.loop.save_state", dying)
        with pytest.raises(PowerCutError):
            run.train(resume=False)
    with (run.states / "log.jsonl").open("a") as log:
        log.write('{"kind": "step", "st')
    assert run.train(resume=True)
    assert_same(run, whole)


def test_a_directory_is_used_once(whole: Run) -> None:
    for resume in (False, True):
        with pytest.raises(ConfigurationError, match="holds a checkpoint already"):
            whole.train(resume=resume)


def test_a_begun_run_is_not_overwritten_and_nothing_is_not_resumed(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "cut")
    with pytest.raises(ConfigurationError, match="no run to go on with"):
        run.train(resume=True)
    with monkeypatch.context() as patched:
        fail_at(patched, 5, cut)
        with pytest.raises(PowerCutError):
            run.train(resume=False)
    with pytest.raises(ConfigurationError, match="holds a training run"):
        run.train(resume=False)
    shutil.rmtree(next(run.states.glob("state-*")))
    assert run.train(resume=False), "one that saved no state is begun anew"


def test_a_run_is_not_begun_where_another_process_trains(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "out")
    with alone(run.states):
        (run.states / "log.jsonl").write_text("of the other\n")
        for resume in (False, True):
            with pytest.raises(ConfigurationError, match=f"Another process is training in {run.out}"):
                run.train(resume=resume)
        assert (run.states / "log.jsonl").exists()
    assert run.train(resume=False)


@pytest.mark.parametrize("deed", ["write_card", "remove_states"])
def test_a_run_that_died_at_its_end_is_finished(
    tmp_path: Path, make_run: MakeRun, whole: Run, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    run = make_run(tmp_path / "cut")
    with monkeypatch.context() as patched:
        patched.setattr(f"pipelines.train.run.{deed}", lambda *_, **__: cut())
        with pytest.raises(PowerCutError):
            run.train(resume=False)
    assert list(run.states.glob("state-*"))
    assert run.train(resume=True)
    assert "# cut\n" in (run.out / "README.md").read_text()
    assert (run.out / "model.safetensors").read_bytes() == (whole.out / "model.safetensors").read_bytes()
    assert not [*run.states.glob("state-*"), *run.states.glob("best-*")]


def test_other_data_is_refused(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, schema: Schema, labels: Labels
) -> None:
    run = make_run(tmp_path / "cut")
    with monkeypatch.context() as patched:
        fail_at(patched, 5, cut)
        with pytest.raises(PowerCutError):
            run.train(resume=False)
    other = make_labels(schema, places([slip(number) for number in range(41)]))
    with pytest.raises(ConfigurationError, match="data is not what the run"):
        replace(run, labels=[other]).train(resume=True)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"base": "somewhere"}, "--base or --from-scratch"),
        ({"architecture": None}, "--base or --from-scratch"),
        ({"data": ()}, "--data, --from-db or --synthetic"),
        ({"data": (), "synthetic": 0.5}, "--data or --from-db for the rest"),
        ({"epochs": 2}, "--steps or --epochs"),
        ({"steps": None, "synthetic": 1, "data": ()}, "give --steps"),
        ({"synthetic_recipe": "tiny"}, "with --synthetic-recipe give --synthetic"),
        ({"steps": None, "epochs": 1, "synthetic": 1, "data": ()}, "no end"),
        ({"lr": -1}, "lr: Input should be greater than 0"),
        ({"dtype": "float16"}, "dtype: Input should be"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        recipe(**given)


@pytest.mark.parametrize(
    ("given", "epochs"),
    [({}, 3), ({"data": (), "from_db": ["slip"]}, 3), ({"synthetic": 0.5}, 3), ({"epochs": 5}, 5)],
)
def test_labels_are_passed_three_times_where_nothing_is_said(given: dict[str, Any], epochs: int) -> None:
    made = recipe(steps=None, **given)
    assert (made.steps, made.epochs) == (None, epochs)
    assert recipe(**made.model_dump()) == made, "as it is read when a run goes on"
