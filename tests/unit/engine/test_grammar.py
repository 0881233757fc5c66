import json
import random
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from schemas import wire
from schemas.errors import GrammarError
from schemas.forms import VERBATIM, Form, Kind, Leaf, ListForm, ObjectForm
from schemas.reading import read
from schemas.text import words
from workers.engine import grammar
from workers.engine.tokenizer import PlainTokenizer

BYTES = LLTokenizer("byte")
HARD = [
    '"',
    "\\",
    "\n",
    "\r\n",
    "\t",
    "\x01",
    "\x1f",
    "\x7f",
    "😀",
    "👨‍👩‍👧",
    "漢字",
    "é",
    " ",
    "  ",
    "\u00a0",
    "\u2028",
    "e\u0301",
]
TYPED_KINDS = VERBATIM - {Kind.TEXT}
PRINTED = ["RM 1,234.50", "12/03/2024", "3rd of March 2024", "2024-03-03 10:31", "(12)", "€", "EUR", "7 kg"]

documents = st.lists(
    st.one_of(
        st.sampled_from(HARD),
        st.sampled_from(PRINTED),
        st.sampled_from(list("abc 019.,/-")),
        st.characters(codec="utf-8", exclude_characters="\0"),
    ),
    max_size=40,
).map("".join)


def leaves() -> st.SearchStrategy[Leaf]:
    lengths = st.integers(1, 20)
    text = st.builds(Leaf, kind=st.just(Kind.TEXT), nullable=st.booleans(), max_length=lengths)
    typed = st.builds(
        Leaf,
        kind=st.sampled_from(sorted(TYPED_KINDS)),
        day_first=st.booleans(),
        decimal_comma=st.booleans(),
        max_length=lengths,
    )
    inferred = st.builds(Leaf, kind=st.just(Kind.INFERRED), max_length=lengths)
    boolean = st.builds(Leaf, kind=st.just(Kind.BOOLEAN), nullable=st.booleans())
    texts = st.sampled_from(["a", "ab", 'say "x"', "back\\slash", "two\nlines", "😀", "漢", "null", "é"])
    choices = st.lists(texts, min_size=1, max_size=3, unique=True).map(tuple)
    choice = st.builds(Leaf, kind=st.just(Kind.CHOICE), nullable=st.booleans(), choices=choices)
    return st.one_of(text, typed, inferred, boolean, choice)


def objects(inner: st.SearchStrategy[Form]) -> st.SearchStrategy[ObjectForm]:
    names = st.sampled_from(["a", "b", "total", 'quo"te', "naïve", "b\\s"])
    fields = st.lists(st.tuples(names, inner), max_size=3, unique_by=lambda field: field[0]).map(tuple)
    return st.builds(ObjectForm, fields=fields, nullable=st.booleans())


forms = objects(
    st.recursive(
        leaves(),
        lambda inner: (
            objects(inner)
            | st.builds(ListForm, item=inner, nullable=st.booleans(), max_items=st.integers(0, 3))
        ),
        max_leaves=6,
    )
)


def allowed(matcher: LLMatcher) -> list[int]:
    bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
    grammar.raise_if_broken(matcher)
    return [int(i) for i in np.nonzero(bits)[0]]


def sample(form: ObjectForm, document: str, rng: random.Random, tokenizer: LLTokenizer = BYTES) -> str:
    """A text taken at random from what the grammar allows, until it stops by itself."""
    matcher = grammar.matcher(grammar.build(form, document), tokenizer)
    ids: list[int] = []
    while not matcher.is_stopped():
        choices = allowed(matcher)
        assert choices, "a dead end"
        ids.append(rng.choice(choices))
        assert matcher.consume_token(ids[-1])
    return tokenizer.decode_bytes(ids).decode()


def check(form: Form, value: object, document: str) -> None:
    """Assert that a wire value satisfies the form and is grounded."""
    if value is None:
        assert form.wire_nullable if isinstance(form, Leaf) else form.nullable
    elif isinstance(form, ObjectForm):
        assert isinstance(value, dict)
        assert list(value) == [name for name, _ in form.wire_fields]
        for name, inner in form.wire_fields:
            check(inner, value[name], document)
    elif isinstance(form, ListForm):
        assert isinstance(value, list)
        assert len(value) <= form.max_items
        for item in value:
            check(form.item, item, document)
    elif form.kind is Kind.BOOLEAN:
        assert isinstance(value, bool)
    else:
        check_text(form, value, document)


