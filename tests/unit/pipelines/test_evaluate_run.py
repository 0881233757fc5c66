"""Evaluation end to end over a scripted engine: parcels, their labels, and every way a document may end."""

import json
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.evaluate.labels import Label
from pipelines.evaluate.report import Report, details, report
from pipelines.evaluate.run import Evaluated, evaluate
from schemas import Example
from schemas.base import Schema
from schemas.errors import DeviceError, EmptyDocumentError
from schemas.wire import dump
from tests.cases import parcels
from tests.cases.worlds import make_runtime
from workers.engine.protocol import Request
from workers.testing import Answer, Answers, Scripted

TEXTS = [parcels.text("Ito", "4 pans", "2 mops"), parcels.text("Bolt Ltd", "1 lamp", weight="12.50")]


def label(text: str | None, **fields: Any) -> Label:
    """All right, but for `fields`."""
    gold: dict[str, Any] = {}
    if text is not None:
        wire = parcels.record(text)
        items = [{"name": item["name"], "count": int(item["count"])} for item in wire["items"]]
        gold = wire | {"weight": Decimal(wire["weight"]), "items": items}
    return Label(name="a label", text=text, gold=gold | fields)


def run(tmp_path: Path, labels: list[Label], answers: Answers = parcels.answer, **settings: Any) -> Evaluated:
    schemas = parcels.write_schema(tmp_path / "schemas")
    runtime = make_runtime(f"sqlite:///{tmp_path / 'gleaner.db'}", schemas, answers, **settings)
    return evaluate(runtime, runtime.registry.get("parcel"), labels)


def measure(tmp_path: Path, labels: list[Label], answers: Answers = parcels.answer) -> Report:
    return report(run(tmp_path, labels, answers))


def answering(**fields: Any) -> Callable[[Request], Answer]:
    """The right answer but for some fields."""
    return lambda request: dump(parcels.record(request.document) | fields)


def test_a_perfect_model_has_perfect_figures(tmp_path: Path) -> None:
    made = measure(tmp_path, [label(text) for text in TEXTS])
    assert (made.num_documents, asdict(made.states)) == (
        2,
        {"done": 2, "truncated": 0, "invalid": 0, "failed": 0},
    )
    assert list(made.fields) == [
        "receiver",
        "weight",
        "speed",
        "box.colour",
        "box.sealed",
        "items[].name",
        "items[].count",
    ]
    assert all(figures.f1 == 1.0 for figures in (*made.fields.values(), *made.loose_fields.values()))
    assert (made.overall.f1, made.overall.num_gold, made.overall.null_rate) == (1.0, 16, None)
    assert (made.exact_records, made.loose_exact_records) == (1.0, 1.0)
    assert asdict(made.backing) == {"grounded": 1.0, "leaked": 0.0}


def test_a_mistake_counts_once_for_gold_and_once_for_what_was_extracted(tmp_path: Path) -> None:
    made = measure(tmp_path, [label(TEXTS[0], receiver="ITO."), label(TEXTS[1])])
    assert (made.overall.precision, made.overall.recall, made.overall.f1) == (15 / 16, 15 / 16, 15 / 16)
    assert (made.fields["receiver"].f1, made.loose_fields["receiver"].f1) == (0.5, 1.0)
    assert (made.exact_records, made.loose_exact_records) == (0.5, 1.0)


def test_only_labelled_fields_are_scored(tmp_path: Path) -> None:
    made = measure(tmp_path, [Label(name="a", text=TEXTS[0], gold={"weight": Decimal("1.5")})])
    assert list(made.fields) == ["weight"]
    assert (made.overall.f1, made.exact_records) == (1.0, 1.0)


def test_documents_that_fail_count_as_wrong(tmp_path: Path) -> None:
    """Of four with 8 values each, one was extracted."""
    bad = [label(TEXTS[0] + word) for word in (" GRAMMAR", " GARBLED")]
    unreadable = Label(
        name="a", text=None, gold=label(TEXTS[0]).gold | {"weight": None}, error=EmptyDocumentError("Empty.")
    )
    evaluated = run(tmp_path, [label(TEXTS[0]), *bad, unreadable])
    made = report(evaluated)
    assert [scored.state for scored in evaluated.scored] == ["done", "failed", "invalid", "failed"]
    num_values = len(label(TEXTS[0]).gold["items"]) * 2 + 5
    assert made.overall.recall == num_values / (4 * num_values - 1)
    assert (made.overall.precision, made.overall.null_rate, made.exact_records) == (1.0, 0.0, 0.25)


def test_a_truncated_answer_has_no_values(tmp_path: Path) -> None:
    items = [{"name": "pans", "count": "4"}] * 30
    evaluated = run(tmp_path, [label(TEXTS[0])], answering(items=items))
    assert evaluated.scored[0].state == "truncated"
    made = report(evaluated)
    assert (made.overall.recall, made.overall.precision) == (0.0, None)


def test_in_review_what_converts_is_scored(tmp_path: Path) -> None:
    made = measure(tmp_path, [label(TEXTS[0])], answering(weight="kg"))
    assert made.states.invalid == 1
    assert made.fields["weight"].f1 == 0.0
    assert (made.overall.num_right, made.overall.num_found) == (8, 9)


def test_in_review_a_value_that_does_not_convert_is_no_null(tmp_path: Path) -> None:
    made = measure(tmp_path, [label(TEXTS[0], weight=None)], answering(weight="kg"))
    assert (made.fields["weight"].precision, made.fields["weight"].null_rate) == (0.0, 0.0)


