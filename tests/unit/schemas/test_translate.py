import datetime
import enum
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    conint,
    constr,
    create_model,
)

from schemas import Currency, DayFirst, DecimalComma, ExtractionSchema, Inferred, SchemaSettings, UnitOf
from schemas.base import schema_form
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from schemas.translate import form_of

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shade(enum.StrEnum):
    DARK = "dark"


class Mixed(str, enum.Enum):  # noqa: UP042  the older spelling, which prints differently
    A = "a"


class Money(BaseModel):
    """An amount."""

    amount: Decimal = Field(description="how much")


class Line(BaseModel):
    text: str
    money: Money | None
    tags: list[str]


class Box(BaseModel, Generic[T]):
    value: T


def form(annotation: Any, *, settings: dict[str, bool] | None = None, **field: Any) -> Form:
    model = create_model("Thing", x=(annotation, Field(**field)))
    return dict(form_of(model, **(settings or {})).fields)["x"]


SCALARS = {
    str: Leaf(kind=Kind.TEXT),
    datetime.date: Leaf(kind=Kind.DATE, max_length=64),
    datetime.datetime: Leaf(kind=Kind.DATETIME, max_length=64),
    Decimal: Leaf(kind=Kind.DECIMAL, max_length=64),
    int: Leaf(kind=Kind.INTEGER, max_length=64),
    float: Leaf(kind=Kind.FLOAT, max_length=64),
    bool: Leaf(kind=Kind.BOOLEAN, max_length=64),
    Currency: Leaf(kind=Kind.CURRENCY, max_length=64),
    Inferred[str]: Leaf(kind=Kind.INFERRED, max_length=500),
    Literal["low", "high"]: Leaf(kind=Kind.CHOICE, choices=("low", "high"), max_length=4),
    Colour: Leaf(kind=Kind.CHOICE, choices=("red", "blue"), max_length=4),
    Shade: Leaf(kind=Kind.CHOICE, choices=("dark",), max_length=4),
    Mixed: Leaf(kind=Kind.CHOICE, choices=("a",), max_length=1),
}


@pytest.mark.parametrize("annotation", SCALARS, ids=str)
def test_a_scalar_is_a_leaf_alone_nullable_and_in_a_list(annotation: Any) -> None:
    leaf = SCALARS[annotation]
    nullable, item = replace(leaf, nullable=True), replace(leaf, is_item=True)
    assert form(annotation) == leaf
    assert form(annotation | None) == nullable
    assert form(list[annotation]) == ListForm(item=item)
    assert form(list[annotation] | None) == ListForm(item=item, nullable=True)


def test_choices_are_plain_strings() -> None:
    assert all(type(choice) is str for choice in form(Shade).choices)
    assert all(type(choice) is str for choice in form(Mixed).choices)


def test_models_nest_to_any_depth_with_their_docstrings() -> None:
    money = ObjectForm(
        fields=(("amount", Leaf(kind=Kind.DECIMAL, max_length=64, description="how much")),),
        nullable=True,
        description="An amount.",
    )
    line = ObjectForm(
        fields=(
            ("text", Leaf(kind=Kind.TEXT)),
            ("money", money),
            ("tags", ListForm(item=Leaf(kind=Kind.TEXT, is_item=True))),
        )
    )
    assert form(list[Line]) == ListForm(item=line)
    assert form(Box[Line]) == ObjectForm(fields=(("value", line),))


@given(st.integers(min_value=1, max_value=12), st.booleans())
def test_depth_has_no_limit(depth: int, in_list: bool) -> None:
    model: Any = str
    for level in range(depth):
        model = create_model(f"Level{level}", x=(list[model] if in_list and level else model, ...))
    found = form_of(model)
    for _ in range(depth - 1):
        inner = dict(found.fields)["x"]
        found = inner.item if isinstance(inner, ListForm) else inner
    assert dict(found.fields)["x"] == Leaf(kind=Kind.TEXT)


def test_the_same_model_twice_is_no_recursion() -> None:
    class Pair(BaseModel):
        first: Money
        second: Money

    assert [name for name, _ in form_of(Pair).fields] == ["first", "second"]


def test_docstrings_lose_their_indentation() -> None:
    class Documented(BaseModel):
        """First line.

        Second line.
        """

        x: str

    assert form_of(Documented).description == "First line.\n\nSecond line."


def test_descriptions_reach_leaves_lists_and_objects() -> None:
    assert form(str, description="d").description == "d"
    assert form(list[str], description="d").description == "d"
    assert form(Money, description="d").description == "d"
    assert form(Money).description == "An amount."


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, Field(max_length=7)],
        Annotated[str, Field(max_length=7)] | None,
        Annotated[str | None, Field(max_length=7)],
        Annotated[str, StringConstraints(max_length=7)],
        constr(max_length=7),
        Annotated[Annotated[str, Field(max_length=9)], Field(max_length=7)],
    ],
    ids=str,
)
def test_max_length_bounds_the_leaf_wherever_it_is_written(annotation: Any) -> None:
    assert form(annotation).max_length == 7
    assert form(list[Annotated[str, Field(max_length=7)]]).item.max_length == 7


