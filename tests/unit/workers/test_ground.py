import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.ground import Evidence, State, ground

TEXT = Leaf(kind=Kind.TEXT)
ROW = ObjectForm(
    fields=(("name", TEXT), ("quantity", Leaf(kind=Kind.INTEGER)), ("amount", Leaf(kind=Kind.DECIMAL)))
)
FORM = ObjectForm(
    fields=(
        ("number", TEXT),
        ("rows", ListForm(item=ROW, nullable=True)),
        ("unit", Leaf(kind=Kind.TEXT, unit_of="total")),
        ("total", Leaf(kind=Kind.DECIMAL)),
    )
)


def sure(path) -> float:
    return 1.0


def grounded(form, record, document, **options) -> dict[str, Evidence]:
    found = ground(form, record, document, confidence=sure, **options)
    assert len({item.path for item in found}) == len(found)
    return {item.path_text: item for item in found}


def one(document: str, value, leaf: Leaf = TEXT) -> Evidence:
    return grounded(ObjectForm(fields=(("x", leaf),)), {"x": value}, document)["x"]


def row(name, quantity, amount):
    return {"name": name, "quantity": quantity, "amount": amount}


@pytest.mark.parametrize(
    ("document", "value", "state", "text"),
    [
        ("to Acme Ltd.", "Acme Ltd", State.VERBATIM, "Acme Ltd"),
        ("to ACME\r\n Ltd.", "Acme Ltd", State.NORMALISED, "ACME\r\n Ltd"),
        ("the Straße", "STRASSE", State.NORMALISED, "Straße"),
        ("from Northwind Trad1ng Company", "Northwind Trading Company", State.UNGROUNDED, None),
        (
            "from Northwind Tradimg Company",
            "Northwind Trading Company",
            State.FUZZY,
            "Northwind Tradimg Company",
        ),
        ("account 1234567891 of", "1234567890", State.UNGROUNDED, None),
        ("something else", "Northwind", State.UNGROUNDED, None),
        ("", "Northwind", State.UNGROUNDED, None),
        ("words", None, State.ABSENT, None),
    ],
)
def test_states_of_a_copied_value(document, value, state, text):
    found = one(document, value)
    assert (found.state, found.text, found.value) == (state, text, value)
    assert found.text is None or found.text == document[found.start : found.end]


def test_choices_and_inferred_texts_need_no_place():
    assert one("high", "high", Leaf(kind=Kind.CHOICE, choices=("high",))).state is State.CHOICE
    assert one("high", "high", Leaf(kind=Kind.CHOICE, choices=("high",))).start is None
    assert one("true", True, Leaf(kind=Kind.BOOLEAN)).state is State.CHOICE
    assert one("", None, Leaf(kind=Kind.CHOICE, choices=("high",), nullable=True)).state is State.ABSENT
    inferred = Leaf(kind=Kind.INFERRED)
    assert one("A broken screen.", "broken screen", inferred).text == "broken screen"
    missing = one("A broken screen.", "hardware fault", inferred)
    assert (missing.state, missing.start, missing.text) == (State.INFERRED, None, None)


def test_evidence_is_in_field_order_and_units_have_none():
    document = "No 7\nNut 3 1.50\nBolt 4 2.00\nTotal 3.50"
    record = {"number": "7", "rows": [row("Nut", "3", "1.50"), row("Bolt", "4", "2.00")], "total": "3.50"}
    found = ground(FORM, record, document, confidence=lambda path: 0.5 if path == ("total",) else 1.0)
    assert [item.path_text for item in found] == [
        *("number", "rows[0].name", "rows[0].quantity", "rows[0].amount"),
        *("rows[1].name", "rows[1].quantity", "rows[1].amount", "total"),
    ]
    assert [item.confidence for item in found][-2:] == [1.0, 0.5]


def test_absent_containers_have_one_evidence_and_empty_lists_none():
    form = ObjectForm(fields=(("rows", ListForm(item=ROW, nullable=True)), ("buyer", ROW)))
    absent = grounded(form, {"rows": None, "buyer": None}, "text")
    assert {path: item.state for path, item in absent.items()} == {
        "rows": State.ABSENT,
        "buyer": State.ABSENT,
    }
    assert grounded(form, {"rows": [], "buyer": None}, "text").keys() == {"buyer"}


def test_the_offset_of_a_window_is_added():
    stored = "Invoice 1\nInvoice 2 of Acme"
    [found] = ground(
        ObjectForm(fields=(("x", TEXT),)), {"x": "Invoice"}, stored[10:], offset=10, confidence=sure
    )
    assert (found.start, found.text) == (10, stored[found.start : found.end])