def check_text(form: Leaf, value: object, document: str) -> None:
    assert isinstance(value, str)
    if form.kind is Kind.CHOICE:
        assert value in form.choices
        return
    assert 1 <= len(value) <= form.max_length
    assert value == value.strip()
    if form.is_verbatim:
        assert value in document
    if form.kind in TYPED_KINDS:
        read(form, value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(forms, documents, st.randoms(use_true_random=False))
def test_every_text_of_the_grammar_is_a_grounded_wire_record(
    form: ObjectForm, document: str, rng: random.Random
) -> None:
    text = sample(form, document, rng)
    record = json.loads(text)
    assert wire.dump(record) == text
    check(form if not form.nullable else ObjectForm(fields=form.fields), record, document)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forms, documents, st.randoms(use_true_random=False))
def test_the_same_holds_with_tokens_of_several_characters(
    tiny_tokenizer: PlainTokenizer, form: ObjectForm, document: str, rng: random.Random
) -> None:
    text = sample(form, document + " <|im_end|> total 12", rng, tiny_tokenizer.for_grammar)
    assert wire.dump(json.loads(text)) == text


def accepts(form: ObjectForm, document: str, text: str) -> bool:
    matcher = grammar.matcher(grammar.build(form, document), BYTES)
    wanted = list(text.encode())
    return matcher.try_consume_tokens(wanted) == len(wanted) and bool(matcher.is_stopped())


def one(kind: Kind, **facts: object) -> ObjectForm:
    return ObjectForm(fields=(("a", Leaf(kind=kind, **facts)),))  # type: ignore[arg-type]


@settings(max_examples=200)
@given(documents, st.data())
@example(document="a\\n", data=None)
def test_every_visible_run_of_words_can_be_written(document: str, data: st.DataObject | None) -> None:
    parts = words(document)
    bounds = (
        (0, len(parts)) if data is None else sorted(data.draw(st.tuples(*[st.integers(0, len(parts))] * 2)))
    )
    value = "".join(parts[slice(*bounds)]).strip()
    # a value does not begin or end with a control character either
    value = re.sub(r"^[\x00-\x20\s]+|[\x00-\x20\s]+$", "", value)
    if value:
        assert accepts(one(Kind.TEXT), document, wire.dump({"a": value}))


@pytest.mark.parametrize(
    ("kind", "document", "value", "expected"),
    [
        (Kind.TEXT, "Acme Ltd", "Acme", True),
        (Kind.TEXT, "Acme Ltd", "acme", False),
        (Kind.TEXT, "Acme Ltd", "cme Ltd", False),
        (Kind.TEXT, "Acme Ltd", "Acme L", False),
        (Kind.TEXT, "AcmeLtd No12", "Ltd No", True),
        (Kind.TEXT, "Acme Ltd", "Acme ", False),
        (Kind.TEXT, "Acme Ltd", "", False),
        (Kind.TEXT, "", None, True),
        (Kind.TEXT, " \n\t\x01", None, True),
        (Kind.TEXT, 'he said "no\\no"', 'said "no\\no"', True),
        (Kind.TEXT, 'he said "no"', 'no"', True),
        (Kind.DECIMAL, "Total: RM 1,234.50 only", "RM 1,234.50", True),
        (Kind.DECIMAL, "Total: RM 1,234.50 only", "RM", False),
        (Kind.DATE, "Wednesday, the 3rd of March 2024", "3rd of March 2024", True),
        (Kind.DATE, "Wednesday, the 3rd of March 2024", "3rd of March", False),
        (Kind.DATE, "no date at all", None, True),
        (Kind.DATE, "no date at all", "no", False),
        (Kind.DECIMAL, "Total 12.50 of 300", "2.50", False),
        (Kind.CURRENCY, "in EUR", "EUR", True),
        (Kind.CURRENCY, "in EUR", "in", False),
        (Kind.INFERRED, "", "a free\ntext", True),
        (Kind.BOOLEAN, "", None, False),
    ],
)
def test_what_is_allowed(kind: Kind, document: str, value: str | None, expected: bool) -> None:
    assert accepts(one(kind), document, wire.dump({"a": value})) is expected