def test_values_from_examples_are_found(tmp_path: Path) -> None:
    """`Ann` stands in an example, `Zed` nowhere; six values are copied."""
    leaking = measure(tmp_path / "a", [label(TEXTS[0])], answering(receiver="Ann"))
    assert asdict(leaking.backing) == {"grounded": 6 / 7, "leaked": 1 / 7}
    inventing = measure(tmp_path / "b", [label(TEXTS[0])], answering(receiver="Zed"))
    assert asdict(inventing.backing) == {"grounded": 6 / 7, "leaked": 0.0}
    # `fork` is in an example and in the document
    both = measure(tmp_path / "c", [label(parcels.text("Bo", "2 forks"))])
    assert both.backing.leaked == 0.0


def test_values_from_examples_that_the_prompt_did_not_show_are_no_leak(tmp_path: Path) -> None:
    schemas = parcels.write_schema(tmp_path / "schemas")
    runtime = make_runtime(f"sqlite:///{tmp_path / 'gleaner.db'}", schemas, answering(receiver="Zed"))
    schema = runtime.registry.get("parcel")
    last = parcels.text("Zed", "5 bricks")
    shots = [*schema.examples * 4, Example(text=last, record=parcels.record(last))]

    def leaked(text: str, **settings: Any) -> float | None:
        asked = Schema(schema.model, shots, schema.settings.model_copy(update=settings))
        return report(evaluate(runtime, asked, [label(text)])).backing.leaked

    # the ninth is never among the first, and the nearest to a text that holds its words
    text = parcels.text("Ito", "2 bricks")
    assert leaked(text) == 0.0
    assert leaked(text, shots="nearest") == 1 / 5


def test_confidence_is_compared_with_correctness(tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        text = dump(parcels.record(request.document) | {"receiver": "red"})
        start = text.encode().index(b'"red"')
        doubted = range(start, start + len(b'"red"'))
        return Scripted(text, logprobs=[-0.2 if at in doubted else 0.0 for at in range(len(text.encode()))])

    made = measure(tmp_path, [label(TEXTS[0])], answer)
    # five tokens of -0.2: exp(-1) is 0.37, and the value is wrong; the other eight are sure and right
    assert [(each.low, each.count, each.accuracy) for each in made.calibration.bins if each.count] == [
        (0.3, 1, 0.0),
        (0.9, 8, 1.0),
    ]
    assert made.calibration.error == pytest.approx(0.36788 / 9, abs=1e-4)
    assert (made.calibration.if_right, made.calibration.if_wrong) == (1.0, pytest.approx(0.36788, abs=1e-4))


def test_items_in_another_order_keep_their_own_confidence(tmp_path: Path) -> None:
    """The wrong item is the doubted one, wherever gold has it."""
    text = parcels.text("Ito", "4 pans", "2 mops")

    def answer(request: Request) -> Answer:
        written = dump(parcels.record(request.document)).encode()
        start = written.index(b'"mops"')
        doubted = range(start, start + len(b'"mops"'))
        return Scripted(written.decode(), [-0.3 if at in doubted else 0.0 for at in range(len(written))])

    gold = label(text, items=[{"name": "mugs", "count": 2}, {"name": "pans", "count": 4}])
    made = measure(tmp_path, [gold], answer)
    assert made.calibration.if_right == 1.0
    assert made.calibration.if_wrong == pytest.approx(0.165, abs=1e-3)


def test_documents_are_extracted_as_many_together_as_the_engine_takes(tmp_path: Path) -> None:
    schemas = parcels.write_schema(tmp_path / "schemas")
    runtime = make_runtime(f"sqlite:///{tmp_path / 'gleaner.db'}", schemas, batch_size=2)
    counted: list[int] = []
    texts = [parcels.text(f"Person {n}", "1 rug") for n in range(5)]
    schema = runtime.registry.get("parcel")
    evaluated = evaluate(runtime, schema, [label(text) for text in texts], on_scored=counted.append)
    assert counted == [2, 2, 1]
    assert [scored.label.text for scored in evaluated.scored] == texts
    assert report(evaluated).overall.f1 == 1.0


def test_the_cost_is_that_of_all_documents(tmp_path: Path) -> None:
    speed = measure(tmp_path, [label(text) for text in TEXTS]).speed
    assert speed.output_tokens == sum(len(dump(parcels.record(text)).encode()) for text in TEXTS)
    assert speed.prompt_tokens > speed.output_tokens
    assert speed.seconds > 0 and speed.documents_per_s == pytest.approx(2 / speed.seconds)


def test_a_lost_device_ends_the_evaluation(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        measure(tmp_path, [label(TEXTS[0] + " LOST")])


def test_a_report_is_json_without_nan(tmp_path: Path) -> None:
    made = measure(tmp_path, [label(TEXTS[0] + " GRAMMAR")])
    assert json.loads(json.dumps(asdict(made), allow_nan=False))["overall"]["precision"] is None


def test_details_name_what_is_not_right(tmp_path: Path) -> None:
    labels = [label(TEXTS[0], receiver="Otto", weight=None), label(TEXTS[1] + " GRAMMAR")]
    first, second = map(details, run(tmp_path, labels).scored)
    assert json.loads(json.dumps(first)) == first
    assert first["state"] == "done" and first["wire_record"]["receiver"] == "Ito"
    assert first["errors"] == [
        {"field": "receiver", "verdict": "wrong", "gold": "Otto", "found": "Ito", "confidence": 1.0},
        {"field": "weight", "verdict": "spurious", "gold": None, "found": "1.50", "confidence": 1.0},
    ]
    assert (first["shots"], second["shots"]) == ([0, 1], [])
    assert second["error"] == "The decoder refuses the grammar." and second["wire_record"] is None
    assert {error["verdict"] for error in second["errors"]} == {"missing"}
