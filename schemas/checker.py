"""A jsonschema validator that is made once for a schema, with one for each part of it.

The library makes the validators of the parts anew for every value, which takes most of its time. Faults are the same,
but for their path in the schema.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

_LIBRARY: Final[Mapping[str, Callable[..., Iterable[ValidationError]]]] = Draft202012Validator.VALIDATORS


def checker(json_schema: Mapping[str, Any]) -> Validator:
    """A validator for many instances of a schema (2020-12), formats included; threads may share it."""
    parts = _Parts(json_schema)
    keywords = {
        "properties": parts.properties,
        "items": parts.items,
        "anyOf": parts.any_of,
        "$ref": parts.ref,
    }
    made: type[Validator] = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]
    return made(json_schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


class _Parts:
    """Keywords whose parts keep their validators."""

    def __init__(self, json_schema: Mapping[str, Any]) -> None:
        definitions = json_schema.get("$defs", {})
        # other names are escaped in a reference, which the library undoes
        self._definitions = {
            f"#/$defs/{name}": part for name, part in definitions.items() if name.isidentifier()
        }
        # by the identity of the part, which its validator keeps alive
        self._made: dict[int, Validator] = {}

    def properties(
        self, around: Validator, parts: Mapping[str, Any], instance: Any, _: object
    ) -> Iterator[ValidationError]:
        if around.is_type(instance, "object"):
            for name, part in parts.items():
                if name in instance:
                    yield from _below(name, self._part(around, part), instance[name])

    def items(
        self, around: Validator, item: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if "prefixItems" in schema:
            yield from _LIBRARY["items"](around, item, instance, schema)
        elif around.is_type(instance, "array"):
            part = self._part(around, item)
            for index, value in enumerate(instance):
                yield from _below(index, part, value)

    def any_of(
        self, around: Validator, choices: Iterable[Any], instance: Any, schema: Mapping[str, Any]
    ) -> Iterable[ValidationError]:
        if any(self._part(around, choice).is_valid(instance) for choice in choices):
            return ()
        return _LIBRARY["anyOf"](around, choices, instance, schema)

    def ref(
        self, around: Validator, to: str, instance: Any, schema: Mapping[str, Any]
    ) -> Iterable[ValidationError]:
        if to in self._definitions:
            return self._part(around, self._definitions[to]).iter_errors(instance)
        return _LIBRARY["$ref"](around, to, instance, schema)

    def _part(self, around: Validator, part: Any) -> Validator:
        made = self._made.get(id(part))
        if made is None:
            made = self._made[id(part)] = around.evolve(schema=part)
        return made


def _below(key: str | int, part: Validator, value: Any) -> Iterator[ValidationError]:
    for error in part.iter_errors(value):
        error.path.appendleft(key)
        yield error