def test_max_length_of_text_may_be_longer_than_usual_and_of_a_list_is_its_items() -> None:
    assert form(str, max_length=5000).max_length == 5000
    assert form(Inferred[str], max_length=50).max_length == 50
    assert form(list[str], max_length=3) == ListForm(item=Leaf(kind=Kind.TEXT, is_item=True), max_items=3)
    assert form(list[str], max_length=100).max_items == 100
    assert form(list[str] | None, max_length=3).max_items == 3
    assert form(Annotated[list[constr(max_length=9)], Field(max_length=3)]).item.max_length == 9
    assert form(list[str]).max_items == 64


def test_what_is_printed_of_a_currency_may_be_longer_than_its_code() -> None:
    assert form(Currency, max_length=3).max_length == 64


def test_other_constraints_change_nothing() -> None:
    assert form(Decimal, ge=0, decimal_places=2) == SCALARS[Decimal]
    assert form(conint(ge=1)) == SCALARS[int]
    assert form(str, min_length=2) == SCALARS[str]


def test_a_text_is_written_by_its_pattern() -> None:
    assert form(str, pattern="^[A-Z]+$").pattern == "^[A-Z]+$"
    assert form(list[Annotated[str, Field(pattern="A")]]).item.pattern == "A"


DATES = [
    datetime.date,
    datetime.date | None,
    list[datetime.date],
    list[datetime.date] | None,
]


@pytest.mark.parametrize("annotation", DATES, ids=str)
@pytest.mark.parametrize("setting", [True, False])
def test_day_first_of_a_field_goes_before_the_setting_of_the_schema(annotation: Any, setting: bool) -> None:
    def day_first(annotation: Any) -> bool:
        found = form(annotation, settings={"day_first": setting})
        return (found.item if isinstance(found, ListForm) else found).day_first

    assert day_first(annotation) is setting
    assert day_first(Annotated[annotation, DayFirst()]) is True
    assert day_first(Annotated[annotation, DayFirst(False)]) is False


def test_day_first_of_an_item_goes_before_that_of_its_list() -> None:
    found = form(Annotated[list[Annotated[datetime.date, DayFirst(False)]], DayFirst()])
    assert found.item.day_first is False
    assert form(list[Annotated[datetime.date, DayFirst()]]).item.day_first is True
    assert form(Annotated[datetime.date, DayFirst()] | None).day_first is True


def test_settings_reach_nested_models() -> None:
    class Inner(BaseModel):
        day: datetime.date
        american: Annotated[datetime.date, DayFirst(False)]
        amount: Decimal
        dotted: Annotated[Decimal, DecimalComma(False)]

    found = form(list[Inner], settings={"day_first": True, "decimal_comma": True}).item
    leaves = dict(found.fields)
    assert [leaves[name].day_first for name in ("day", "american")] == [True, False]
    assert [leaves[name].decimal_comma for name in ("amount", "dotted")] == [True, False]


def test_settings_of_the_class_are_applied() -> None:
    class Continental(ExtractionSchema):
        settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True, decimal_comma=True)
        day: datetime.date
        amount: Annotated[Decimal, DecimalComma(False)]

    leaves = dict(schema_form(Continental).fields)
    assert leaves["day"].day_first and leaves["day"].decimal_comma
    assert not leaves["amount"].decimal_comma


@pytest.mark.parametrize(
    "annotation", [Annotated[str | None, UnitOf("q")], Annotated[Currency | None, UnitOf("q")]]
)
def test_a_unit_is_read_from_its_sibling_and_not_in_the_wire_form(annotation: Any) -> None:
    found = form_of(create_model("Weighed", q=(Decimal, ...), unit=(annotation, ...)))
    assert dict(found.fields)["unit"].unit_of == "q"
    assert [name for name, _ in found.wire_fields] == ["q"]


def test_other_defaults_are_allowed() -> None:
    assert form(str, default="n/a") == Leaf(kind=Kind.TEXT)
    assert form(str | None, default=None) == Leaf(kind=Kind.TEXT, nullable=True)
    assert form(list[str], default_factory=list) == ListForm(item=Leaf(kind=Kind.TEXT, is_item=True))


def test_a_field_goes_by_its_name_and_not_by_its_alias() -> None:
    class Aliased(BaseModel):
        model_config = ConfigDict(serialize_by_alias=True)
        supplier: str = Field(alias="supplierName")

    assert [name for name, _ in form_of(Aliased).fields] == ["supplier"]


def test_inherited_fields_come_first_and_a_base_without_fields_may_be_defined() -> None:
    class Common(ExtractionSchema):
        """Shared by others."""

    class First(Common):
        a: str

    class Second(First):
        b: str

    assert [name for name, _ in schema_form(Second).fields] == ["a", "b"]
