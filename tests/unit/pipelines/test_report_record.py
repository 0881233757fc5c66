from typing import Any

from pipelines.report.record import Node, nodes, ranks
from schemas.forms import Kind, Leaf, ListForm, ObjectForm

TEXT = Leaf(kind=Kind.TEXT)
FORM = ObjectForm(
    fields=(
        ("weight", TEXT),
        ("unit", Leaf(kind=Kind.TEXT, unit_of="weight")),
        ("tags", ListForm(item=TEXT)),
        ("box", ObjectForm(fields=(("size", TEXT), ("colour", TEXT)))),
        ("items", ListForm(item=ObjectForm(fields=(("name", TEXT), ("count", TEXT))))),
    )
)
# keys as JSONB gives them back: shorter ones first
RECORD: dict[str, Any] = {
    "box": {"size": True, "colour": None},
    "tags": [],
    "unit": "kg",
    "items": [{"name": "cups", "count": 3}],
    "weight": "1.50",
}
NUMBERS = {"weight": 0, "box.size": 1, "box.colour": 2, "items[0].name": 3, "items[0].count": 4}


def flat(below: tuple[Node, ...]) -> list[tuple[str, str, int | None]]:
    """(path, value, number) of every node that has a value."""
    return [
        each
        for node in below
        for each in (flat(node.below) if node.below else [(node.path, node.value, node.number)])
    ]


def test_fields_stand_in_the_order_of_the_schema_with_their_evidence() -> None:
    assert flat(nodes(RECORD, NUMBERS, ranks(FORM, list(NUMBERS)))) == [
        ("weight", "1.50", 0),
        ("unit", "kg", None),
        ("tags", "no items", None),
        ("box.size", "true", 1),
        ("box.colour", "absent", 2),
        ("items[0].name", "cups", 3),
        ("items[0].count", "3", 4),
    ]


def test_without_the_schema_fields_stand_in_the_order_of_their_evidence() -> None:
    paths = [path for path, _, _ in flat(nodes(RECORD, NUMBERS, ranks(None, list(NUMBERS))))]
    assert paths == ["weight", "box.size", "box.colour", "items[0].name", "items[0].count", "tags", "unit"]


def test_fields_of_an_older_schema_are_kept() -> None:
    assert flat(nodes({"gone": "x", "weight": "2"}, {}, ranks(FORM, []))) == [
        ("weight", "2", None),
        ("gone", "x", None),
    ]


def test_what_is_not_there_is_told_from_what_says_so() -> None:
    blank, text = nodes({"a": None, "b": "absent"}, {}, {})
    assert (blank.value, blank.is_blank) == (text.value, True)
    assert not text.is_blank
