"""Templates -> pages that load nothing and run nothing but their own script."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workers.ground import State

GENERATOR = "gleaner report"
LEGEND = {
    State.VERBATIM: "stands in the document exactly so",
    State.NORMALISED: "stands there but for white space and case",
    State.FUZZY: "stands there nearly so",
    State.INFERRED: "free text",
    State.CHOICE: "chosen among listed values",
    State.ABSENT: "the document does not hold it",
    State.DOUBTED: "read so unsurely that the record does without it",
    State.UNGROUNDED: "does not stand in the document",
}

_HERE = Path(__file__).with_name("templates")
# what HTML or UTF-8 cannot hold
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTROL_PICTURES = 0x2400
_DELETE, _DELETE_PICTURE = 0x7F, "\u2421"


def render(template: str, **values: Any) -> str:
    """A page as text; every value is escaped."""
    return _environment().get_template(template).render(values)


def visible(text: str) -> str:
    """The text with a picture for each control character but tab and line feed, as long as it was."""
    return _UNPRINTABLE.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == _DELETE:
        return _DELETE_PICTURE
    return chr(_CONTROL_PICTURES + code) if code < _DELETE else "\ufffd"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_own(name) for name in ("style.css", "script.js"))
    made.globals |= {
        "generator": GENERATOR,
        "legend": LEGEND,
        "policy": _policy(style, script),
        "script": script,
        "style": style,
    }
    return made


def _own(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704  ours, not a document's


def _policy(style: str, script: str) -> str:
    # by their hashes: should a document ever get a tag into a page, it is not run
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _final(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
