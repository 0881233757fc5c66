import enum
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    create_model,
    field_validator,
    model_validator,
)

from schemas import Currency, DayFirst, ExtractionSchema, Inferred, UnitOf
from schemas.base import Schema
from schemas.validate import Validated, to_record, wire_faults


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Line(BaseModel):
    description: str
    quantity: Decimal | None
    unit: Annotated[str | None, UnitOf("quantity")]
    amount: Decimal = Field(ge=0)
    level: Level


class Bill(ExtractionSchema):
    """A bill."""

    number: str = Field(pattern=r"^[A-Z]+-\d+$", max_length=12)
    day: Annotated[date, DayFirst()]
    moment: datetime | None
    copies: int = 1
    ratio: float | None
    is_paid: bool
    total: Decimal
    currency: Annotated[Currency | None, UnitOf("total")]
    summary: Inferred[str] | None
    level: Level | None
    tags: list[str] = Field(max_length=2)
    lines: list[Line]


BILL = Schema(Bill, ())

LINE: dict[str, Any] = {"description": "nut", "quantity": "12 kg", "amount": "3.10", "level": "low"}
WIRE: dict[str, Any] = {
    "number": "NP-2207",
    "day": "03/04/2024",
    "moment": "3 April 2024 10:22",
    "copies": "2",
    "ratio": "0.5",
    "is_paid": True,
    "total": "RM 1,234.50",
    "summary": None,
    "level": "high",
    "tags": ["a\n b"],
    "lines": [LINE],
}


def make(annotation: Any, **field: Any) -> Schema:
    return Schema(create_model("Thing", __base__=ExtractionSchema, x=(annotation, Field(**field))), ())


def faults(result: Validated) -> list[tuple[str, str]]:
    if result.faults:
        assert result.record is None and result.record_json is None
    return [(fault.path, fault.message) for fault in result.faults]


def paths(result: Validated) -> list[str]:
    return [path for path, _ in faults(result)]


def test_every_type_is_converted_and_plain() -> None:
    assert wire_faults(BILL, WIRE) == []
    result = to_record(BILL, WIRE)
    assert result.faults == ()
    assert result.record == {
        "number": "NP-2207",
        "day": date(2024, 4, 3),
        "moment": datetime(2024, 4, 3, 10, 22),
        "copies": 2,
        "ratio": 0.5,
        "is_paid": True,
        "total": Decimal("1234.50"),
        "currency": "MYR",
        "summary": None,
        "level": "high",
        "tags": ["a b"],
        "lines": [
            {
                "description": "nut",
                "quantity": Decimal(12),
                "unit": "kg",
                "amount": Decimal("3.10"),
                "level": "low",
            }
        ],
    }
    assert type(result.record["level"]) is str and type(result.record["lines"][0]["level"]) is str


def test_the_json_of_a_record_is_json_and_keeps_the_digits() -> None:
    record = to_record(BILL, WIRE).record_json
    assert record is not None
    assert json.loads(json.dumps(record)) == record
    assert (record["day"], record["moment"]) == ("2024-04-03", "2024-04-03T10:22:00")
    assert (record["total"], record["lines"][0]["amount"]) == ("1234.50", "3.10")


def test_all_faults_are_collected_with_their_paths() -> None:
    bad_line = {**LINE, "quantity": "many", "amount": "-1"}
    wire = {**WIRE, "number": "x", "day": "31/02/2024", "total": None, "tags": ["a", "b", "c"]}
    result = to_record(BILL, {**wire, "lines": [LINE, bad_line, {**LINE, "description": None}]})
    assert sorted(paths(result)) == [
        "day",
        "lines[1].amount",
        "lines[1].quantity",
        "lines[2].description",
        "number",
        "tags",
        "total",
    ]
    messages = dict(faults(result))
    assert "31/02/2024" in messages["day"]
    assert messages["total"] == "Field required"
    assert "pattern" in messages["number"]


def test_a_text_that_does_not_convert_is_one_fault_and_not_missing_too() -> None:
    assert paths(to_record(make(Decimal), {"x": "none"})) == ["x"]
    assert paths(to_record(make(Decimal | None), {"x": "none"})) == ["x"]
    assert paths(to_record(make(list[Decimal]), {"x": ["1", "none", "two"]})) == ["x[1]", "x[2]"]
    assert paths(to_record(make(Decimal, default=1), {"x": "none"})) == ["x"]


def test_an_absent_value_is_null_the_default_or_a_fault() -> None:
    assert to_record(make(str | None), {"x": None}).record == {"x": None}
    assert to_record(make(str | None, default=None), {"x": None}).record == {"x": None}
    assert to_record(make(str, default="n/a"), {"x": None}).record == {"x": "n/a"}
    assert faults(to_record(make(str), {"x": None})) == [("x", "Field required")]


def test_a_key_left_out_counts_as_null() -> None:
    assert to_record(make(str | None), {}).record == {"x": None}
    assert paths(to_record(make(Line), {"x": {}})) == ["x.description", "x.amount", "x.level"]


def test_defaults_are_validated() -> None:
    assert paths(to_record(make(str, default="n/a", min_length=5), {"x": None})) == ["x"]


