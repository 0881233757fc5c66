"""A pydantic class -> its form tree; what the wire and record forms cannot express is refused by name."""

import collections.abc
import datetime
import inspect
import re
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import GroupedMetadata, MaxLen
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from schemas.errors import SchemaDefinitionError
from schemas.fields import CurrencyCode, DayFirst, DecimalComma, InferredText, Renamed, UnitOf
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm

SCALARS: dict[object, Kind] = {
    str: Kind.TEXT,
    datetime.date: Kind.DATE,
    datetime.datetime: Kind.DATETIME,
    Decimal: Kind.DECIMAL,
    int: Kind.INTEGER,
    float: Kind.FLOAT,
    bool: Kind.BOOLEAN,
}
# The most code points the model may write, where the field does not say.
MAX_LENGTH = {Kind.TEXT: 200, Kind.INFERRED: 500}
TYPED_MAX_LENGTH = 64
MAX_ITEMS = 64
ALLOWED = (
    "str, date, datetime, Decimal, int, float, bool, Literal of strings, Enum, Inferred[str], Currency, "
    "a nested model, list[...] of these, or one of these `| None`"
)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where in a class we are, for error messages, and what its settings say."""

    name: str
    models: tuple[type[BaseModel], ...]
    day_first: bool
    decimal_comma: bool

    def refuse(self, what: str, instead: str) -> SchemaDefinitionError:
        return SchemaDefinitionError(f"{self.name}: {what}.", hint=instead, field=self.name)


def form_of(model: type[BaseModel], *, day_first: bool = False, decimal_comma: bool = False) -> ObjectForm:
    """The form tree of a model.

    Raises:
        SchemaDefinitionError: a field's type cannot be expressed; names the field and what to write instead.
    """
    place = _Place(name=model.__name__, models=(), day_first=day_first, decimal_comma=decimal_comma)
    return _object(model, (), place, nullable=False)


def _object(model: type[BaseModel], metadata: Iterable[Any], place: _Place, *, nullable: bool) -> ObjectForm:
    if model in place.models:
        raise place.refuse(
            f"{model.__name__} contains itself", "Write the levels you expect as classes of their own."
        )
    if not model.model_fields:
        raise place.refuse(f"{model.__name__} has no fields", "Give it at least one typed field.")
    fields = tuple(
        (name, _field(field, _inside(place, model, name))) for name, field in model.model_fields.items()
    )
    _check_units(dict(fields), place)
    return ObjectForm(fields=fields, nullable=nullable, description=inspect.cleandoc(model.__doc__ or ""))


def _inside(place: _Place, model: type[BaseModel], name: str) -> _Place:
    return _Place(
        name=f"{place.name}.{name}",
        models=(*place.models, model),
        day_first=place.day_first,
        decimal_comma=place.decimal_comma,
    )


def _field(field: FieldInfo, place: _Place) -> Form:
    form = _form(field.annotation, tuple(_each(field.metadata)), place)
    if form.nullable and not field.is_required() and field.default is not None:
        raise place.refuse(
            "its default is never used, for what is absent is null",
            "Drop `| None`, and the default stands for what is absent; or drop the default.",
        )
    previously = tuple(name for m in field.metadata if isinstance(m, Renamed) for name in m.names)
    return replace(form, description=field.description or form.description, previously=previously)


def _each(metadata: Iterable[Any]) -> Iterator[Any]:
    """Constraints and markers one by one, out of `Field(...)` and `StringConstraints(...)` too."""
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _each(item.metadata)
        elif isinstance(item, GroupedMetadata):
            yield from _each(item)
        else:
            yield item


def _form(annotation: Any, metadata: tuple[Any, ...], place: _Place, *, nullable: bool = False) -> Form:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _form(args[0], (*_each(args[1:]), *metadata), place, nullable=nullable)
    if origin in (Union, types.UnionType):
        return _form(_only_member(args, place), metadata, place, nullable=nullable or type(None) in args)
    if origin is list:
        return _list(args[0], metadata, place, nullable=nullable)
    if origin is Literal:
        return _choice(args, metadata, place, nullable=nullable)
    if isinstance(annotation, type) and origin is None:
        return _class(annotation, metadata, place, nullable=nullable)
    raise _unknown(annotation, place)


def _only_member(args: tuple[Any, ...], place: _Place) -> Any:
    members = [arg for arg in args if arg is not type(None)]
    if len(members) != 1:
        names = " and ".join(_name(member) for member in members)
        raise place.refuse(
            f"a union of {names} cannot be told apart in the answer",
            "Write one type, a Literal of the choices, or one optional field for each.",
        )
    return members[0]


def _list(item: Any, metadata: tuple[Any, ...], place: _Place, *, nullable: bool) -> ListForm:
    # markers of a list speak of its items
    markers = tuple(m for m in metadata if isinstance(m, DayFirst | DecimalComma | InferredText))
    form = _form(item, markers, place)
    if form.nullable or isinstance(form, ListForm):
        raise place.refuse(
            f"list[{_name(item)}] holds {'lists' if isinstance(form, ListForm) else 'nulls'}",
            "Write list[T] of a plain type, or of a model with a list field in it.",
        )
    return ListForm(item=form, nullable=nullable, max_items=_most(metadata, MAX_ITEMS))


def _most(metadata: Iterable[Any], default: int) -> int:
    return min((m.max_length for m in metadata if isinstance(m, MaxLen)), default=default)


def _class(annotation: type, metadata: tuple[Any, ...], place: _Place, *, nullable: bool) -> Form:
    if annotation is not str and any(isinstance(m, InferredText) for m in metadata):
        raise place.refuse(
            f"Inferred[{_name(annotation)}] is not free text",
            "Write Inferred[str], or the plain type: it is copied as printed and then converted.",
        )
    if annotation in SCALARS:
        return _scalar(SCALARS[annotation], metadata, place, nullable=nullable)
    if issubclass(annotation, Enum):
        return _choice(tuple(m.value for m in annotation), metadata, place, nullable=nullable)
    if issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel):
        return _object(annotation, metadata, place, nullable=nullable)
    raise _unknown(annotation, place)


def _scalar(kind: Kind, metadata: tuple[Any, ...], place: _Place, *, nullable: bool) -> Leaf:
    if kind is Kind.TEXT and any(isinstance(m, InferredText) for m in metadata):
        kind = Kind.INFERRED
    if kind is Kind.TEXT and any(isinstance(m, CurrencyCode) for m in metadata):
        kind = Kind.CURRENCY
    patterns = list(_patterns(metadata, place))
    return Leaf(
        kind=kind,
        pattern=patterns[0] if patterns and kind is Kind.TEXT else "",
        nullable=nullable,
        # what is printed of a number, date or currency may be longer than what the record holds
        max_length=_most(metadata, MAX_LENGTH[kind]) if kind in MAX_LENGTH else TYPED_MAX_LENGTH,
        day_first=_marker(metadata, DayFirst, place.day_first),
        decimal_comma=_marker(metadata, DecimalComma, place.decimal_comma),
        unit_of=next((m.field for m in metadata if isinstance(m, UnitOf)), None),
    )


def _marker(metadata: Iterable[Any], kind: type[DayFirst] | type[DecimalComma], default: bool) -> bool:
    return next((m.value for m in metadata if isinstance(m, kind)), default)


def _choice(values: tuple[Any, ...], metadata: Iterable[Any], place: _Place, *, nullable: bool) -> Leaf:
    if not values or not all(
        value and isinstance(value, str) and not isinstance(value, Enum) for value in values
    ):
        raise place.refuse(f"choices must be non-empty strings, not {values!r}", 'Write Literal["a", "b"].')
    return Leaf(
        kind=Kind.CHOICE,
        nullable=nullable,
        choices=tuple(dict.fromkeys(values)),
        max_length=max(map(len, values)),
    )


def _check_units(fields: dict[str, Form], place: _Place) -> None:
    for name, form in fields.items():
        if not isinstance(form, Leaf) or form.unit_of is None:
            continue
        sibling = fields.get(form.unit_of)
        is_text = form.nullable and form.kind in (Kind.TEXT, Kind.CURRENCY)
        if not is_text or not isinstance(sibling, Leaf) or not sibling.is_verbatim or sibling.unit_of:
            raise replace(place, name=f"{place.name}.{name}").refuse(
                f"cannot be the unit of {form.unit_of!r}",
                "Declare it `Annotated[str | None, UnitOf(field)]` beside a number field of that name.",
            )


def _patterns(metadata: Iterable[Any], place: _Place) -> Iterator[str]:
    for pattern in filter(None, (getattr(item, "pattern", None) for item in metadata)):
        try:
            yield re.compile(pattern).pattern
        except re.error as exc:
            # pydantic's own engine takes more, but the record's JSON Schema is checked with Python's
            raise place.refuse(
                f"pattern {pattern!r} is not one for Python's re: {exc}", "Write it without such escapes."
            ) from exc


def _unknown(annotation: Any, place: _Place) -> SchemaDefinitionError:
    origin = get_origin(annotation) or annotation
    if isinstance(annotation, typing.ForwardRef):
        return place.refuse(
            f"{annotation.__forward_arg__} is not defined yet", "Define nested models above the class."
        )
    if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping):
        return place.refuse(
            f"{_name(annotation)} has keys that are not known beforehand",
            "Write a list of a model with a field for the key and one for the value.",
        )
    if origin in (set, frozenset, tuple, list, collections.abc.Sequence, collections.abc.Iterable):
        return place.refuse(f"{_name(annotation)} is not a list of one type", "Write list[T].")
    return place.refuse(f"type {_name(annotation)} cannot be extracted", f"Write {ALLOWED}.")


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
