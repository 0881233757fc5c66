import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, HrmTextForCausalLM

from pipelines.train.batches import collate
from pipelines.train.data import Maker, Sample, held_out_tasks
from pipelines.train.heldout import HeldOut
from pipelines.train.journal import Bar, StepLine
from pipelines.train.labels import Labels
from pipelines.train.model import make_model
from pipelines.train.objective import score
from pipelines.train.prepare import make_data
from pipelines.train.run import Run
from pipelines.train.trainer import Trainer, rate
from schemas.errors import ConfigurationError
from tests.cases.slips import ARCHITECTURE, read_log, recipe
from workers.engine.engine import HrmTextEngine
from workers.engine.identity import identify
from workers.engine.tokenizer import PlainTokenizer
from workers.extract import Extractor
from workers.prompt import Envelope


@pytest.fixture
def model(tokenizer: PlainTokenizer) -> HrmTextForCausalLM:
    return make_model(ARCHITECTURE, tokenizer, "cpu")


@pytest.fixture
def samples(maker: Maker) -> list[Sample]:
    return [sample for sample in maker.chunk(0)[:12] if sample]


def trainer_of(model: HrmTextForCausalLM, dtype: torch.dtype = torch.float32, **given: Any) -> Trainer:
    return Trainer(model, recipe(**given), dtype)


def test_the_rate_rises_then_falls_on_a_cosine_to_its_floor() -> None:
    plan = recipe(lr=1.0, warmup=0.2, lr_floor=0.1)
    assert rate(plan, 0.1) == pytest.approx(0.5)
    assert rate(plan, 0.2) == pytest.approx(1.0)
    assert rate(plan, 0.6) == pytest.approx(0.55)
    assert rate(plan, 1.0) == pytest.approx(0.1)
    assert rate(recipe(lr=1.0, warmup=0.0), 0.0) == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_learns(model: HrmTextForCausalLM, samples: list[Sample], dtype: torch.dtype) -> None:
    trainer = trainer_of(model, dtype)
    score(model, collate(samples), dtype).loss.backward()
    assert [name for name, weight in trainer.weights.items() if not weight.grad.abs().sum() > 0] == []
    assert {name for name, _ in model.named_parameters()} - trainer.weights.keys() == {"model.z_L_init"}


def test_bfloat16_has_the_gradient_of_float32(model: HrmTextForCausalLM, samples: list[Sample]) -> None:
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        model.zero_grad()
        score(model, collate(samples), dtype).loss.backward()
        gradients[dtype] = {name: p.grad.flatten() for name, p in model.named_parameters() if p.requires_grad}
    for name, exact in gradients[torch.float32].items():
        rounded = gradients[torch.bfloat16][name]
        assert torch.cosine_similarity(exact, rounded, dim=0) > 0.99, name
        assert rounded.norm().item() == pytest.approx(exact.norm().item(), rel=0.05), name


