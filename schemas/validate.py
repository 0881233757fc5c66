"""Wire record -> jsonschema -> conversion -> pydantic -> jsonschema; every fault with its path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from jsonschema.protocols import Validator
from pydantic import ValidationError

from schemas.errors import ConversionError
from schemas.forms import Form, Leaf, ListForm, ObjectForm, Path, WireValue, path_text
from schemas.reading import read, unit_of

if TYPE_CHECKING:
    from schemas.base import Schema


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong at one place of a record."""

    path: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Validated:
    """A record that holds, or the reasons why it does not."""

    # Python values: Decimal, date, nested dicts and lists; None if there are faults
    record: dict[str, Any] | None
    # the same as JSON
    record_json: dict[str, Any] | None
    faults: tuple[Fault, ...]


def wire_faults(schema: "Schema", wire_record: WireValue) -> list[Fault]:
    """What in an answer does not satisfy the wire JSON Schema."""
    return list(_jsonschema_faults(schema.wire_checker, wire_record))


def to_record(schema: "Schema", wire_record: dict[str, Any]) -> Validated:
    """Convert a wire record of the right shape; all faults are collected, and a key left out is null."""
    failed: dict[Path, str] = {}
    values = _convert_object(schema.form, wire_record, (), failed)
    faults = [Fault(path=path_text(path), message=message) for path, message in failed.items()]
    try:
        model = schema.model.model_validate(values, by_alias=False, by_name=True)
        # without warnings: jsonschema names what a validator left of the wrong type
        record_json = model.model_dump(mode="json", by_alias=False, warnings=False)
        record = _plain(model.model_dump(by_alias=False, warnings=False))
    except ValidationError as exc:
        faults += _pydantic_faults(exc, failed)
    except Exception as exc:  # noqa: BLE001  a user's validator may raise anything: the reason is kept
        faults.append(Fault(path="", message=f"a validator raised {type(exc).__name__}: {exc}"))
    else:
        faults += _jsonschema_faults(schema.record_checker, record_json)
        if not faults:
            return Validated(record=record, record_json=record_json, faults=())
    return Validated(record=None, record_json=None, faults=tuple(faults))


def _plain(value: Any) -> Any:
    """Members of an Enum as their values, for a database knows only these."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _jsonschema_faults(checker: Validator, instance: WireValue) -> Iterator[Fault]:
    for error in checker.iter_errors(instance):
        yield Fault(path=path_text(tuple(error.absolute_path)), message=error.message)


def _pydantic_faults(exc: ValidationError, failed: dict[Path, str]) -> Iterator[Fault]:
    for error in exc.errors(include_url=False, include_context=False):
        path = error["loc"]
        # a leaf that did not convert is missing here; its reason is known already
        if path not in failed:
            yield Fault(path=path_text(path), message=error["msg"])


def _convert(form: Form, value: WireValue, path: Path, failed: dict[Path, str]) -> Any:
    if value is None:
        return None
    if isinstance(form, ObjectForm) and isinstance(value, dict):
        return _convert_object(form, value, path, failed)
    if isinstance(form, ListForm) and isinstance(value, list):
        return _convert_list(form.item, value, path, failed)
    if isinstance(form, Leaf) and isinstance(value, str) and not form.choices:
        return read(form, value)
    return value


def _convert_list(item: Form, values: Sequence[Any], path: Path, failed: dict[Path, str]) -> list[Any]:
    converted = []
    for index, value in enumerate(values):
        try:
            converted.append(_convert(item, value, (*path, index), failed))
        except ConversionError as exc:
            failed[(*path, index)] = exc.message
            converted.append(None)
    return converted


def _convert_object(
    form: ObjectForm, value: dict[str, Any], path: Path, failed: dict[Path, str]
) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for name, field in form.fields:
        at = (*path, name)
        try:
            if isinstance(field, Leaf) and field.unit_of:
                converted[name] = _convert(field, unit_of(value.get(field.unit_of) or ""), at, failed)
            elif value.get(name) is not None or field.nullable:
                converted[name] = _convert(field, value.get(name), at, failed)
            # else left out, so that pydantic says "required" or takes the declared default
        except ConversionError as exc:
            failed[at] = exc.message
    return converted
