from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.candidates import candidates
from schemas.forms import Kind, Leaf
from schemas.reading import read

TYPED = [Kind.DECIMAL, Kind.INTEGER, Kind.FLOAT, Kind.DATE, Kind.DATETIME, Kind.CURRENCY]
WORDS = [
    "Total",
    "RM",
    "€",
    "12.50",
    "1,234.50",
    "25/12/2018",
    "8:13 PM",
    "3rd of March 2024",
    "(5.00)",
    "12kg",
    "\n",
    "x",
    "-",
    "15%",
]


def leaf(kind: Kind) -> Leaf:
    return Leaf(kind=kind, day_first=True, max_length=64)


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        (Kind.DECIMAL, "TOTAL RM 1,234.50", ["RM 1,234.50", "1,234.50"]),
        (Kind.DECIMAL, "12 kg at 3.00 EUR", ["12", "12 kg", "3.00", "3.00 EUR"]),
        (Kind.DECIMAL, "refund (12.00)", ["(12.00)", "12.00"]),
        (Kind.DECIMAL, "€85k per year", ["€85k", "85k", "85k per year"]),
        (Kind.INTEGER, "1.5 or 2", ["2"]),
        (Kind.DATE, "Issued 25/12/2018, due 3rd of March 2024", ["25/12/2018", "3rd of March 2024"]),
        (Kind.DATE, "no such day: 31/02/2020", []),
        (Kind.DATETIME, "on 25/12/2018 8:13 PM", ["25/12/2018 8:13 PM"]),
        (Kind.CURRENCY, "in EUR or €, never XQZ", ["EUR", "€"]),
        (Kind.DECIMAL, "", []),
    ],
)
def test_what_a_text_prints(kind, text, found):
    assert candidates(leaf(kind), text) == found


def test_what_is_longer_than_the_leaf_takes_is_left_out():
    short = Leaf(kind=Kind.DECIMAL, max_length=5)
    assert candidates(short, "123456 and 1.50") == ["1.50"]


def test_each_spelling_is_listed_once():
    assert candidates(leaf(Kind.DECIMAL), "5.00\n5.00\n5.00") == ["5.00"]


@given(st.sampled_from(TYPED), st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_every_candidate_reads_and_stands_in_the_text(kind, text):
    for printed in candidates(leaf(kind), text):
        assert printed in text
        read(leaf(kind), printed)


@given(st.decimals(min_value=0, max_value=10**9, places=2), st.sampled_from(["", "RM ", "$", "EUR "]))
def test_an_amount_is_among_the_candidates_with_and_without_its_currency(amount, sign):
    found = candidates(leaf(Kind.DECIMAL), f"Subtotal 1.00\nTotal: {sign}{amount:,}\n25/12/2018")
    assert f"{amount:,}" in found
    assert f"{sign}{amount:,}" in found
    assert read(leaf(Kind.DECIMAL), f"{sign}{amount:,}") == Decimal(amount)
