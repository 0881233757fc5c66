import json
import pickle
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.train.data import CHUNK_SIZE, SIBLINGS, Maker, Sample, Synthetic, encode, held_out_tasks
from pipelines.train.labels import Labels, make_labels, read_file
from pipelines.train.prepare import Data
from pipelines.train.preview import preview
from pipelines.train.windows import fitting, restrict
from schemas import Example
from schemas.base import Schema
from schemas.errors import ConfigurationError
from schemas.validate import wire_faults
from schemas.wire import dump
from tests.cases.slips import as_printed, places, slip
from workers.engine.special_tokens import END_OF_ANSWER
from workers.engine.tokenizer import PlainTokenizer
from workers.prompt import Envelope, Prompter


def shown(tokenizer: PlainTokenizer, ids: Any) -> str:
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


def same(first: list[Sample | None], second: list[Sample | None]) -> bool:
    return len(first) == len(second) and all(
        a and b and a.num_prompt == b.num_prompt and np.array_equal(a.ids, b.ids)
        for a, b in zip(first, second, strict=True)
    )


def test_a_sample_is_the_prompt_of_extraction_and_the_wire_record(
    maker: Maker, tokenizer: PlainTokenizer
) -> None:
    for task in maker.tasks(0):
        sample = encode(task, tokenizer, 512, Envelope())
        assert sample
        prompt = Prompter(task.schema, tokenizer, 512, Envelope()).build(task.example.text, task.step)
        assert prompt
        assert tuple(sample.ids[: sample.num_prompt]) == prompt.ids
        *answer, end = sample.ids[sample.num_prompt :]
        assert shown(tokenizer, answer) == dump(task.example.record)
        assert end == tokenizer.special(END_OF_ANSWER)


def test_siblings_are_asked_for_behind_the_same_examples(maker: Maker, tokenizer: PlainTokenizer) -> None:
    tasks = [task for task in replace(maker, examples_block=True).tasks(0) if task.siblings]
    # a quarter of the samples stays as extraction without a shared block has it
    assert 0.6 * CHUNK_SIZE < len(tasks) < 0.9 * CHUNK_SIZE
    for task in tasks:
        texts = [example.text for example in (task.example, *task.siblings, *task.schema.examples)]
        assert len(set(texts)) == len(texts)
        sample = encode(task, tokenizer, 512, Envelope())
        assert sample
        assert len(sample.siblings) == SIBLINGS
        assert shown(tokenizer, sample.ids[: sample.num_shared]).endswith("}\n\n")
        for sibling, example in zip(sample.siblings, task.siblings, strict=True):
            alone = encode(replace(task, example=example, siblings=()), tokenizer, 512, Envelope())
            assert alone
            assert np.array_equal(sibling.ids, alone.ids)
            assert np.array_equal(sibling.ids[: sample.num_shared], sample.ids[: sample.num_shared])


def test_a_sibling_that_does_not_fit_is_left_out(maker: Maker, tokenizer: PlainTokenizer) -> None:
    task = next(task for task in replace(maker, examples_block=True).tasks(0) if task.siblings)
    long = replace(task.siblings[0], text=task.siblings[0].text + " and so on" * 500)
    sample = encode(replace(task, siblings=(long, *task.siblings[1:])), tokenizer, 512, Envelope())
    assert sample
    assert len(sample.siblings) == SIBLINGS - 1
    alone = encode(replace(task, siblings=(long,)), tokenizer, 512, Envelope())
    assert alone
    assert (alone.num_shared, alone.siblings) == (0, ())


def test_most_samples_are_direct_and_some_as_the_ladder_goes_on(maker: Maker) -> None:
    conditions = Counter(task.step.condition for chunk in range(8) for task in maker.tasks(chunk))
    assert conditions.keys() == {"direct", "synth,cot"}
    assert 0.02 < conditions["synth,cot"] / conditions.total() < 0.12


def test_a_document_is_never_among_its_own_examples(maker: Maker, labels: Labels) -> None:
    held_out = {example.text for example in labels.held_out}
    counts = set()
    for task in maker.tasks(0):
        texts = [example.text for example in task.schema.examples]
        counts.add(len(texts))
        assert task.example.text not in texts
        assert not held_out & {task.example.text, *texts}
        assert len(set(texts)) == len(texts)
    assert counts == set(range(2, 9))


