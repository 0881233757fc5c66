import datetime
import enum
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import pytest
from pydantic import AwareDatetime, BaseModel, Field, RootModel, SecretStr, create_model

from schemas import ExtractionSchema, Inferred, SchemaSettings, UnitOf
from schemas.errors import SchemaDefinitionError
from schemas.forms import Form
from schemas.translate import form_of

T = TypeVar("T")


class Mixed(str, enum.Enum):  # noqa: UP042  the older spelling, which prints differently
    A = "a"


class Numbered(enum.IntEnum):
    ONE = 1


class Bare(enum.Enum):
    """Without members."""


class Money(BaseModel):
    amount: Decimal


class Line(BaseModel):
    text: str


class Node(BaseModel):
    value: str
    children: list["Node"]


class Left(BaseModel):
    right: "Right | None"


class Right(BaseModel):
    left: Left


Left.model_rebuild()


class Waiting(BaseModel):
    later: "Later"  # noqa: F821


class Empty(BaseModel):
    pass


class Box(BaseModel, Generic[T]):
    value: T


class Root(RootModel[str]):
    pass


def form(annotation: Any, **field: Any) -> Form:
    return dict(form_of(create_model("Thing", x=(annotation, Field(**field)))).fields)["x"]


REFUSED = {
    "union": (int | str, "union of int and str", "one optional field for each"),
    "optional union": (int | str | None, "union of int and str", "Literal"),
    "union of models": (Money | Line, "union of Money and Line", "one optional field for each"),
    "union in a list": (list[int | str], "union of int and str", "Literal"),
    "dict": (dict[str, str], "dict[str, str] has keys", "list of a model"),
    "bare dict": (dict, "dict has keys", "list of a model"),
    "mapping": (Mapping[str, int], "has keys", "list of a model"),
    "set": (set[str], "not a list", "list[T]"),
    "frozenset": (frozenset[str], "not a list", "list[T]"),
    "tuple": (tuple[str, int], "not a list", "list[T]"),
    "bare list": (list, "not a list of one type", "list[T]"),
    "sequence": (Sequence[str], "not a list", "list[T]"),
    "iterable": (Iterable[str], "not a list", "list[T]"),
    "list of lists": (list[list[str]], "holds lists", "model with a list field"),
    "list of nullable": (list[str | None], "holds nulls", "list[T]"),
    "list of nullable models": (list[Money | None], "holds nulls", "list[T]"),
    "any": (Any, "type Any cannot", "Write str, date"),
    "none": (None, "type NoneType cannot", "Write str, date"),
    "object": (object, "type object cannot", "Write str, date"),
    "bytes": (bytes, "type bytes cannot", "Write str, date"),
    "time": (datetime.time, "type time cannot", "Write str, date"),
    "secret": (SecretStr, "type SecretStr cannot", "Write str, date"),
    "aware": (AwareDatetime, "type AwareDatetime cannot", "datetime"),
    "type variable": (Box, "~T cannot", "Write str, date"),
    "root model": (Root, "type Root cannot", "a nested model"),
    "numbers as choices": (Literal[1, 2], "non-empty strings", 'Literal["a", "b"]'),
    "mixed choices": (Literal["a", 1], "non-empty strings", 'Literal["a", "b"]'),
    "null among choices": (Literal["a", None], "non-empty strings", 'Literal["a", "b"]'),  # noqa: PYI061
    "empty choice": (Literal["a", ""], "non-empty strings", 'Literal["a", "b"]'),
    "member as choice": (Literal[Mixed.A], "non-empty strings", 'Literal["a", "b"]'),
    "enum of numbers": (Numbered, "non-empty strings", 'Literal["a", "b"]'),
    "enum of nothing": (Bare, "non-empty strings", 'Literal["a", "b"]'),
    "inferred number": (Inferred[int], "Inferred[int] is not free text", "Inferred[str]"),
    "inferred dates": (Inferred[list[datetime.date]], "Inferred[date] is not free text", "Inferred[str]"),
    "inferred model": (Inferred[Money], "Inferred[Money] is not free text", "Inferred[str]"),
    "empty class": (Empty, "Empty has no fields", "at least one typed field"),
    "list of empty class": (list[Empty], "Empty has no fields", "at least one typed field"),
    "recursion": (Node, "Node contains itself", "classes of their own"),
    "indirect recursion": (Right, "Right contains itself", "classes of their own"),
    "not yet defined": (Waiting, "Later is not defined yet", "above the class"),
    "unit of nothing": (Annotated[str | None, UnitOf("q")], "unit of 'q'", "Annotated[str | None, UnitOf"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_forms_cannot_express_is_refused_with_the_field_and_what_to_write(case: str) -> None:
    annotation, wrong, instead = REFUSED[case]
    with pytest.raises(SchemaDefinitionError) as caught:
        form(annotation)
    assert caught.value.message.startswith("Thing.x")
    assert str(caught.value.facts["field"]).startswith("Thing.x")
    assert wrong in caught.value.message
    assert instead in caught.value.hint


@pytest.mark.parametrize(
    ("sibling", "unit"),
    [
        (list[str], str | None),
        (bool, str | None),
        (Inferred[str], str | None),
        (Money, str | None),
        (Decimal, str),
        (Decimal, int | None),
        (Decimal, Inferred[str] | None),
    ],
    ids=str,
)
def test_a_unit_needs_a_copied_sibling_and_must_be_nullable_text(sibling: Any, unit: Any) -> None:
    model = create_model("Weighed", q=(sibling, ...), unit=(Annotated[unit, UnitOf("q")], ...))
    with pytest.raises(SchemaDefinitionError, match=r"Weighed\.unit: cannot be the unit of 'q'"):
        form_of(model)


def test_a_unit_of_a_unit_is_refused() -> None:
    unit = Annotated[str | None, UnitOf("b")]
    model = create_model("Weighed", a=(unit, ...), b=(Annotated[str | None, UnitOf("a")], ...))
    with pytest.raises(SchemaDefinitionError, match=r"Weighed\.a"):
        form_of(model)


def test_the_path_of_a_nested_field_is_named() -> None:
    class Inner(BaseModel):
        extra: dict[str, str]

    class Outer(BaseModel):
        inner: list[Inner]

    with pytest.raises(SchemaDefinitionError, match=r"^Outer\.inner\.extra: "):
        form_of(Outer)


def test_the_class_statement_itself_fails() -> None:
    with pytest.raises(SchemaDefinitionError, match=r"^Loose\.extra: dict"):

        class Loose(ExtractionSchema):
            extra: dict[str, str]

    with pytest.raises(SchemaDefinitionError, match=r"^Tree\.children: Tree contains itself"):

        class Tree(ExtractionSchema):
            children: list["Tree"]

    with pytest.raises(SchemaDefinitionError, match="is not defined yet"):

        class Early(ExtractionSchema):
            later: "list[Later]"  # noqa: F821


def test_a_pattern_that_the_records_json_schema_cannot_hold_is_refused() -> None:
    with pytest.raises(SchemaDefinitionError, match=r"Thing\.x: pattern .* is not one for Python's re"):
        form(str, pattern=r"^\p{L}+$")


@pytest.mark.parametrize(
    ("annotation", "field"),
    [(str | None, {"default": "n/a"}), (list[str] | None, {"default_factory": list})],
    ids=str,
)
def test_a_default_that_null_would_hide_is_refused(annotation: Any, field: dict[str, Any]) -> None:
    with pytest.raises(SchemaDefinitionError, match=r"Thing\.x: its default is never used"):
        form(annotation, **field)


def test_settings_are_no_field_and_no_field_is_named_so() -> None:
    with pytest.raises(SchemaDefinitionError, match=r"^Loud\.settings: .*ClassVar\[SchemaSettings\]"):

        class Loud(ExtractionSchema):
            settings: ClassVar[dict[str, bool]] = {"day_first": True}
            x: str

    with (
        pytest.warns(UserWarning, match="shadows"),
        pytest.raises(SchemaDefinitionError, match=r"^Field\.settings: .*ClassVar\[SchemaSettings\]"),
    ):

        class Field(ExtractionSchema):
            settings: SchemaSettings = SchemaSettings(day_first=True)
            x: str