@pytest.mark.parametrize(
    ("document", "value", "start"),
    [
        ("2015 15 5.20 5", "5", 13),
        ("2015 15 5.", "5", 8),
        ("order 1,500 of 500", "500", 15),
        ("Jonas and Jon", "Jon", 10),
        ("box of 12kg", "12", 7),
        ("2015", "5", 3),
    ],
)
def test_whole_words_and_numbers_are_preferred(document, value, start):
    assert one(document, value).start == start


def test_a_repeated_value_is_the_one_beside_its_siblings():
    document = "2 pages, 9.00 paid\nNut  2  9.00\nBolt  2  7.50\nTotal 9.00"
    record = {"number": None, "rows": [row("Bolt", "2", "7.50")], "total": None}
    assert grounded(FORM, record, document)["rows[0].quantity"].start == document.index("2  7.50")


def test_identical_rows_have_their_own_places():
    document = "No 1\nNut 1 9.00\nNut 1 9.00\nTotal 9.00"
    record = {"number": "1", "rows": [row("Nut", "1", "9.00")] * 2, "total": "9.00"}
    found = grounded(FORM, record, document)
    second = document.rindex("Nut")
    assert [found[f"rows[0].{name}"].start for name in ("name", "quantity", "amount")] == [5, 9, 11]
    assert [found[f"rows[1].{name}"].start - second for name in ("name", "quantity", "amount")] == [0, 4, 6]


def test_siblings_with_one_text_take_two_places_if_there_are_two():
    form = ObjectForm(fields=(("name", TEXT), ("price", TEXT), ("amount", TEXT)))
    found = grounded(form, {"name": "Nut", "price": "9.00", "amount": "9.00"}, "9.00 Nut 1 9.00 9.00")
    assert [item.start for item in found.values()] == [5, 0, 11]
    shared = grounded(form, {"name": "Nut", "price": "9.00", "amount": "9.00"}, "Nut 9.00")
    assert [item.start for item in shared.values()] == [0, 4, 4]


def test_list_items_do_not_go_backwards():
    form = ObjectForm(fields=(("skills", ListForm(item=TEXT)),))
    document = "Python shop. You know Go, Python and Go."
    found = grounded(form, {"skills": ["Go", "Python", "Go", "Python"]}, document)
    first_go, python, last_go, again = (item.start for item in found.values())
    assert first_go < python < last_go
    assert document[again:].startswith("Python")


def test_where_nothing_is_sure_the_values_stay_together():
    document = "Nut and bolt shop, 3 streets\n\nBolt 5\nNut 3\n"
    record = {"number": None, "rows": [row("Nut", "3", None)], "total": None}
    found = grounded(FORM, record, document)
    assert found["rows[0].name"].start == document.rindex("Nut")
    assert found["rows[0].quantity"].start == document.rindex("3")


PIECES = st.sampled_from(
    [
        "Acme",
        "e\u0301",
        "é",
        "👩‍👩‍👧",
        "🇩🇪",
        "東京",
        "שלום",
        "مرحبا",
        "\r\n",
        "\u202b",
        " ",
        "aa",
        "1,234.50",
        "ß",
        "İ",
    ]
)
DOCUMENTS = st.lists(PIECES | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map("".join)


@st.composite
def picked(draw):
    document = draw(DOCUMENTS)
    cuts = st.integers(0, len(document) - 1)
    starts = draw(st.lists(cuts, min_size=1, max_size=4))
    return document, [document[start : draw(st.integers(start + 1, len(document)))] for start in starts]


@given(picked(), st.integers(0, 1000))
def test_any_part_of_any_text_is_found_verbatim(pick, offset):
    document, values = pick
    form = ObjectForm(fields=(*((f"f{i}", TEXT) for i in range(len(values))), ("items", ListForm(item=TEXT))))
    record = {f"f{i}": value for i, value in enumerate(values)} | {"items": values}
    found = ground(form, record, document, offset=offset, confidence=sure)
    assert [item.value for item in found] == values * 2
    for item in found:
        assert item.state is State.VERBATIM
        assert document[item.start - offset : item.end - offset] == item.value == item.text


@given(DOCUMENTS, st.text(max_size=20))
def test_any_value_gets_a_state_that_its_span_bears_out(document, value):
    found = one(document, value)
    if found.state is State.UNGROUNDED:
        assert found.start is found.end is found.text is None
        assert not value or value not in document
    else:
        assert found.text == document[found.start : found.end] != ""


def test_many_repetitions_stay_fast():
    document = "Nut 1 9.00\n" * 1000
    record = {"number": None, "rows": [row("Nut", "1", "9.00")] * 64, "total": "9.00"}
    found = grounded(FORM, record, document)
    assert [found[f"rows[{i}].amount"].start for i in range(64)] == [11 * i + 6 for i in range(64)]
