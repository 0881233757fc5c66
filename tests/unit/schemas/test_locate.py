import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.locate import collapse, exact, normalised, unpunctuated

PIECES = st.sampled_from(
    [
        "Acme",
        "straße",
        "İstanbul",
        "e\u0301",
        "é",
        "👩‍👩‍👧",
        "🇩🇪",
        "東京",
        "שלום",
        "\r\n",
        "\t",
        "  ",
        "a",
        "ﬁ",
        "1,234.50",
    ]
)
TEXTS = st.lists(PIECES | st.characters(exclude_categories=["Cs"]), max_size=30).map("".join)


@st.composite
def picked(draw):
    text = draw(TEXTS.filter(bool))
    start = draw(st.integers(0, len(text) - 1))
    return text, start, draw(st.integers(start + 1, len(text)))


def test_exact_finds_every_place():
    assert exact("abc abc abab", "ab") == [(0, 2), (4, 6), (8, 10), (10, 12)]
    assert exact("aaa", "aa") == [(0, 2)]
    assert exact("abc", "x") == []
    assert exact("abc", "") == []


@given(picked())
def test_exact_spans_hold_the_value(pick):
    text, start, end = pick
    spans = exact(text, text[start:end])
    assert spans
    assert all(text[a:b] == text[start:end] for a, b in spans)


def test_collapse():
    assert collapse(" Acme \r\n\t Ltd\u00a0") == "Acme Ltd"


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("to ACME\r\n  Ltd.", "Acme Ltd", "ACME\r\n  Ltd"),
        ("Haupt-Straße 5", "STRASSE", "Straße"),
        ("HAUPTSTRASSE 5", "hauptstraße", "HAUPTSTRASSE"),
        ("in İstanbul now", "i\u0307stanbul", "İstanbul"),
        ("the cafe\u0301 bar", "CAFÉ", "cafe\u0301"),
        ("the café bar", "cafe\u0301", "café"),
        ("👩‍👩‍👧 東京　タワー", "東京 タワー", "東京　タワー"),
        ("ﬁnance", "FINANCE", "ﬁnance"),
    ],
)
def test_normalised_maps_back_to_the_original(text, value, found):
    [(start, end)] = normalised(text, value)
    assert text[start:end] == found


@pytest.mark.parametrize(
    ("text", "value"),
    [("ß", "s"), ("cafe\u0301", "cafe"), ("ab", "a b"), ("abc", " "), ("", "a"), ("ﬁ", "f"), ("é", "e")],
)
def test_normalised_never_takes_half_a_character_or_other_words(text, value):
    assert normalised(text, value) == []


@given(picked(), st.sampled_from([str, str.upper, str.lower, str.casefold]))
def test_what_normalised_finds_is_the_value_but_for_case_and_white_space(pick, change):
    text, start, end = pick
    value = change(text[start:end])

    def same(one: str) -> str:
        return collapse(unicodedata.normalize("NFD", unicodedata.normalize("NFD", one).casefold()))

    for a, b in normalised(text, value):
        assert 0 <= a < b <= len(text)
        assert same(text[a:b]) == same(value)


@given(
    st.lists(st.sampled_from(["Ab", "cD", "東京", "👍", "x1"]), min_size=1),
    st.sampled_from([" ", "\r\n", " \t "]),
)
def test_normalised_finds_words_whatever_their_case_and_white_space(words, gap):
    text = "-- " + gap.join(words).swapcase() + " --"
    [(start, end), *_] = normalised(text, " ".join(words))
    assert collapse(text[start:end]) == " ".join(words).swapcase()


def test_a_million_characters_take_no_second_look():
    text = "ab " * 300_000 + "NEEDLE  in hay"
    [(start, end)] = normalised(text, "needle in HAY")
    assert text[start:end] == "NEEDLE  in hay"
    assert len(exact(text, "ab")) == 300_000


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("by Foo, Inc. of", "FOO INC", ["Foo, Inc"]),
        ("by Foo, Inc. of", "Foo Inc.", ["Foo, Inc."]),
        ("No 2 & 4 High St,\nLeeds", "NO. 2 & 4, HIGH ST., LEEDS", ["No 2 & 4 High St,\nLeeds"]),
        ("Straße 5", "Strasse-5", ["Straße 5"]),
        ("Foobar", "Foo", []),
        ("a b", "-", []),
        ("", "a", []),
    ],
)
def test_unpunctuated_puts_all_signs_aside(text, value, found):
    assert [text[start:end] for start, end in unpunctuated(text, value)] == found


def lettered(text: str) -> str:
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    return "".join(filter(str.isalnum, folded))


@given(TEXTS, TEXTS)
def test_unpunctuated_spans_have_the_letters_of_the_value(text, value):
    for start, end in unpunctuated(f"{text} {value} {text}", value):
        assert lettered(f"{text} {value} {text}"[start:end]) == lettered(value)
