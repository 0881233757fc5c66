import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from llguidance import LLMatcher, LLTokenizer

from pipelines.train.synthetic import RECIPES, Recipe, Sample, preview, sample, samples
from pipelines.train.synthetic.domains import HELD_BACK_NAMES
from pipelines.train.synthetic.draw import Labels, draw_plan, fill
from pipelines.train.synthetic.genres.registry import BARE, GENRES
from pipelines.train.synthetic.made_up import made_up
from pipelines.train.synthetic.page import Split, templates_of
from pipelines.train.synthetic.pools import company
from pipelines.train.synthetic.samples import MAX_EXAMPLES
from pipelines.train.synthetic.sheet import Written
from pipelines.train.synthetic.things import skill, thing
from pipelines.train.synthetic.words import WORDS
from pipelines.train.synthetic.writers import WRITERS
from schemas.candidates import candidates, is_offered
from schemas.errors import ConversionError
from schemas.examples import MIN_EXAMPLES
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from schemas.reading import read
from schemas.registry import Registry
from schemas.text import clean, words
from schemas.wire import dump, wire_schema
from workers.engine import grammar

ROOT = Path(__file__).resolve().parents[3]
BYTES = LLTokenizer("byte")
SPLITS: tuple[Split, ...] = ("train", "eval")
CASES = [(split, name) for split in SPLITS for name in RECIPES]


def drawn(split: Split, recipe: str, number: int, seed: int = 1) -> list[Sample]:
    made = samples(seed, split=split, recipe=RECIPES[recipe], num_siblings=lambda index: index % 3)
    return list(islice(made, number))


