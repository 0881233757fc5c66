"""Synthetic documents are judged by their own records."""

import json
import math
from dataclasses import replace
from itertools import islice

import pytest

from pipelines.evaluate.synthetic import answer, synthetic_report
from pipelines.train.data import Synthetic, Task
from schemas.errors import ConfigurationError
from schemas.forms import Leaf, leaves
from schemas.wire import dump
from workers.engine.protocol import Finish
from workers.prompt import Envelope
from workers.testing import Scripted, ScriptedEngine

NUMBER = 12


def tasks(recipe: str) -> list[Task]:
    return list(islice(Synthetic(recipe=recipe, seed=0).tasks("eval"), NUMBER))


def engine_of(answers: dict[str, str]) -> ScriptedEngine:
    return ScriptedEngine(answers, max_positions=40_000)


@pytest.mark.parametrize("recipe", ["random", "receipt"])
def test_right_answers_are_right(recipe: str) -> None:
    engine = engine_of({task.example.text: dump(task.example.record) for task in tasks(recipe)})
    made = synthetic_report(answer(engine, Envelope(), recipe=recipe, number=NUMBER, batch_size=5))
    assert made.num_documents == NUMBER and made.num_unfinished == 0
    assert made.overall.f1 == 1.0 and made.overall.null_rate in (1.0, None) and made.exact_records == 1.0


def test_values_left_out_are_missing() -> None:
    """Each document loses its first text; nothing else is touched."""
    answers: dict[str, str] = {}
    num_lost = 0
    for task in tasks("random"):
        record = dict(task.example.record)
        leaves = [
            name for name, form in task.schema.form.wire_fields if isinstance(form, Leaf) and record[name]
        ]
        for name in leaves[:1]:
            record[name] = None
            num_lost += 1
        answers[task.example.text] = json.dumps(record, ensure_ascii=False)
    made = synthetic_report(answer(engine_of(answers), Envelope(), recipe="random", number=NUMBER))
    num_gold = made.overall.num_gold
    assert num_lost > 0
    assert made.overall.precision == 1.0
    assert made.overall.recall == (num_gold - num_lost) / num_gold


def test_optional_values_that_are_unsure_are_left_empty() -> None:
    answers = {
        task.example.text: Scripted(dump(task.example.record), logprobs=-9.0) for task in tasks("random")
    }

    def recall(empty_below: float) -> float | None:
        engine = ScriptedEngine(answers, max_positions=40_000)
        answered = answer(engine, Envelope(), recipe="random", number=NUMBER, empty_below=empty_below)
        return synthetic_report(answered).overall.recall

    optional = [
        (value, leaf.nullable or leaf.is_item)
        for task in tasks("random")
        for _, leaf, value in leaves(task.schema.form, task.example.record)
    ]
    num_kept = sum(value is not None and not may_be_empty for value, may_be_empty in optional)
    num_all = sum(value is not None for value, _ in optional)
    assert 0 < num_kept < num_all
    assert recall(1.0) == num_kept / num_all
    assert recall(0.0) == 1.0


def test_how_sure_it_was_is_told_of_right_and_of_wrong_values() -> None:
    """The first skill is so unsure that it is left out, the last somewhat; behind one left out the others move up."""
    task = next(task for task in tasks("job_posting") if len(task.example.record["skills"]) > 2)
    record = dict(task.example.record)
    *_, last = record["skills"] = [*record["skills"], "Somersaults"]
    written = dump(record)
    logprobs = [0.0] * len(written)
    logprobs[written.index(dump(record["skills"][0]))] = -3.0
    logprobs[written.index(dump(last))] = -1.0
    engine = ScriptedEngine(lambda request: Scripted(written, logprobs=logprobs), max_positions=40_000)
    (answered,) = (
        each
        for each in answer(engine, Envelope(), recipe="job_posting", number=NUMBER, empty_below=0.2)
        if each.task.example == task.example
    )
    number = len(record["skills"]) - 2
    assert answered.confidences["skills", number] == pytest.approx(math.exp(-1))
    assert ("skills", number + 1) not in answered.confidences
    sure = synthetic_report([answered]).calibration
    assert (sure.if_right, sure.if_wrong) == (1.0, pytest.approx(math.exp(-1)))


def test_an_answer_without_an_end_is_wrong() -> None:
    class Cut(ScriptedEngine):
        def complete(self, requests):  # type: ignore[no-untyped-def]
            return [replace(each, finish=Finish.LENGTH) for each in super().complete(requests)]

    answers = {task.example.text: dump(task.example.record) for task in tasks("random")}
    engine = Cut(answers, max_positions=40_000)
    made = synthetic_report(answer(engine, Envelope(), recipe="random", number=NUMBER))
    assert made.num_unfinished == NUMBER and made.overall.num_right == 0 and made.exact_records == 0.0


def test_an_unknown_recipe_is_refused() -> None:
    engine = ScriptedEngine(lambda request: str(request))
    with pytest.raises(ConfigurationError, match="no synthetic recipe 'novel'"):
        list(answer(engine, Envelope(), recipe="novel", number=1))
