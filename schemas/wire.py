"""The JSON that the model writes and the examples show."""

import json

from schemas.forms import WireValue


def dump(record: WireValue) -> str:
    """A wire record as text, byte for byte in the style the grammar allows: `{"a": "b", "c": null}`."""
    return json.dumps(record, ensure_ascii=False)
