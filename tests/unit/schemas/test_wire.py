import datetime
import enum
import json
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field, create_model

from schemas import Currency, ExtractionSchema, Inferred, UnitOf
from schemas.base import JSON_SCHEMA_DIALECT, Schema
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm, WireValue
from schemas.wire import dump, wire_schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    """A part."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="what it is", alias="partName")
    weight: Decimal | None
    unit: Annotated[str | None, UnitOf("weight")]
    colours: list[Colour]


class Everything(ExtractionSchema):
    """One field of every type."""

    text: str = Field(max_length=20, pattern="^[A-Z]")
    day: datetime.date
    moment: datetime.datetime | None
    amount: Decimal = Field(ge=0)
    count: int = Field(default=1, ge=1)
    ratio: float | None
    is_paid: bool
    is_late: bool | None
    currency: Currency | None
    summary: Inferred[str] | None
    level: Literal["low", "high"]
    colour: Colour | None
    tags: list[str] = Field(max_length=3)
    notes: list[str] | None
    part: Part
    spare: Part | None
    parts: list[Part]


SCHEMA = Schema(Everything, ())

GOOD: dict[str, Any] = {
    "text": "Acme",
    "day": "3 March 2024",
    "moment": None,
    "amount": "RM 1,234.50",
    "count": "2",
    "ratio": None,
    "is_paid": True,
    "is_late": None,
    "currency": "RM",
    "summary": None,
    "level": "low",
    "colour": "red",
    "tags": ["a", "b"],
    "notes": None,
    "part": {"name": "bolt", "weight": "12 kg", "colours": []},
    "spare": None,
    "parts": [{"name": "nut", "weight": None, "colours": ["red", "blue"]}],
}


def is_valid(form: Form, value: WireValue) -> bool:
    return Draft202012Validator(wire_schema(form)).is_valid(value)


def test_both_json_schemas_are_valid_2020_12() -> None:
    for json_schema in (SCHEMA.wire_schema, SCHEMA.record_schema):
        assert json_schema["$schema"] == JSON_SCHEMA_DIALECT
        Draft202012Validator.check_schema(json_schema)
        json.dumps(json_schema)


def test_a_good_wire_record_satisfies_its_json_schema() -> None:
    assert list(Draft202012Validator(SCHEMA.wire_schema).iter_errors(GOOD)) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ""),
        ("text", "a" * 21),
        ("text", 1),
        ("day", "d" * 65),
        ("amount", 12),
        ("is_paid", None),
        ("is_paid", "true"),
        ("level", None),
        ("level", "middle"),
        ("colour", "green"),
        ("tags", None),
        ("tags", ["a", "b", "c", "d"]),
        ("tags", ["a", None, "b"]),
        ("part", None),
        ("part", {"name": "bolt", "weight": None}),
        ("part", {"name": "bolt", "weight": None, "colours": [], "unit": "kg"}),
        ("parts", [{"partName": "nut", "weight": None, "colours": []}]),
    ],
)
def test_a_wire_record_of_another_shape_does_not(field: str, value: Any) -> None:
    assert not Draft202012Validator(SCHEMA.wire_schema).is_valid({**GOOD, field: value})


def test_keys_are_all_required_and_no_other_is_allowed() -> None:
    validator = Draft202012Validator(SCHEMA.wire_schema)
    assert not validator.is_valid({**GOOD, "more": None})
    for name in GOOD:
        assert not validator.is_valid({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize("kind", Kind)
def test_null_stands_for_what_may_lack_in_the_document(kind: Kind) -> None:
    choices = ("a", "b") if kind is Kind.CHOICE else ()
    assert is_valid(Leaf(kind=kind, choices=choices), None) is (kind not in (Kind.CHOICE, Kind.BOOLEAN))
    assert is_valid(Leaf(kind=kind, choices=choices, nullable=True), None)
    assert not is_valid(Leaf(kind=kind, choices=choices, is_item=True), None)


def test_lengths_are_counted_in_code_points() -> None:
    leaf = Leaf(kind=Kind.TEXT, max_length=2)
    assert is_valid(leaf, "🧾🧾") and not is_valid(leaf, "🧾🧾🧾")


def test_descriptions_stand_in_the_wire_json_schema() -> None:
    properties = SCHEMA.wire_schema["properties"]
    assert properties["part"]["properties"]["name"]["description"] == "what it is"


def test_records_have_all_fields_and_no_others_at_every_depth() -> None:
    json_schema = SCHEMA.record_schema
    assert json_schema["required"] == list(Everything.model_fields)
    part = json_schema["$defs"]["Part"]
    assert part["required"] == ["name", "weight", "unit", "colours"]
    assert json_schema["additionalProperties"] is False and part["additionalProperties"] is False


def test_dump_writes_what_the_grammar_allows() -> None:
    assert dump({"a": "b", "c": None, "d": ["é", "🧾"], "e": True}) == (
        '{"a": "b", "c": null, "d": ["é", "🧾"], "e": true}'
    )
    assert dump({"a": 'say "hi"\n'}) == '{"a": "say \\"hi\\"\\n"}'


NAMES = st.sampled_from("abcdefgh")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def leaves() -> st.SearchStrategy[Leaf]:
    def leaf(kind: Kind, nullable: bool, choices: list[str]) -> Leaf:
        if kind is not Kind.CHOICE:
            choices = []
        return Leaf(kind=kind, nullable=nullable, choices=tuple(choices), max_length=12)

    return st.builds(leaf, st.sampled_from(Kind), st.booleans(), st.lists(TEXTS, min_size=1, unique=True))


def objects(children: st.SearchStrategy[Form]) -> st.SearchStrategy[ObjectForm]:
    fields = st.lists(st.tuples(NAMES, children), min_size=1, max_size=4, unique_by=lambda field: field[0])
    return st.builds(
        lambda fields, nullable: ObjectForm(fields=tuple(fields), nullable=nullable), fields, st.booleans()
    )


def lists(children: st.SearchStrategy[Form]) -> st.SearchStrategy[ListForm]:
    items = children.filter(lambda form: not form.nullable and not isinstance(form, ListForm))
    items = items.map(lambda form: replace(form, is_item=True) if isinstance(form, Leaf) else form)
    return st.builds(lambda item, most: ListForm(item=item, max_items=most), items, st.integers(0, 4))


FORMS: st.SearchStrategy[ObjectForm] = objects(
    st.recursive(leaves(), lambda children: st.one_of(objects(children), lists(children)), max_leaves=8)
)


def records(form: Form) -> st.SearchStrategy[Any]:
    """Wire records of a form, as a model under its grammar may write them."""
    if isinstance(form, ObjectForm):
        values: st.SearchStrategy[Any] = st.fixed_dictionaries(
            {name: records(field) for name, field in form.wire_fields}
        )
    elif isinstance(form, ListForm):
        values = st.lists(records(form.item), max_size=form.max_items)
    elif form.kind is Kind.BOOLEAN:
        values = st.booleans()
    elif form.kind is Kind.CHOICE:
        values = st.sampled_from(form.choices)
    else:
        values = TEXTS
    nullable = form.wire_nullable if isinstance(form, Leaf) else form.nullable
    return st.none() | values if nullable else values


@given(st.data())
def test_every_form_has_a_valid_json_schema_that_its_records_satisfy(data: st.DataObject) -> None:
    form = data.draw(FORMS)
    json_schema = wire_schema(form)
    Draft202012Validator.check_schema(json_schema)
    record = data.draw(records(form))
    assert list(Draft202012Validator(json_schema).iter_errors(record)) == []
    assert json.loads(dump(record)) == record


TYPES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [str, datetime.date, datetime.datetime, Decimal, int, float, bool, Currency, Inferred[str], Colour,
         Literal["low", "high"]]
    ),
    lambda inner: st.one_of(
        inner.map(lambda t: create_model("Inner", x=(t, ...), y=(t | None, ...))),
        inner.filter(lambda t: isinstance(t, type)).map(lambda t: list[t]).map(
            lambda t: create_model("Holder", items=(t, ...))
        ),
    ),
    max_leaves=4,
)  # fmt: skip


@given(TYPES, st.booleans())
def test_every_class_has_a_valid_record_schema(annotation: Any, is_nullable: bool) -> None:
    field = annotation | None if is_nullable else annotation
    model = create_model("Any_", __base__=ExtractionSchema, x=(field, ...), many=(list[annotation], ...))
    Draft202012Validator.check_schema(Schema(model, ()).record_schema)