def pairs(made: Sample) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document, the examples and the siblings as (text, record)."""
    yield made.document, made.record
    yield from ((example.text, example.record) for example in (*made.examples, *made.siblings))


def leaves(form: Form, value: Any) -> Iterator[tuple[Leaf, Any]]:
    if isinstance(form, ObjectForm):
        for name, field in form.wire_fields:
            yield from leaves(field, value[name])
    elif isinstance(form, ListForm):
        for item in value:
            yield from leaves(form.item, item)
    else:
        yield form, value


def edges(text: str) -> set[int]:
    """Where a text value may begin and end."""
    out, end = {0}, 0
    for word in words(text):
        end += len(word)
        out.add(end)
    return out


def is_run_of_words(value: str, text: str, borders: set[int]) -> bool:
    start = text.find(value)
    while start >= 0:
        if {start, start + len(value)} <= borders:
            return True
        start = text.find(value, start + 1)
    return False


def faults(form: ObjectForm, text: str, record: dict[str, Any]) -> Iterator[str]:
    borders = edges(text)
    for leaf, value in leaves(form, record):
        if value is None or not leaf.is_verbatim:
            continue
        if len(value) > leaf.max_length:
            yield f"{value!r} is too long"
        if not is_offered(leaf):
            if value != value.strip() or not is_run_of_words(value, text, borders):
                yield f"{value!r} is no run of whole words"
        elif value not in candidates(leaf, text):
            yield f"{value!r} is no {leaf.kind} of the text"


@pytest.mark.parametrize(("split", "recipe"), CASES)
def test_values_stand_in_the_document_and_read(split: Split, recipe: str) -> None:
    for made in drawn(split, recipe, 150):
        for text, record in pairs(made):
            assert list(faults(made.form, text, record)) == [], text


def test_made_up_fields_are_named_by_the_words_that_label_them() -> None:
    for seed in range(50):
        domain = made_up(Random(seed))
        fields = [field for concept in domain.concepts for field in (concept, *concept.parts)]
        assert len({field.names[0] for field in fields}) == len(fields)
        for field in fields:
            parts = set(field.names[0].split("_"))
            assert all(parts <= set(re.findall(r"\w+", label.lower())) for label in field.labels)


def test_only_training_is_about_made_up_matters() -> None:
    train, evaluated = ({made.name for made in drawn(split, "random", 60)} for split in SPLITS)
    assert "made up" in train
    assert "made up" not in evaluated


def test_siblings_change_nothing_else_of_a_sample() -> None:
    alone, together = (
        sample(3, 7, split="train", recipe=RECIPES["random"], num_siblings=number) for number in (0, 5)
    )
    assert len(together.siblings) == 5
    assert len({example.text for example in together.siblings} | {together.document}) == 6
    assert replace(together, siblings=()) == alone


@pytest.mark.parametrize(("split", "recipe"), CASES)
def test_records_satisfy_the_wire_schema_and_texts_are_clean(split: Split, recipe: str) -> None:
    for made in drawn(split, recipe, 150):
        validator = Draft202012Validator(wire_schema(made.form))
        for text, record in pairs(made):
            assert [error.message for error in validator.iter_errors(record)] == []
            assert list(record) == [name for name, _ in made.form.wire_fields]
            assert text == clean(text)
            assert text.strip()
            assert not any("\ue000" <= char <= "\uf8ff" for char in text + dump(record))


@pytest.mark.parametrize(
    ("split", "recipe"), [(split, name) for split in SPLITS for name in ("random", "catalog")]
)
def test_the_grammar_of_a_document_accepts_its_record(split: Split, recipe: str) -> None:
    for made in drawn(split, recipe, 40, seed=2):
        answer = dump(made.record).encode()
        matcher: LLMatcher = grammar.matcher(grammar.build(made.form, made.document), BYTES)
        assert matcher.try_consume_tokens(list(answer)) == len(answer), (made.document, answer)
        assert matcher.is_accepting()


def test_typed_values_convert() -> None:
    for made in drawn("train", "default", 100, seed=3):
        for text, record in pairs(made):
            for leaf, value in leaves(made.form, record):
                if value is not None and leaf.is_verbatim:
                    try:
                        read(leaf, value)
                    except ConversionError as exc:
                        pytest.fail(f"{exc} in {text!r}")


@pytest.mark.parametrize(("split", "recipe"), CASES)
def test_samples_have_the_size_the_recipe_says(split: Split, recipe: str) -> None:
    limits: Recipe = RECIPES[recipe]
    for made in drawn(split, recipe, 100):
        assert MIN_EXAMPLES <= len(made.examples) <= min(MAX_EXAMPLES, limits.max_examples)
        assert made.num_chars <= max(limits.own_sizes.get(made.name, limits.sizes))
        assert made.document not in [example.text for example in made.examples]


def test_splits_share_no_template() -> None:
    templates = {split: {made.template for made in drawn(split, "default", 600)} for split in SPLITS}
    assert templates["train"].isdisjoint(templates["eval"])
    genres = {split: {template.partition("/")[0] for template in templates[split]} for split in SPLITS}
    assert len(genres["train"]) > 25
    assert len(genres["eval"]) > 20


def look(kind: str, template: str) -> tuple[str, ...]:
    """What the same documents look like in a template, tables apart."""

    def document(rng: Random) -> Written | None:
        if kind != "random":
            return WRITERS[kind](rng, "train").write(template, rng, room=4_000)
        plan = draw_plan(rng, "train")
        page, record = fill(plan, Labels(plan, "the same"), template, rng)
        page.facts = [fact for fact in page.facts if not fact.rows]
        text = {**GENRES, **BARE}[template.partition("/")[0]](page)
        return page.sheet.finish(text, record)

    return tuple(written.text for seed in range(100, 108) if (written := document(Random(seed))))


@pytest.mark.parametrize("kind", Recipe().shares)
def test_splits_share_no_layout(kind: str) -> None:
    templates = {
        split: {each for seed in range(150) for each in WRITERS[kind](Random(seed), split).templates}
        for split in SPLITS
    }
    train = {look(kind, template): template for template in templates["train"]}
    twins = {template: train.get(look(kind, template)) for template in templates["eval"]}
    assert len(twins) > 10
    assert {template: twin for template, twin in twins.items() if twin} == {}
    assert kind != "random" or {template.partition("/")[0] for template in train.values()} == {*GENRES, *BARE}


def test_only_the_eval_split_is_without_templates_that_look_like_others() -> None:
    train, held_back = (templates_of(split, ("form", "note"), 40) for split in SPLITS)
    twins = {held_back[0]: train[5], held_back[3]: train[0], held_back[4]: held_back[2]}

    def layout_of(template: str) -> str:
        return twins.get(template, template)

    assert templates_of("train", ("form", "note"), 40, layout_of) == train
    left = templates_of("eval", ("form", "note"), 40, layout_of)
    assert left == tuple(each for each in held_back if each not in (held_back[0], held_back[3]))


def test_the_eval_split_asks_for_fields_and_matters_that_training_never_saw() -> None:
    made = {split: drawn(split, "random", 500) for split in SPLITS}
    names = {split: {name for each in made[split] for name, _ in each.form.fields} for split in SPLITS}
    assert len(names["eval"] & HELD_BACK_NAMES) > 40
    assert names["train"].isdisjoint(HELD_BACK_NAMES)
    assert {each.name for each in made["eval"]} - {each.name for each in made["train"]} == {
        "farm",
        "realestate",
    }


def test_all_kinds_shapes_and_absences_are_taught() -> None:
    made = drawn("train", "default", 600)
    kinds = {leaf.kind for each in made for leaf, _ in leaves(each.form, each.record)}
    assert kinds == set(Kind)
    values = [value for each in made for value in each.record.values()]
    assert 0.03 < sum(value is None for value in values) / len(values) < 0.3
    assert [] in values
    assert any(isinstance(value, dict) for value in values)
    assert any(isinstance(value, list) and len(value) > 4 for value in values)
    assert any(isinstance(value, str) and "\n" in value for value in values)
    assert {len(each.examples) for each in made} == set(range(MIN_EXAMPLES, MAX_EXAMPLES + 1))


def test_a_sample_is_the_same_by_its_number() -> None:
    recipe = RECIPES["default"]
    every_third = list(islice(samples(5, split="train", recipe=recipe, start=1, step=3), 4))
    assert every_third == [sample(5, index, split="train", recipe=recipe) for index in (1, 4, 7, 10)]
    assert sample(6, 1, split="train", recipe=recipe) != every_third[0]
    assert sample(5, 1, split="eval", recipe=recipe) != every_third[0]


def test_samples_are_the_same_in_every_process() -> None:
    program = (
        "import hashlib; from itertools import islice; from pipelines.train.synthetic import samples\n"
        "made = islice(samples(7, split='train'), 30)\n"
        "print(hashlib.sha256(repr(list(made)).encode()).hexdigest())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "31"},
        capture_output=True,
        text=True,
        check=True,
    )
    made = list(islice(samples(7, split="train"), 30))
    assert answer.stdout.strip() == hashlib.sha256(repr(made).encode()).hexdigest()


def test_the_catalog_is_not_in_the_data() -> None:
    texts = "\n".join(text for made in drawn("train", "catalog", 300) for text, _ in pairs(made)).casefold()
    registry = Registry.load()
    records = [example.record for name in registry.names() for example in registry.get(name).examples]
    fields = ("company", "supplier_name", "customer_name", "customer_email", "address", "product")
    names = {record[field] for record in records for field in fields if record.get(field)}
    names |= {party for record in records for party in record.get("parties", [])}
    assert len(names) > 40
    assert {name for name in names if name.casefold() in texts} == set()


def test_names_of_things_are_too_many_to_learn() -> None:
    rng = Random(1)
    for draw in (lambda: thing(rng, WORDS["product"]), lambda: skill(rng), lambda: company(rng)):
        names = [draw() for _ in range(1000)]
        assert len(set(names)) > 450
        assert all(name == " ".join(name.split()) for name in names)


def test_only_names_tell_the_values_of_a_drill_of_names_apart() -> None:
    kinds, num_orders = [], []
    for made in drawn("train", "names", 60):
        assert all(isinstance(form, Leaf) and not form.choices for _, form in made.form.fields)
        kinds.append(len({form.kind for _, form in made.form.fields if isinstance(form, Leaf)}))
        printed = [
            (text, {name: value for name, value in record.items() if value is not None})
            for text, record in pairs(made)
        ]
        assert all(value in text for text, record in printed for value in record.values())
        everywhere = set.intersection(*(set(record) for _, record in printed))
        orders = {
            tuple(sorted(everywhere, key=lambda name: text.index(record[name]))) for text, record in printed
        }
        num_orders += [len(orders)] if len(everywhere) > 3 else []
    assert sum(kinds) / len(kinds) < 2
    # the fields stand in another order in nearly every document
    assert len(num_orders) > 15
    assert min(num_orders) > 1


def test_what_parts_the_items_of_a_list_does_not_stand_in_them() -> None:
    lists = [
        value
        for made in drawn("eval", "finish", 150, seed=4)
        if made.name.startswith("drill")
        for _, record in pairs(made)
        for value in record.values()
        if isinstance(value, list)
    ]
    texts = [item for value in lists for item in value if isinstance(item, str)]
    assert texts and not [text for text in texts if ", " in text or " and " in text]


def test_field_names_are_many() -> None:
    names = {name for made in drawn("train", "random", 1500) for name, _ in made.form.fields}
    assert len(names) > 600
    assert len(WORDS["product"]) > 80


def test_preview_shows_examples_document_and_answer() -> None:
    [made] = drawn("train", "default", 1)
    shown = preview(iter([made]), 3)
    assert made.template in shown
    assert made.document in shown
    assert shown.endswith(f"JSON:\n-> {dump(made.record)}")
    assert shown.count("JSON: ") == len(made.examples)
