"""The bundled schemas hold what their examples, samples and labels promise."""

import json
from collections.abc import Iterator
from functools import cache, partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipelines.readers import read
from pipelines.sources.base import File
from schemas import Registry
from schemas.examples import make_example
from schemas.forms import Form, ListForm, ObjectForm
from schemas.locate import collapse
from schemas.validate import to_record

REGISTRY = Registry.load()
FIELDS = {
    "invoice": [
        "invoice_number",
        "supplier_name",
        "customer_name",
        "issue_date",
        "due_date",
        "currency",
        "line_items",
        "subtotal",
        "tax",
        "total",
    ],
    "job_posting": [
        "title",
        "company",
        "location",
        "work_mode",
        "employment_type",
        "salary_min",
        "salary_max",
        "salary_currency",
        "skills",
    ],
    "nda": ["effective_date", "jurisdiction", "term", "parties"],
    "receipt": ["company", "date", "address", "total", "currency"],
    "support_ticket": ["customer_name", "customer_email", "product", "category", "priority", "order_numbers"],
}
catalog = pytest.mark.parametrize("name", sorted(FIELDS))


def sample_files(name: str) -> list[Path]:
    return sorted(REGISTRY.entry(name).samples_dir.iterdir())


@cache
def sample_texts(name: str) -> dict[str, str]:
    """The text of every sample document by its origin, relative to the samples' directory."""
    texts = {}
    for path in sample_files(name):
        data = path.read_bytes()
        file = File(origin=path.name, size=len(data), opener=partial(BytesIO, data))
        for document in read(file, text_column="text"):
            assert document.text is not None, document.error
            texts[document.origin] = document.text
    return texts


def labels(name: str) -> dict[str, dict[str, Any]]:
    file = REGISTRY.entry(name).file.parent / "labels" / f"{name}.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    by_origin = {line["origin"]: line["gold"] for line in lines}
    assert len(by_origin) == len(lines)
    return by_origin


def nullable_leaves(form: Form, value: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """Every leaf that may be null, and whether it is."""
    if isinstance(form, ObjectForm):
        for name, field in form.fields:
            yield from nullable_leaves(field, value[name], f"{path}.{name}")
    elif isinstance(form, ListForm):
        for item in value:
            yield from nullable_leaves(form.item, item, path)
    elif form.nullable:
        yield path, value is None


def test_the_catalog_is_these_five() -> None:
    assert REGISTRY.names() == sorted(FIELDS)


@catalog
def test_fields_stand_in_their_order_and_are_described(name: str) -> None:
    form = REGISTRY.get(name).form
    assert [field for field, _ in form.fields] == FIELDS[name]
    assert form.description
    assert all(field.description for _, field in form.fields)


@catalog
def test_examples_have_no_faults_and_are_six_to_eight(name: str) -> None:
    assert REGISTRY.check(name) == []
    assert 6 <= len(REGISTRY.get(name).examples) <= 8


@catalog
def test_examples_are_copies_as_written(name: str) -> None:
    """The files hold what the model sees: loading changes white space at most."""
    written = REGISTRY.entry(name).examples_file.read_text(encoding="utf-8").splitlines()
    for line, example in zip(written, REGISTRY.get(name).examples, strict=True):
        assert collapse(json.dumps(json.loads(line)["record"])) == collapse(
            json.dumps(example.record).replace("\\n", " ")
        )


@catalog
def test_every_field_is_shown_with_and_without_a_value(name: str) -> None:
    schema = REGISTRY.get(name)
    shown: dict[str, set[bool]] = {}
    for example in schema.examples:
        for path, is_null in nullable_leaves(schema.form, example.record):
            shown.setdefault(path, set()).add(is_null)
    assert all(seen == {True, False} for seen in shown.values()), shown


@catalog
def test_every_choice_is_shown_in_an_example(name: str) -> None:
    schema = REGISTRY.get(name)
    for field, form in schema.form.fields:
        choices = set(getattr(form, "choices", ()))
        assert all(any(example.record[field] == choice for example in schema.examples) for choice in choices)


@catalog
def test_examples_are_short(name: str) -> None:
    """Eight of them leave room for a text in 4,096 positions."""
    examples = REGISTRY.get(name).examples
    assert sum(len(e.text) + len(json.dumps(e.record)) for e in examples) < 5_500


@catalog
def test_samples_are_four_or_more_small_files_that_read(name: str) -> None:
    assert len(sample_files(name)) >= 4
    assert len({path.suffix for path in sample_files(name)}) >= 4
    assert all(path.stat().st_size < 30_000 for path in sample_files(name))
    assert all(sample_texts(name).values())


@catalog
def test_samples_are_not_among_the_examples(name: str) -> None:
    examples = {collapse(example.text).casefold() for example in REGISTRY.get(name).examples}
    samples = [collapse(text).casefold() for text in sample_texts(name).values()]
    assert examples.isdisjoint(samples)
    assert all(first != second for first, second in pairwise(sorted(samples)))


@catalog
def test_labels_cover_every_sample(name: str) -> None:
    assert labels(name).keys() == sample_texts(name).keys()


@catalog
def test_labels_stand_in_their_samples(name: str) -> None:
    """A label is a record that the sample's text can give: every value is printed there."""
    schema = REGISTRY.get(name)
    for origin, gold in labels(name).items():
        assert list(gold) == FIELDS[name]
        example, faults = make_example(sample_texts(name)[origin], gold, schema)
        assert not faults, (origin, faults)
        assert example is not None


@catalog
def test_labels_are_the_clean_values_of_what_is_printed(name: str) -> None:
    schema = REGISTRY.get(name)
    for origin, gold in labels(name).items():
        example, _ = make_example(sample_texts(name)[origin], gold, schema)
        assert example is not None
        found = to_record(schema, example.record)
        assert found.record_json == gold, origin


def test_two_agreements_are_longer_than_a_window() -> None:
    assert sum(len(text) > 12_000 for text in sample_texts("nda").values()) >= 2