@pytest.mark.parametrize(
    ("pattern", "document", "value", "expected"),
    [
        (r"^[\w.]+@[\w.]+$", "Ann <ann.b@x.example>", "ann.b@x.example", True),
        (r"^[\w.]+@[\w.]+$", "Ann <ann.b@x.example>", "Ann", False),
        (r"^[\w.]+@[\w.]+$", "Ann <ann.b@x.example>", "<ann.b@x.example>", False),
        (r"^[\w.]+@[\w.]+$", "Ann", None, True),
        # an address is copied whole
        (r"^[\w.]+@[\w.]+$", "Ann <ann.b@x.example>", "b@x.example", False),
        (r"^[\w.]+@[\w.]+$", "Ann <ann.b@x.example>", ".b@x.example", False),
        (r"^[\w.]+@[\w.]+$", "Ann <ann.b@x.example>", None, True),
        (r"^[\w.]+@[\w.]+$", "ann@x.example, b@y.example", "b@y.example", True),
        (r"\d{3}", "No. 123 of 4", "No. 123", True),
        (r"\d{3}", "No. 123 of 4", "4", False),
        (r"^(a|b)/\d$", "a/1 c/1", "a/1", True),
        (r"^(a|b)/\d$", "a/1 c/1", "c/1", False),
        (r"^No \d$", "No\n5 or 6", "No\n5", True),
        (r"^No \d$", "No\n5 or 6", "or 6", False),
        # what the grammar cannot express is left to validation
        (r"^a|b$", "c b a", "c", True),
        (r"(?=a)\w+", "c", "c", True),
    ],
)
def test_a_text_matches_its_pattern(pattern: str, document: str, value: str | None, expected: bool) -> None:
    assert accepts(one(Kind.TEXT, pattern=pattern), document, wire.dump({"a": value})) is expected


def test_the_length_is_bounded_in_code_points() -> None:
    document = "漢字\n" * 30
    assert accepts(one(Kind.TEXT, max_length=5), document, wire.dump({"a": "漢字\n漢字"}))
    assert not accepts(one(Kind.TEXT, max_length=4), document, wire.dump({"a": "漢字\n漢字"}))


@pytest.mark.parametrize(
    "text", ['{"a":null}', '{ "a": null}', '{"a": null} ', '{"a": null}\n', '{"a": "\\u0041"}']
)
def test_only_one_style_of_json_is_allowed(text: str) -> None:
    assert not accepts(one(Kind.TEXT), "A", text)


def test_units_are_not_written() -> None:
    quantity = ("quantity", Leaf(kind=Kind.DECIMAL))
    form = ObjectForm(fields=(quantity, ("unit", Leaf(kind=Kind.TEXT, unit_of="quantity"))))
    assert accepts(form, "12 kg", '{"quantity": "12 kg"}')


def test_lists_are_bounded() -> None:
    form = ObjectForm(fields=(("a", ListForm(item=Leaf(kind=Kind.TEXT), max_items=2)),))
    assert accepts(form, "x y", '{"a": []}')
    assert accepts(form, "x y", '{"a": ["x", "y"]}')
    assert not accepts(form, "x y", '{"a": ["x", "y", "x"]}')
    assert not accepts(form, "x y", '{"a": [null]}')
    assert accepts(form, "", '{"a": []}')


def test_special_tokens_in_a_document_are_written_as_characters(tiny_tokenizer: PlainTokenizer) -> None:
    specials = {tiny_tokenizer.special(name) for name in ("<|im_end|>", "<|box_end|>", "<|direct|>")}
    document = "<|im_end|><|box_end|><|direct|>"
    matcher = grammar.matcher(grammar.build(one(Kind.TEXT), document), tiny_tokenizer.for_grammar)
    for token in tiny_tokenizer.encode(wire.dump({"a": document})):
        assert not specials & set(allowed(matcher))
        assert matcher.consume_token(token)
    assert matcher.is_stopped()


def test_long_documents_do_not_exhaust_the_matcher() -> None:
    rng = random.Random(1)
    words = [
        "the",
        "parties",
        "agree",
        "that",
        "any",
        "notice",
        "on",
        "12",
        "March",
        "at",
        "4",
        "Main",
        "St\n",
    ]
    document = " ".join(rng.choice(words) for _ in range(4000))[:16000]
    form = ObjectForm(
        fields=(("a", Leaf(kind=Kind.TEXT)), ("b", Leaf(kind=Kind.DATE)), ("c", Leaf(kind=Kind.DECIMAL)))
    )
    for document_ in (document, " " * 8000 + "b" + " " * 8000, "ab " * 5000 + " " * 500 + "a1"):
        check(form, json.loads(sample(form, document_, rng)), document_)


def test_a_grammar_that_is_refused_says_so() -> None:
    with pytest.raises(GrammarError, match="cannot be followed"):
        grammar.matcher("start: missing_rule", BYTES)
