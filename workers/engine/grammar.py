"""The grammar of one request: what the model may write, given the form and the document.

It is llguidance's dialect of Lark. Lower-case names are rules, upper-case names are regular expressions, which may
be intersected with `&`; `%regex {"substring_chunks": [...]}` is every run of neighbouring chunks.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from zlib import crc32

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from schemas.candidates import candidates, has_open_choice, is_offered
from schemas.errors import GrammarError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from schemas.text import words

# One character of a JSON string as `json.dumps(ensure_ascii=False)` writes it.
_CHARACTER = r'(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[0-7be]|0f|1[0-9a-f]))'
_FREE_CHARACTER = r'(?:[^"\\\x00-\x1f]|\\["\\nt])'
# One that is neither white space nor a control character.
_EDGE = r'(?:[^"\\\x00-\x20\s]|\\["\\])'

# Whether a value can still reach its last visible character is searched for at every step; the default fuel for
# that ends the answer in the middle of a long document.
_LIMITS = LLParserLimits(
    initial_lexer_fuel=100_000_000, step_lexer_fuel=100_000_000, max_lexer_states=2_000_000
)


# what a document prints of a leaf's kind
Printed = Callable[[Leaf], list[str]]


def build(form: ObjectForm, document: str, printed: Printed | None = None) -> str:
    """The grammar whose texts are the wire records of `form` that `document` can ground.

    Raises:
        GrammarError: the form cannot be written as a grammar.
    """
    return _Builder(document, printed or printed_in(document)).build(form)


def printed_in(document: str) -> Printed:
    """What a document prints of any leaf's kind, looked for once."""
    found: dict[str, list[str]] = {}

    def printed(leaf: Leaf) -> list[str]:
        name = copied_name(leaf)
        if name not in found:
            found[name] = candidates(leaf, document)
        return found[name]

    return printed


def matcher(grammar: str, tokenizer: LLTokenizer) -> LLMatcher:
    """A matcher at the start of `grammar`.

    Raises:
        GrammarError: llguidance refuses it.
    """
    made = LLMatcher(tokenizer, grammar, limits=_LIMITS, log_level=0)
    raise_if_broken(made)
    return made


def raise_if_broken(state: LLMatcher) -> None:
    """Turn a matcher's error state, which it never leaves, into an exception."""
    if state.is_error():
        reason = state.get_error().partition("\n")[0]
        raise GrammarError(
            f"The grammar of the request cannot be followed: {reason}.",
            hint="Lower max_length, max_items or the number of fields of the schema.",
        )


class _Builder:
    """Collects definitions, each made once, while it walks the form."""

    def __init__(self, document: str, printed: Printed) -> None:
        self._document = document
        self._printed = printed
        self._definitions: dict[str, str] = {}

    def build(self, form: ObjectForm) -> str:
        self._definitions["start"] = self._object(form)
        return "".join(f"{name}: {body}\n" for name, body in self._definitions.items())

    def _rule(self, form: Form) -> str:
        body = self._body(form)
        if isinstance(form, Leaf):
            nullable = form.wire_nullable
        else:
            nullable = form.nullable
            body = self._define(f"form_{len(self._definitions)}", body)
        return f'("null" | {body})' if nullable and body != _NULL else body

    def _body(self, form: Form) -> str:
        if isinstance(form, ObjectForm):
            return self._object(form)
        return self._list(form) if isinstance(form, ListForm) else self._leaf(form)

    def _object(self, form: ObjectForm) -> str:
        parts = []
        separator = "{"
        for name, field in form.wire_fields:
            parts += [_literal(f"{separator}{_json(name)}: "), self._rule(field)]
            separator = ", "
        return " ".join([*parts, _literal("}")]) if parts else _literal("{}")

    def _list(self, form: ListForm) -> str:
        item = self._rule(form.item)
        if form.max_items < 1 or item == _NULL:
            return _literal("[]")
        # llguidance refuses the empty range {0,0}
        more = f'(", " {item}){{0,{form.max_items - 1}}}' if form.max_items > 1 else ""
        return f'"[" ({item} {more})? "]"'

    def _leaf(self, form: Leaf) -> str:
        if form.kind is Kind.BOOLEAN:
            return '("true" | "false")'
        if form.kind is Kind.CHOICE and not form.choices:
            raise GrammarError("A choice has nothing to choose among.", hint="Give the field its choices.")
        if form.kind is Kind.CHOICE:
            return "(" + " | ".join(_literal(_json(choice)) for choice in form.choices) + ")"
        if form.max_length < 1:
            return _NULL
        return self._inferred(form) if form.kind is Kind.INFERRED else self._verbatim(form)

    def _inferred(self, form: Leaf) -> str:
        return self._define(f"FREE_{form.max_length}", _quoted(_bounded(_FREE_CHARACTER, form.max_length)))

    def _verbatim(self, form: Leaf) -> str:
        """Whole words of the document for a text, one of the candidates for what is offered some."""
        name = copied_name(form)
        if name not in self._definitions:
            body = self._choice(form) if is_offered(form) else self._substring(form)
            if not body:
                return _NULL
            self._define(name, body)
        return name

    def _choice(self, form: Leaf) -> str:
        return " | ".join(_literal(_json(each)) for each in self._printed(form))

    def _substring(self, form: Leaf) -> str | None:
        parts = words(self._document)
        if not any(len(part) <= form.max_length and _is_visible(part) for part in parts):
            return None
        # escaped part by part, so that no escape is split
        chunks = {"substring_chunks": [_json(part)[1:-1] for part in parts]}
        self._define("DOCUMENT", "%regex " + json.dumps(chunks))
        return _quoted(f"DOCUMENT & {_bounded(_CHARACTER, form.max_length)}{_matching(form.pattern)}")

    def _define(self, name: str, body: str) -> str:
        self._definitions.setdefault(name, body)
        return name


_NULL = '"null"'


@lru_cache
def _matching(pattern: str) -> str:
    """What holds a text to its pattern; nothing if the grammar cannot express it, and validation alone refuses."""
    if not pattern or has_open_choice(pattern):
        return ""
    start = "" if pattern.startswith("^") else "(?s:.*)"
    end = "" if pattern.endswith("$") and not pattern.endswith("\\$") else "(?s:.*)"
    inner = pattern.removeprefix("^").removesuffix("$" if not end else "").replace("/", "\\/")
    # the record has one blank where a line was broken, which is written as an escape
    escaped = r"|(?s:.*)\\(?s:.*)" if " " in pattern or r"\s" in pattern else ""
    expression = f"/{start}(?:{inner}){end}{escaped}/"
    refused = LLMatcher(LLTokenizer("byte"), f"start: {expression}", log_level=0).is_error()
    return "" if refused else f" & {expression}"


def copied_name(leaf: Leaf) -> str:
    """One for all leaves that may copy the same."""
    pattern = f"_{crc32(leaf.pattern.encode()):08X}" if leaf.pattern else ""
    return f"{leaf.kind.upper()}_{leaf.max_length}_{leaf.day_first:d}{leaf.decimal_comma:d}{pattern}"


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _literal(text: str) -> str:
    # a Lark string is written like a JSON string
    return json.dumps(text)


def _quoted(content: str) -> str:
    return f'"\\"" ({content}) "\\""'


def _bounded(character: str, max_length: int) -> str:
    """1 to `max_length` characters, the first and the last of them visible."""
    if max_length == 1:
        return f"/{_EDGE}/"
    return f"/{_EDGE}(?:{character}{{0,{max_length - 2}}}{_EDGE})?/"


def _is_visible(part: str) -> bool:
    return not part.isspace() and ord(part[0]) >= 0x20
