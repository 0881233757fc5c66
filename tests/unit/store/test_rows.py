from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConversionError
from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.store.records import tables
from workers.store.rows import rows, storable_text

ITEM = ObjectForm(fields=(("name", Leaf(kind=Kind.TEXT)), ("tags", ListForm(item=Leaf(kind=Kind.TEXT)))))
FORM = ObjectForm(
    fields=(
        ("when", Leaf(kind=Kind.DATETIME, nullable=True)),
        ("num", Leaf(kind=Kind.INTEGER, nullable=True)),
        ("amount", Leaf(kind=Kind.DECIMAL, nullable=True)),
        ("things", ListForm(item=ITEM)),
    )
)
TABLES = tables("sample", ObjectForm(fields=(("body", FORM),)))
EMPTY = {"when": None, "num": None, "amount": None, "things": []}


class Size(Enum):
    SMALL = "small"


def main_row(**fields):
    found = rows(TABLES, 1, 0.5, {"body": EMPTY | fields})
    assert (found.document_id, found.confidence) == (1, 0.5)
    return dict(zip(["when", "num", "amount"], found.values, strict=True))


@pytest.mark.parametrize(
    "fields", [{"num": 2**63}, {"num": -(2**63) - 1}, {"amount": Decimal("NaN")}, {"amount": float("inf")}]
)
def test_numbers_that_no_column_holds_are_refused_by_name(fields):
    with pytest.raises(ConversionError, match=f"body.{next(iter(fields))} is "):
        main_row(**fields)


def test_members_of_enums_become_their_values_and_moments_utc():
    row = main_row(num=Size.SMALL, when=datetime(2024, 1, 1, tzinfo=UTC))
    assert (row["num"], row["when"]) == ("small", datetime(2024, 1, 1))


THINGS = st.lists(
    st.fixed_dictionaries({"name": st.text(), "tags": st.lists(st.text(), max_size=3)}), max_size=4
)


@given(things=THINGS)
def test_each_item_is_one_row_under_its_positions(things):
    found = rows(TABLES, 1, None, {"body": EMPTY | {"things": things}}).items
    assert found["sample_body_things"] == [
        (1, place, storable_text(thing["name"])) for place, thing in enumerate(things)
    ]
    assert found["sample_body_things_tags"] == [
        (1, place, position, storable_text(tag))
        for place, thing in enumerate(things)
        for position, tag in enumerate(thing["tags"])
    ]


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_storable_text_is_utf8_without_nul_and_leaves_the_rest(text):
    stored = storable_text(text)
    assert "\0" not in stored
    stored.encode("utf-8")
    plain = "\0" not in text and not any(0xD800 <= ord(char) < 0xE000 for char in text)
    assert (stored == text) or not plain
