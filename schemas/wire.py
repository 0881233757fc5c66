"""The wire form: the JSON that the model writes and the examples show."""

import json
from typing import Any

from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm, WireValue

# json.dumps would make one for every call
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def dump(record: WireValue) -> str:
    """A wire record as text, byte for byte in the style the grammar allows: `{"a": "b", "c": null}`."""
    return _ENCODER.encode(record)


def wire_schema(form: Form) -> dict[str, Any]:
    """JSON Schema of a form as the model writes it."""
    if isinstance(form, Leaf):
        return _leaf(form)
    if isinstance(form, ListForm):
        schema = {"type": "array", "items": wire_schema(form.item), "maxItems": form.max_items}
    else:
        schema = _object(form)
    return _nullable(schema) if form.nullable else schema


def _object(form: ObjectForm) -> dict[str, Any]:
    properties = {name: wire_schema(field) for name, field in form.wire_fields}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _leaf(leaf: Leaf) -> dict[str, Any]:
    if leaf.kind is Kind.BOOLEAN:
        schema: dict[str, Any] = {"type": "boolean"}
    elif leaf.kind is Kind.CHOICE:
        schema = {"type": "string", "enum": list(leaf.choices)}
    else:
        schema = {"type": "string", "minLength": 1, "maxLength": leaf.max_length}
    if leaf.wire_nullable:
        schema = _nullable(schema)
    return schema | ({"description": leaf.description} if leaf.description else {})


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return {**schema, "type": ["string", "null"], "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}
