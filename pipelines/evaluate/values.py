"""Gold and extracted values as Python values of the same types, so that they compare by value."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from schemas.base import Schema
from schemas.errors import ConversionError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm, Path, path_text
from schemas.reading import read, unit_of
from schemas.text import clean
from workers.extract import Extraction


@dataclass(frozen=True)
class Unread:
    """An extracted text that is no value of its field's type: it equals no gold value."""

    printed: str


def found_values(schema: Schema, extraction: Extraction) -> dict[str, Any] | None:
    """The values a document is scored on: its record if that holds, else those of its wire record.

    Of a wire record that does not hold, what does not convert counts as a wrong value. A document that failed
    or whose answer was truncated has none.
    """
    if extraction.validated and extraction.validated.record is not None:
        return extraction.validated.record
    if extraction.wire_record is None:
        return None
    return converted_object(schema.form, extraction.wire_record)


def _converted(form: Form, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(form, ObjectForm):
        return converted_object(form, value)
    if isinstance(form, ListForm):
        return [_converted(form.item, item) for item in value]
    if form.choices or not isinstance(value, str):
        return value
    try:
        return read(form, value)
    except ConversionError:
        return Unread(value)


def converted_object(form: ObjectForm, value: dict[str, Any]) -> dict[str, Any]:
    """A wire record's values by field; what does not read as its type is `Unread`."""
    return {name: _converted(item, _printed(item, name, value)) for name, item in form.fields}


def _printed(form: Form, name: str, value: dict[str, Any]) -> Any:
    if isinstance(form, Leaf) and form.unit_of:
        return unit_of(value.get(form.unit_of) or "")
    return value.get(name)


@dataclass
class GoldReader:
    """Reads labels written in clean values: ISO dates, plain numbers as text or number, lists, null."""

    # what makes a label unusable
    faults: list[str] = field(default_factory=list)
    # values that do not read as their field's type: kept as text, which no extracted value equals
    unread: list[str] = field(default_factory=list)

    def read(self, form: Form, value: Any, path: Path) -> Any:
        """A gold value; blank text is null, and in nested objects so is a key left out."""
        if value is None:
            return None
        if isinstance(form, ObjectForm):
            return self._object(form, value, path)
        if isinstance(form, ListForm):
            return self._list(form, value, path)
        return self._leaf(form, value, path)

    def _object(self, form: ObjectForm, value: Any, path: Path) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self._refuse(path, "must be an object", value)
            return None
        names = dict(form.fields)
        for name in sorted(value.keys() - names.keys()):
            self._refuse((*path, name), f"is no field; there are {', '.join(names)}", value[name])
        return {name: self.read(item, value.get(name), (*path, name)) for name, item in form.fields}

    def _list(self, form: ListForm, value: Any, path: Path) -> list[Any] | None:
        if not isinstance(value, list):
            self._refuse(path, "must be a list", value)
            return None
        items = [self.read(form.item, item, (*path, index)) for index, item in enumerate(value)]
        return [item for item in items if item is not None]

    def _leaf(self, leaf: Leaf, value: Any, path: Path) -> Any:
        if leaf.kind is Kind.BOOLEAN or leaf.choices:
            allowed = leaf.choices or (True, False)
            if value not in allowed:
                self._refuse(path, f"must be one of {', '.join(map(repr, allowed))}", value)
            return value
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            self._refuse(path, "must be a text or a number", value)
            return None
        return self._text(leaf, clean(str(value)).strip(), path)

    def _text(self, leaf: Leaf, text: str, path: Path) -> Any:
        try:
            # clean numbers have a decimal point, whatever the documents print
            return read(replace(leaf, decimal_comma=False), text) if text else None
        except ConversionError as exc:
            self.unread.append(f"{path_text(path)}: {exc.message}")
            return text

    def _refuse(self, path: Path, reason: str, value: Any) -> None:
        self.faults.append(f"{path_text(path)}: {reason}, not {value!r}")
