from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, create_model

from schemas import ExtractionSchema
from schemas.base import Schema
from schemas.checker import checker


class Line(BaseModel):
    amount: Decimal | None
    dates: list[date]


class Bill(ExtractionSchema):
    """A bill."""

    number: str = Field(pattern=r"^\d", max_length=3)
    first: Line
    last: Line | None
    lines: list[Line]


BILL = Schema(Bill, ())

scalars = (
    st.none() | st.booleans() | st.sampled_from(["", "1", "1234", "2024-02-29", "2024-02-30"]) | st.integers()
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects that may lack any field or have one too many; or no object at all."""
    some = st.fixed_dictionaries({}, optional={**fields, "more": scalars})
    return st.fixed_dictionaries(fields) | some | scalars


lines = objects(amount=scalars, dates=scalars | st.lists(scalars, max_size=3))
bills = objects(number=scalars, first=lines, last=lines, lines=scalars | st.lists(lines, max_size=3))


def faults(validator: Any, instance: Any) -> list[tuple[list[str | int], str]]:
    return [(list(error.absolute_path), error.message) for error in validator.iter_errors(instance)]


def assert_as_the_library(json_schema: dict[str, Any], instances: list[Any]) -> None:
    ours = checker(json_schema)
    library = Draft202012Validator(json_schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for instance in instances:
        assert faults(ours, instance) == faults(library, instance)


@given(st.lists(bills, min_size=1, max_size=3))
def test_it_finds_the_faults_that_the_library_finds(instances: list[Any]) -> None:
    assert_as_the_library(BILL.record_schema, instances)
    assert_as_the_library(BILL.wire_schema, instances)


def test_what_a_schema_of_this_house_never_says_is_left_to_the_library() -> None:
    json_schema = {
        "$defs": {"a/b": {"type": "string"}, "tree": {"items": {"$ref": "#/$defs/tree"}, "type": "array"}},
        "properties": {
            "escaped": {"$ref": "#/$defs/a~1b"},
            "deep": {"$ref": "#/properties/escaped"},
            "tree": {"$ref": "#/$defs/tree"},
            "pair": {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
            "any": True,
            "none_of": {"not": {"properties": {"a": {"type": "string"}}, "required": ["a"]}},
        },
    }
    instances = [
        {"escaped": 1, "deep": 1, "tree": [[], [[1]]], "pair": [1, "a", 2], "any": 1},
        {"escaped": "", "deep": "", "tree": [[], [[]]], "pair": ["a", 2], "none_of": {"a": ""}},
        {"none_of": {"a": 1}},
    ]
    assert_as_the_library(json_schema, instances)


def test_a_schema_and_a_part_of_it_keep_their_own_checkers() -> None:
    part = Schema(create_model("Bill", __base__=Bill), ()).only(["number"])
    assert not list(part.wire_checker.iter_errors({"number": "1"}))
    assert list(BILL.wire_checker.iter_errors({"number": "1"}))
    assert BILL.wire_checker is BILL.wire_checker
