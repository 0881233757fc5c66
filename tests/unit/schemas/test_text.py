import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text import clean, words


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Acme Ltd.", ["Acme", " ", "Ltd", "."]),
        ("AcmeLtd No12345", ["Acme", "Ltd", " ", "No", "12345"]),
        ("SDN BHD(X)_y", ["SDN", " ", "BHD", "(", "X", ")", "_", "y"]),
        ("naïve Éclair e\u0301a", ["naïve", " ", "Éclair", " ", "e\u0301a"]),
        ("event-driven - PostgreSQL", ["event-driven", " ", "-", " ", "PostgreSQL"]),
        ("O’Neil-Smith' -x-1", ["O’Neil-Smith", "'", " ", "-", "x", "-", "1"]),
        # of whom something is
        ("Tanner's D’ARCY’S l'sol", ["Tanner", "'", "s", " ", "D’ARCY", "’", "S", " ", "l'sol"]),
        ("e\u0301-a 漢-a", ["e\u0301-a", " ", "漢", "-", "a"]),
        ("漢字abc漢", ["漢", "字", "abc", "漢"]),
        ("\r\n😀", ["\r", "\n", "😀"]),
        ("", []),
    ],
)
def test_where_values_may_begin_and_end(text, parts):
    assert words(text) == parts


@given(st.text())
def test_words_are_the_whole_text(text):
    assert "".join(words(text)) == text


@pytest.mark.parametrize(
    ("text", "stored"),
    [("a\r\nb\rc", "a\nb\nc"), ("\ufeffa\x00b", "ab"), ("e\u0301", "é"), ("\ud800x", "\ufffdx")],
)
def test_clean(text, stored):
    assert clean(text) == stored


@given(st.text())
def test_clean_twice_is_clean_once(text):
    assert clean(clean(text)) == clean(text)