def test_a_chunk_depends_on_its_number_alone(maker: Maker) -> None:
    before = [maker.chunk(number) for number in range(3)]
    content = pickle.dumps(maker)
    assert b"Slip" not in content, "another process may be unable to import the class of a schema"
    other: Maker = pickle.loads(content)
    assert same(other.chunk(2), before[2])
    assert not same(before[1], before[2])
    assert not same(replace(maker, seed=1).chunk(2), before[2])


def test_every_epoch_has_every_label_once(maker: Maker, labels: Labels) -> None:
    ends = replace(maker, num_samples=3 * len(labels.train))
    texts = [task.example.text for chunk in range(3) for task in ends.tasks(chunk)]
    assert len(texts) == 3 * len(labels.train)
    for epoch in range(3):
        seen = texts[epoch * len(labels.train) : (epoch + 1) * len(labels.train)]
        assert sorted(seen) == sorted(example.text for example in labels.train)
    assert texts[: len(labels.train)] != texts[len(labels.train) : 2 * len(labels.train)]
    assert ends.chunk(2) == []


def test_the_synthetic_share_is_kept(maker: Maker, fake_synthetic: None) -> None:
    mixed = replace(maker, share=0.3)
    templates = [task.template for chunk in range(5) for task in mixed.tasks(chunk)]
    synthetic = [template for template in templates if template]
    assert len(synthetic) == pytest.approx(0.3 * 5 * CHUNK_SIZE, abs=1)
    # each once, whatever chunk it falls into
    assert synthetic == [f"fake/{number}" for number in range(len(synthetic))]


def test_an_unknown_synthetic_recipe_is_refused_by_name(fake_synthetic: None) -> None:
    with pytest.raises(ConfigurationError, match="'nonsense'; there are default"):
        next(Synthetic(recipe="nonsense", seed=0).tasks("train"))


def test_a_label_that_does_not_ground_or_satisfy_is_left_out_with_its_reason(schema: Schema) -> None:
    good = [slip(1), slip(2), slip(3)]
    wrong_value = slip(4) | {"gold": {**slip(4)["gold"], "total": "12345.00"}}
    lacks_field = slip(5) | {"gold": {"shop": slip(5)["gold"]["shop"]}}
    labels = make_labels(
        schema, places([*good, wrong_value, lacks_field, "no json", {"origin": "x", "gold": {}}, slip(1)])
    )
    assert len(labels.train) + len(labels.held_out) == 3
    faults = {fault.place: (fault.field, fault.message) for fault in labels.left_out}
    assert faults["slips.jsonl:4"] == ("total", "'12345.00' does not stand in the text as a decimal")
    assert faults["slips.jsonl:5"][0] == "day"
    assert 'not a JSON object with "text" and "gold"' in faults["slips.jsonl:6"][1]
    assert 'not a JSON object with "text" and "gold"' in faults["slips.jsonl:7"][1]
    assert faults["slips.jsonl:8"] == ("", "the text stands twice in the data")
    assert str(labels) == "slip: 2 to learn from, 1 held out, 5 left out"


def test_clean_gold_becomes_what_is_printed(schema: Schema) -> None:
    labels = make_labels(schema, places([slip(1), slip(2)]))
    found = sorted([*labels.train, *labels.held_out], key=lambda example: example.text)
    assert found == sorted([as_printed(1), as_printed(2)], key=lambda example: example.text)


def test_gold_with_other_punctuation_becomes_what_is_printed(schema: Schema) -> None:
    plain, dotted = slip(1), slip(2)
    gold = {**dotted["gold"], "shop": f"{dotted['gold']['shop'].upper()}.".replace(" ", ", ")}
    labels = make_labels(schema, places([plain, dotted | {"gold": gold}]))
    assert not labels.left_out
    assert as_printed(2) in [*labels.train, *labels.held_out]


def test_too_few_labels_are_refused_with_the_first_reason(schema: Schema) -> None:
    wrong = slip(1) | {"gold": {**slip(1)["gold"], "total": "12345.00"}}
    with pytest.raises(
        ConfigurationError, match=r"1 labels of slip .* because total '12345.00' does not stand"
    ):
        make_labels(schema, places([wrong, slip(2)]))


def test_the_split_does_not_depend_on_the_order_of_the_lines(schema: Schema, labels: Labels) -> None:
    backwards = make_labels(schema, places([slip(number) for number in reversed(range(40))]))
    assert backwards.held_out == labels.held_out
    assert backwards.digest == labels.digest


