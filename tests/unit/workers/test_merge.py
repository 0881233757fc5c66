from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.ground import Evidence, State, ground
from workers.merge import Part, merge

TEXT = Leaf(kind=Kind.TEXT)
MODE = Leaf(kind=Kind.CHOICE, choices=("onsite", "remote"))
ROW = ObjectForm(
    fields=(
        ("name", TEXT),
        ("amount", Leaf(kind=Kind.DECIMAL)),
        ("mode", MODE),
        ("tags", ListForm(item=TEXT)),
    )
)
FORM = ObjectForm(
    fields=(
        ("title", TEXT),
        ("mode", MODE),
        ("seller", ObjectForm(fields=(("name", TEXT), ("city", TEXT)), nullable=True)),
        ("rows", ListForm(item=ROW, nullable=True)),
        ("parties", ListForm(item=TEXT, nullable=True)),
    )
)
EMPTY: dict[str, Any] = {"title": None, "mode": "onsite", "seller": None, "rows": None, "parties": None}


def part(
    document: str, start: int, end: int, record: dict, *, confidence: float = 0.5, **by_path: float
) -> Part:
    """What a window of a document gave; `by_path` are confidences that differ."""
    record = EMPTY | record
    evidence = ground(
        FORM,
        record,
        document[start:end],
        offset=start,
        confidence=lambda path: by_path.get(path[0], confidence),
    )
    return Part(record=record, evidence=evidence)


def row(name, amount, mode="onsite", tags=()):
    return {"name": name, "amount": amount, "mode": mode, "tags": list(tags)}


def by_path(merged: Part) -> dict[str, Evidence]:
    return {item.path_text: item for item in merged.evidence}


def test_one_part_is_returned_as_it_is():
    only = part("a b", 0, 3, {"title": "a", "parties": ["a", "A"]})
    assert merge(FORM, [only]) is only


def test_the_most_confident_value_that_is_not_null_wins():
    document = "first second third"
    parts = [
        part(document, 0, 5, {"title": "first"}, title=0.6),
        part(document, 6, 12, {"title": "second", "mode": "remote"}, title=0.9, mode=0.4),
        part(document, 13, 18, {"title": None}, title=1.0),
    ]
    merged = merge(FORM, parts)
    assert merged.record["title"] == "second"
    assert merged.record["mode"] == "onsite"
    found = by_path(merged)["title"]
    assert (found.start, found.end, found.confidence) == (6, 12, 0.9)


def test_the_first_of_equally_confident_values_wins():
    parts = [part("one two", 0, 3, {"title": "one"}), part("one two", 4, 7, {"title": "two"})]
    assert merge(FORM, parts).record["title"] == "one"


def test_a_value_absent_everywhere_is_absent_once():
    merged = merge(FORM, [part("one two", 0, 3, {}), part("one two", 4, 7, {})])
    assert merged.record == EMPTY
    assert [item.path_text for item in merged.evidence] == ["title", "mode", "seller", "rows", "parties"]
    assert by_path(merged)["rows"].state is State.ABSENT


def test_nested_objects_are_joined_field_by_field():
    document = "Acme\nParis"
    parts = [
        part(document, 0, 5, {"seller": {"name": "Acme", "city": None}}),
        part(document, 5, 10, {"seller": {"name": None, "city": "Paris"}}),
        part(document, 5, 10, {}),
    ]
    merged = merge(FORM, parts)
    assert merged.record["seller"] == {"name": "Acme", "city": "Paris"}
    assert by_path(merged)["seller.city"].start == 5


def test_an_item_in_the_overlap_is_one_and_identical_items_elsewhere_are_kept():
    document = "Nut 9\nBolt 7\nNut 9\n"
    parts = [
        part(document, 0, 13, {"rows": [row("Nut", "9"), row("Bolt", "7")]}),
        part(document, 6, 19, {"rows": [row("Bolt", "7"), row("Nut", "9")]}),
    ]
    merged = merge(FORM, parts)
    assert [item["name"] for item in merged.record["rows"]] == ["Nut", "Bolt", "Nut"]
    assert [by_path(merged)[f"rows[{i}].name"].start for i in range(3)] == [0, 6, 13]


def test_an_item_cut_by_the_end_of_a_window_is_completed_by_the_next():
    document = "Nut 9\nBolt 7 red blue\n"
    parts = [
        part(document, 0, 10, {"rows": [row("Nut", "9"), row("Bolt", None)]}),
        part(document, 6, 22, {"rows": [row("Bolt", "7", "remote", ["red", "blue"])]}, confidence=0.8),
    ]
    merged = merge(FORM, parts)
    assert merged.record["rows"] == [row("Nut", "9"), row("Bolt", "7", "remote", ["red", "blue"])]


def test_items_that_share_a_place_but_differ_are_two():
    document = "Section A\nNut 9\nBolt 7\n"
    parts = [
        part(document, 0, 16, {"rows": [row("Section A", "9")]}),
        part(document, 0, 23, {"rows": [row("Section A", "7")]}),
    ]
    assert [item["amount"] for item in merge(FORM, parts).record["rows"]] == ["9", "7"]


def test_one_window_never_loses_an_item_without_places():
    parts = [
        part("none", 0, 4, {"rows": [row(None, None), row(None, None)]}),
        part("none", 0, 4, {"rows": []}),
    ]
    assert len(merge(FORM, parts).record["rows"]) == 2