@pytest.mark.parametrize(
    ("annotation", "field", "good", "bad"),
    [
        (Decimal, {"ge": 0}, "0", "-1"),
        (Decimal, {"max_digits": 4, "decimal_places": 2}, "12.50", "1.125"),
        (int, {"lt": 10}, "9", "10"),
        (float, {"gt": 0}, "0.1", "0"),
        (str, {"pattern": "^a+$"}, "aa", "ab"),
        (str, {"min_length": 2}, "ab", "a"),
        (str, {"max_length": 3}, "a  b", "a b c"),
        (list[str], {"min_length": 1}, ["a"], []),
        (date, {"ge": date(2000, 1, 1)}, "1 Jan 2000", "31 Dec 1999"),
        (Literal["low", "high"], {}, "low", "middle"),
    ],
    ids=str,
)
def test_constraints_hold_on_the_record(annotation: Any, field: dict[str, Any], good: Any, bad: Any) -> None:
    schema = make(annotation, **field)
    assert faults(to_record(schema, {"x": good})) == []
    assert paths(to_record(schema, {"x": bad})) == ["x"]


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=5, minutes=30))])
def test_moments_with_and_without_a_zone_satisfy_the_record_schema(zone: timezone | None) -> None:
    moment = datetime(2024, 4, 3, 10, 22, 5, tzinfo=zone)
    result = to_record(make(datetime), {"x": moment.isoformat()})
    assert result.record == {"x": moment}
    assert result.record["x"].tzinfo == zone


class Checked(ExtractionSchema):
    """With validators of its own."""

    low: int
    high: int

    @field_validator("low")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> "Checked":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def test_validators_hold_on_the_record() -> None:
    schema = Schema(Checked, ())
    assert to_record(schema, {"low": "2", "high": "3"}).record == {"low": 2, "high": 3}
    assert faults(to_record(schema, {"low": "3", "high": "4"})) == [("low", "Value error, 3 is odd")]
    assert faults(to_record(schema, {"low": "4", "high": "3"})) == [("", "Value error, low is above high")]


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("boo"), KeyError("x"), RecursionError(), OSError(5, "io")]
)
def test_a_validator_may_raise_anything(error: Exception) -> None:
    def fail(value: str) -> str:
        raise error

    result = to_record(make(Annotated[str, AfterValidator(fail)]), {"x": "a"})
    assert faults(result) == [("", f"a validator raised {type(error).__name__}: {error}")]


def test_a_validator_that_leaves_the_wrong_type_is_a_fault_and_no_warning() -> None:
    schema = make(Annotated[int, AfterValidator(lambda value: "many")])
    assert faults(to_record(schema, {"x": "1"})) == [("x", "'many' is not of type 'integer'")]


def test_fields_go_by_name_whatever_their_alias() -> None:
    class Inner(BaseModel):
        value: str = Field(alias="innerValue", min_length=2)

    class Aliased(ExtractionSchema):
        model_config = ConfigDict(serialize_by_alias=True)
        supplier: str = Field(alias="supplierName")
        inner: Inner

    schema = Schema(Aliased, ())
    wire: dict[str, Any] = {"supplier": "Acme", "inner": {"value": "ab"}}
    assert wire_faults(schema, wire) == []
    result = to_record(schema, wire)
    assert result.record == wire and result.record_json == wire
    assert paths(to_record(schema, {"supplier": None, "inner": {"value": "a"}})) == [
        "supplier",
        "inner.value",
    ]


def test_a_unit_comes_from_what_was_copied_for_its_sibling() -> None:
    def currency(total: str | None) -> Any:
        result = to_record(BILL, {**WIRE, "total": total})
        return result.record["currency"] if result.record else result.faults

    assert currency("USD 5") == "USD"
    assert currency("5") is None


@pytest.mark.parametrize("wire", [None, [], "text", {"x": 1}, {"x": ""}, {"y": "a"}, {"x": "a", "y": "b"}])
def test_an_answer_of_another_shape_has_wire_faults(wire: Any) -> None:
    assert wire_faults(make(str), wire)


def test_wire_faults_name_the_place_of_each() -> None:
    wire = {**WIRE, "is_paid": "yes", "lines": [LINE, {**LINE, "level": "none"}]}
    assert [fault.path for fault in wire_faults(BILL, wire)] == ["is_paid", "lines[1].level"]


PRINTED = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))


@given(
    st.fixed_dictionaries(
        {
            **dict.fromkeys(("number", "day", "moment", "copies", "ratio", "total", "summary"), PRINTED),
            "is_paid": st.booleans(),
            "level": st.sampled_from([None, "low", "high"]),
            "tags": st.lists(PRINTED.filter(bool), max_size=3),
            "lines": st.lists(
                st.fixed_dictionaries(
                    {
                        **dict.fromkeys(("description", "quantity", "amount"), PRINTED),
                        "level": st.sampled_from(["low", "high"]),
                    }
                ),
                max_size=2,
            ),
        }
    )
)
def test_any_wire_record_becomes_a_record_or_faults_with_paths(wire: dict[str, Any]) -> None:
    result = to_record(BILL, wire)
    assert (result.record is None) == bool(result.faults)
    assert all(fault.message for fault in result.faults)
    assert len(set(paths(result))) == len(paths(result))


def test_a_partial_serves_as_validator() -> None:
    def at_least(limit: int, value: int) -> int:
        if value < limit:
            raise ValueError(f"below {limit}")
        return value

    schema = make(Annotated[int, AfterValidator(partial(at_least, 3))])
    assert faults(to_record(schema, {"x": "2"})) == [("x", "Value error, below 3")]
    assert len(schema.digest) == 64