def test_recomputing_activations_changes_no_gradient(
    model: HrmTextForCausalLM, samples: list[Sample], tokenizer: PlainTokenizer
) -> None:
    score(model, collate(samples), torch.float32).loss.backward()
    again = make_model(ARCHITECTURE, tokenizer, "cpu")
    trainer_of(again, recompute=True)
    score(again, collate(samples), torch.float32).loss.backward()
    for (name, one), two in zip(model.named_parameters(), again.parameters(), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(two.grad, one.grad, msg=name)


def test_accumulated_batches_are_one(
    model: HrmTextForCausalLM, samples: list[Sample], tokenizer: PlainTokenizer
) -> None:
    # of unequal numbers of answer tokens, so that a mean of means would differ
    parts = [collate(samples[:2]), collate(samples[2:])]
    trainer, other = trainer_of(model), trainer_of(make_model(ARCHITECTURE, tokenizer, "cpu"))
    apart, whole = trainer.step(parts, 0.5), other.step([collate(samples)], 0.5)
    torch.testing.assert_close(apart.loss, whole.loss)
    torch.testing.assert_close(apart.gradient, whole.gradient, rtol=1e-4, atol=0)
    assert (apart.num_samples, apart.num_tokens) == (whole.num_samples, whole.num_tokens)


def test_the_gradient_is_clipped_and_the_rate_is_set(
    model: HrmTextForCausalLM, samples: list[Sample]
) -> None:
    trainer = trainer_of(model, clip=1e-4, lr=1.0)
    step = trainer.step([collate(samples)], 0.5)
    assert step.gradient > 1
    (optimizer,) = trainer.optimizers.members
    assert optimizer.param_groups[0]["lr"] == step.lr == pytest.approx(0.55, abs=0.02)
    moments = [trainer.optimizers.moments(weight)["exp_avg"] for weight in trainer.weights.values()]
    length = torch.stack([(moment / 0.1).norm() for moment in moments]).norm()
    assert length == pytest.approx(1e-4, rel=1e-2)


def test_muon_moves_the_matrices_of_the_stacks_alike_in_all_directions(
    model: HrmTextForCausalLM, samples: list[Sample]
) -> None:
    trainer = trainer_of(model, optimizer="muon", lr=0.01, weight_decay=0.0)
    before = {name: weight.detach().clone() for name, weight in trainer.weights.items()}
    step = trainer.step([collate(samples)], 0.5)
    tables = {"model.embed_tokens.weight", "lm_head.weight"}
    assert tables < trainer.weights.keys()
    for name, weight in trainer.weights.items():
        moved = (weight.detach() - before[name]) / step.lr
        if name in tables:
            # AdamW's first step: every number that has a gradient moves as far
            assert moved.abs().max().item() == pytest.approx(1, rel=0.01), name
        else:
            # as long as that of AdamW mostly is
            lengths = torch.linalg.svdvals(moved) / (0.2 * max(moved.shape) ** 0.5)
            assert 0.6 < lengths.median() < lengths.max() < 1.3, name


def test_the_average_follows_the_weights(model: HrmTextForCausalLM, samples: list[Sample]) -> None:
    trainer = trainer_of(model, ema=0.2)
    name = "lm_head.weight"
    expected = trainer.weights[name].detach().clone()
    for number in (1, 2, 3):
        trainer.step([collate(samples)], 0.5)
        keep = min(0.2, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * trainer.weights[name].detach()
    torch.testing.assert_close(trainer.average[name], expected)
    weight = trainer.weights[name].detach().clone()
    with trainer.averaged() as averaged:
        assert torch.equal(averaged.lm_head.weight, trainer.average[name]) is False
        torch.testing.assert_close(averaged.lm_head.weight.clone(), expected)
    assert torch.equal(trainer.weights[name], weight)
    torch.testing.assert_close(trainer.average[name], expected)


def test_held_out_figures_are_means_over_answer_tokens(
    model: HrmTextForCausalLM, labels: Labels, tokenizer_file: Path
) -> None:
    data = make_data(recipe(), [labels], tokenizer_file, Envelope())
    tasks = data.held_out(3)
    assert [task.example for task, _ in tasks] == [
        task.example for task in list(held_out_tasks(labels, data.tokenizer, 512, Envelope()))[:3]
    ]
    held_out = HeldOut(tasks, data.tokenizer, tokens_per_batch=256, num_extracted=2)
    figures = held_out.measure(trainer_of(model))
    with torch.no_grad():
        whole = score(model, collate([sample for _, sample in tasks]), torch.float32)
    assert figures.loss == pytest.approx(whole.loss.item() / whole.num_tokens, rel=1e-5)
    assert figures.accuracy == pytest.approx(whole.num_right.item() / whole.num_tokens)
    assert (figures.exact, figures.num_extracted) == (0.0, 2)


def test_a_run_learns_and_leaves_a_checkpoint_with_its_card(
    tmp_path: Path, make_run: Callable[..., Run], labels: Labels
) -> None:
    run = make_run(tmp_path / "out", steps=60, evaluate_every=25, held_out=2, extract=50)
    assert run.train(resume=False)
    losses = [line["loss"] for line in read_log(run.out)]
    assert len(losses) == 60
    assert sum(losses[-5:]) / 5 < losses[0] / 2
    assert [line["step"] for line in read_log(run.out, "evaluation")] == [25, 50, 60]

    model, report = AutoModelForCausalLM.from_pretrained(run.out, output_loading_info=True)
    assert (model.dtype, report["missing_keys"], report["unexpected_keys"]) == (torch.bfloat16, set(), set())
    checkpoint = identify(run.out)
    assert not checkpoint.is_placeholder
    engine = HrmTextEngine.load(run.out, device="cpu")
    extraction = Extractor(labels.schema, engine).extract([labels.held_out[0].text])[0]
    assert extraction.error is None
    assert extraction.cost.output_tokens > 0

    card_file = run.out / "README.md"
    card = card_file.read_text()
    assert checkpoint.digest in card
    assert "gleaner run slip " in card
    assert "slip: 36 to learn from, 4 held out, 0 left out" in card
    best = min(read_log(run.out, "evaluation"), key=lambda line: line["loss"])
    assert f"averaged weights of step {best['step']}" in card
    assert re.search(rf"\| {best['loss']:.4f} \| .*% of 2 \|", card)
    assert not [*run.states.glob("state-*"), *run.states.glob("best-*")]
    modes = {file.stat().st_mode for file in run.out.iterdir() if file.is_file()}
    assert modes == {card_file.stat().st_mode}, "some files are not for all who may read the others"


def test_the_best_weights_are_those_that_are_saved(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "out")
    kept = {}
    measure = HeldOut.measure

    def worse_and_worse(self: HeldOut, trainer: Trainer) -> Any:
        kept[trainer.num_steps] = {name: tensor.clone() for name, tensor in trainer.average.items()}
        figures = measure(self, trainer)
        object.__setattr__(figures, "loss", float(trainer.num_steps))
        return figures

    monkeypatch.setattr(HeldOut, "measure", worse_and_worse)
    assert run.train(resume=False)
    assert sorted(kept) == [5, 10, 12]
    saved = AutoModelForCausalLM.from_pretrained(run.out)
    for name, weight in saved.named_parameters():
        if name in kept[5]:
            assert torch.equal(weight, kept[5][name].bfloat16()), name


def test_fine_tuning_begins_at_its_base_and_ends_after_its_epochs(
    tmp_path: Path, make_run: Callable[..., Run], labels: Labels
) -> None:
    base = make_run(tmp_path / "base", steps=40)
    assert base.train(resume=False)
    tuned = make_run(tmp_path / "tuned", base=str(base.out), architecture=None, steps=None, epochs=2, lr=3e-5)
    assert tuned.train(resume=False)
    lines = read_log(tuned.out)
    assert sum(line["samples"] for line in lines) == 2 * len(labels.train)
    assert lines[0]["loss"] < read_log(base.out)[0]["loss"] / 1.5
    assert lines[-1]["lr"] == pytest.approx(3e-6)
    assert (tuned.out / "tokenizer.json").read_bytes() == (base.out / "tokenizer.json").read_bytes()
    assert "fine-tuned from `base`" in (tuned.out / "README.md").read_text()


def test_a_loss_that_is_not_finite_ends_the_run_before_a_state_is_saved(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "out")

    def ruined(*arguments: Any) -> HrmTextForCausalLM:
        model = make_model(*arguments)
        with torch.no_grad():
            model.lm_head.weight.fill_(math.nan)
        return model

    monkeypatch.setattr("pipelines.train.run.make_model", ruined)
    with pytest.raises(ConfigurationError, match="The loss of step 1 is nan"):
        run.train(resume=False)
    assert not list(run.states.glob("state-*"))


@pytest.mark.parametrize(("read_s", "told"), [(0.0, list(range(1, 13))), (1e9, [4, 5, 8, 10, 12])])
def test_slow_steps_are_told_one_by_one(
    tmp_path: Path,
    make_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    read_s: float,
    told: list[int],
) -> None:
    steps: list[int] = []

    def show(self: Bar, share: float, line: StepLine) -> None:
        steps.append(line.step)

    monkeypatch.setattr("pipelines.train.loop._READ_S", read_s)
    monkeypatch.setattr(Bar, "show", show)
    assert make_run(tmp_path / "out").train(resume=False)
    assert steps == told