def test_equal_plain_items_are_one_whatever_their_case_and_white_space():
    document = "Acme Ltd and Bolt Inc. ACME\n LTD hires Bolt Inc and Cog."
    parts = [
        part(document, 0, 23, {"parties": ["Acme Ltd", "Bolt Inc"]}),
        part(document, 23, len(document), {"parties": ["ACME\n LTD", "Bolt Inc", "Cog"]}),
    ]
    merged = merge(FORM, parts)
    assert merged.record["parties"] == ["Acme Ltd", "Bolt Inc", "Cog"]
    assert by_path(merged)["parties[2]"].text == "Cog"


def test_null_lists_give_way_to_items_and_to_empty_lists():
    null, empty = part("x", 0, 1, {}), part("x", 0, 1, {"parties": []})
    assert merge(FORM, [null, part("x", 0, 1, {"parties": ["x"]})]).record["parties"] == ["x"]
    assert merge(FORM, [null, empty]).record["parties"] == []
    assert merge(FORM, [null, null]).record["parties"] is None


WORDS = st.sampled_from(["Nut", "nut", "Bolt", "9.00", "7", "東京", "👍", "e\u0301"])
VALUES = st.none() | WORDS | st.just("not printed")
ROWS = st.fixed_dictionaries(
    {
        "name": VALUES,
        "amount": VALUES,
        "mode": st.sampled_from(["onsite", "remote"]),
        "tags": st.lists(VALUES, max_size=3),
    }
)
RECORDS = st.fixed_dictionaries(
    {
        "title": VALUES,
        "mode": st.sampled_from(["onsite", "remote"]),
        "seller": st.none() | st.fixed_dictionaries({"name": VALUES, "city": VALUES}),
        "rows": st.none() | st.lists(ROWS, max_size=4),
        "parties": st.none() | st.lists(VALUES, max_size=4),
    }
)


@st.composite
def windows(draw):
    document = " ".join(draw(st.lists(WORDS, min_size=1, max_size=20)))
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(document)))
        window = document[start : draw(st.integers(start, len(document)))]
        evidence = ground(
            FORM, record := draw(RECORDS), window, offset=start, confidence=lambda _: draw(st.floats(0, 1))
        )
        parts.append(Part(record=record, evidence=evidence))
    return document, parts


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


@given(windows())
def test_every_leaf_has_exactly_one_evidence_that_is_its_own(drawn):
    document, parts = drawn
    merged = merge(FORM, parts)
    assert {item.path: item.value for item in merged.evidence} == dict(leaves(merged.record))
    assert len({item.path for item in merged.evidence}) == len(merged.evidence)
    known = {(item.value, item.start, item.end, item.confidence) for one in parts for item in one.evidence}
    for item in merged.evidence:
        assert (item.value, item.start, item.end, item.confidence) in known
        assert item.start is None or document[item.start : item.end] == item.text


@given(windows())
def test_nothing_that_a_window_saw_disappears(drawn):
    _, parts = drawn
    merged = merge(FORM, parts)
    rows = [item for one in parts for item in one.record["rows"] or []]
    kept = merged.record["rows"] or []
    assert max((len(one.record["rows"] or []) for one in parts), default=0) <= len(kept) <= len(rows)
    assert {item["name"] for item in kept} >= {item["name"] for item in rows} - {None}
    for name in ("title", "mode"):
        assert (merged.record[name] is None) == all(one.record[name] is None for one in parts)


@given(windows())
def test_merging_a_part_with_itself_adds_no_grounded_item(drawn):
    _, parts = drawn
    rows = [item for item in parts[0].record["rows"] or [] if item["name"] == "Bolt"]
    spans = [
        e.start
        for e in parts[0].evidence
        if e.path[-1] == "name" and e.path[0] == "rows" and e.value == "Bolt"
    ]
    merged = merge(FORM, [parts[0], parts[0]])
    if None not in spans and len(set(spans)) == len(spans):
        assert len([item for item in merged.record["rows"] or [] if item["name"] == "Bolt"]) == len(rows)


def test_a_number_printed_at_several_places_is_several_items():
    form = ObjectForm(fields=(("prices", ListForm(item=Leaf(kind=Kind.DECIMAL))),))
    document = "5.00 5.00 | 5.00 7.00"
    windows = [(0, 12, ["5.00", "5.00"]), (10, 21, ["5.00", "7.00"])]
    parts = [
        Part(
            record={"prices": prices},
            evidence=ground(
                form, {"prices": prices}, document[start:end], offset=start, confidence=lambda _: 0.5
            ),
        )
        for start, end, prices in windows
    ]
    merged = merge(form, parts)
    assert merged.record == {"prices": ["5.00", "5.00", "5.00", "7.00"]}
    assert [item.start for item in merged.evidence] == [0, 5, 12, 17]


def test_items_of_one_window_are_never_joined():
    document = "Ann and Ann. Bob"
    parts = [
        part(document, 0, 12, {"parties": ["Ann", "Ann"]}),
        part(document, 8, 16, {"parties": ["Ann", "Bob"]}),
    ]
    assert merge(FORM, parts).record["parties"] == ["Ann", "Ann", "Bob"]