def test_what_a_prompt_shows_is_learned_but_not_held_out(schema: Schema) -> None:
    own = [slip(number) for number in range(1000, 1004)]
    labels = make_labels(schema, places([*own, slip(1), slip(2)]))
    shown = {example.text for example in schema.examples}
    assert shown < {example.text for example in labels.train}
    assert not shown & {example.text for example in labels.held_out}
    with pytest.raises(ConfigurationError, match="All 4 labels of slip are examples of the schema"):
        make_labels(schema, places(own))


def test_a_file_of_labels_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"text": "a", "gold": {"total": 1.50}}) + "\n\nnonsense\n")
    (first, line), (second, broken) = read_file(path)
    assert (first, second, broken) == (f"{path}:1", f"{path}:3", "nonsense")
    assert line["gold"]["total"] == Decimal("1.5")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        list(read_file(tmp_path / "nothing.jsonl"))


def test_a_long_document_is_learned_in_the_windows_of_extraction(
    schema: Schema, tokenizer: PlainTokenizer
) -> None:
    example = as_printed(7)
    head, *rest = example.text.split("\n")
    filler = "\n".join(f"Line {number} of nothing at all." for number in range(60))
    long = Example(text="\n".join([head, filler, *rest]), record=example.record)
    prompter = Prompter(schema, tokenizer, 512, Envelope())
    parts = list(fitting(long, prompter))
    assert len(parts) > 1
    assert parts[0].record["shop"] == example.record["shop"]
    assert parts[0].record["total"] is None
    assert parts[-1].record == {**example.record, "shop": None}
    for part in parts:
        assert not wire_faults(schema, part.record)
        assert prompter.build(part.text, schema.settings.ladder[0])
    assert list(fitting(example, prompter)) == [example]


def test_a_window_keeps_the_items_that_stand_in_it() -> None:
    from schemas.catalog.invoice import Invoice

    form = Schema(Invoice, ()).form
    items = [
        {"description": name, "quantity": None, "unit_price": None, "amount": amount}
        for name, amount in (("Bolts", "4.00"), ("Nuts", "7.50"))
    ]
    record = dict.fromkeys(name for name, _ in form.wire_fields) | {"line_items": items, "total": "11.50"}
    kept = restrict(form, record, "Nuts and a total of 11.50")
    assert kept["line_items"] == [{**items[1], "amount": None}]
    assert kept["total"] == "11.50"


def test_examples_that_do_not_fit_give_way_to_the_schemas_own(
    maker: Maker, tokenizer: PlainTokenizer
) -> None:
    task = next(iter(maker.tasks(0)))
    long = [replace(shot, text=shot.text + " and on" * 200) for shot in task.schema.examples]
    schema = type(task.schema).of(task.schema, long)
    assert task.fallback
    assert encode(replace(task, schema=schema, fallback=None), tokenizer, 512, Envelope()) is None
    sample = encode(replace(task, schema=schema), tokenizer, 512, Envelope())
    own = encode(task.fallback, tokenizer, 512, Envelope())
    assert sample and own
    assert np.array_equal(sample.ids, own.ids)


def test_held_out_documents_are_asked_for_as_extraction_asks(
    labels: Labels, tokenizer: PlainTokenizer
) -> None:
    tasks = list(held_out_tasks(labels, tokenizer, 512, Envelope()))
    assert [task.example for task in tasks] == list(labels.held_out)
    assert all(task.schema.examples == labels.schema.examples for task in tasks)
    assert {task.step.condition for task in tasks} == {"direct"}


def test_a_preview_shows_prompt_and_answer(maker: Maker, labels: Labels, tokenizer: PlainTokenizer) -> None:
    data = Data(maker=maker, labels=[labels], tokenizer=tokenizer, envelope=Envelope())
    first, second = preview(data, 2)
    task = next(iter(maker.tasks(0)))
    assert first.startswith("=== sample 1: slip, condition")
    assert f"Text:\n{task.example.text}\nJSON:\n--- answer\n{dump(task.example.record)}<|box_end|>" in first
    assert second.startswith("=== sample 2")
    assert len(list(preview(data, 2 * CHUNK_SIZE))) == 2 * CHUNK_SIZE


def test_a_preview_of_samples_that_do_not_fit_says_so(
    fake_synthetic: None, maker: Maker, tokenizer: PlainTokenizer
) -> None:
    short = replace(maker, lessons=(), share=1.0, max_tokens=100)
    data = Data(maker=short, labels=[], tokenizer=tokenizer, envelope=Envelope())
    with pytest.raises(ConfigurationError, match="None of the first 64 samples fits 100 tokens"):
        list(preview(data, 1))
