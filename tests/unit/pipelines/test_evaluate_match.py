from datetime import date
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.match import Verdict, judge, loose, strict
from pipelines.evaluate.metrics import field_figures, figures, is_exact
from pipelines.evaluate.values import Unread
from schemas.forms import Kind, Leaf, ListForm, ObjectForm

TEXT = Leaf(kind=Kind.TEXT, nullable=True)
NUMBER = Leaf(kind=Kind.DECIMAL, nullable=True)
ITEM = ObjectForm(fields=(("name", TEXT), ("amount", NUMBER)))
FORM = ObjectForm(
    fields=(
        ("title", TEXT),
        ("total", NUMBER),
        ("place", ObjectForm(fields=(("town", TEXT),), nullable=True)),
        ("tags", ListForm(item=TEXT)),
        ("lines", ListForm(item=ITEM)),
    )
)


def verdicts(gold: dict[str, Any], found: dict[str, Any] | None, **kwargs: Any) -> list[tuple[str, str]]:
    return sorted((j.field, j.verdict.value) for j in judge(FORM, gold, found, **kwargs))


def counts(gold: dict[str, Any], found: dict[str, Any] | None) -> tuple[int, int, int]:
    """Right, of gold, of found."""
    made = figures(judge(FORM, gold, found))
    return made.num_right, made.num_gold, made.num_found


@pytest.mark.parametrize(
    ("gold", "found", "expected"),
    [
        ("Acme", "Acme", ["right"]),
        ("Acme  Ltd", "Acme\nLtd ", ["right"]),
        ("Acme", "ACME", ["wrong"]),
        ("Acme", None, ["missing"]),
        (None, "Acme", ["lost_null", "spurious"]),
        (None, None, ["right_null"]),
    ],
)
def test_a_text_is_right_but_for_white_space(gold: Any, found: Any, expected: list[str]) -> None:
    assert [verdict for _, verdict in verdicts({"title": gold}, {"title": found})] == expected


@pytest.mark.parametrize(
    ("gold", "found", "is_same"),
    [
        ("Mr. D.I.Y. (Johor)", "MR DIY JOHOR", True),
        ("No.12, Jalan 3", "no 12 Jalan 3", True),
        ("Straße", "STRASSE", True),
        ("ＡＣＭＥ", "Acme", True),
        ("C++", "C", False),
        ("D.I.Y.", "D.T.Y.", False),
        ("...", "---", False),
        ("...", "...", True),
    ],
)
def test_loosely_case_and_punctuation_are_put_aside(gold: str, found: str, is_same: bool) -> None:
    assert (loose(TEXT, gold) == loose(TEXT, found)) is is_same


def test_choices_and_numbers_are_not_loosened() -> None:
    choice = Leaf(kind=Kind.CHOICE, choices=("A-b", "ab"))
    assert loose(choice, "A-b") != loose(choice, "ab")
    assert loose(NUMBER, Decimal(-5)) != loose(NUMBER, Decimal(5))


def test_numbers_and_dates_are_compared_by_value() -> None:
    assert verdicts({"total": Decimal("12.50")}, {"total": Decimal("12.5")}) == [("total", "right")]
    form = ObjectForm(fields=(("day", Leaf(kind=Kind.DATE)),))
    (judgement,) = judge(form, {"day": date(2024, 3, 1)}, {"day": date(2024, 3, 1)})
    assert judgement.verdict is Verdict.RIGHT


def test_what_does_not_convert_is_wrong_even_if_it_is_printed_so() -> None:
    assert verdicts({"total": "many"}, {"total": Unread("many")}) == [("total", "wrong")]
    assert verdicts({"total": None}, {"total": Unread("many")}) == [
        ("total", "lost_null"),
        ("total", "spurious"),
    ]


def test_lists_of_scalars_are_sets() -> None:
    found = {"tags": ["b", "c", "c", "a"]}
    assert verdicts({"tags": ["a", "a", "b", "d"]}, found) == [
        ("tags", "missing"),
        ("tags", "right"),
        ("tags", "right"),
        ("tags", "spurious"),
    ]
    assert verdicts({"tags": []}, {"tags": []}) == [("tags", "right_null")]
    assert verdicts({"tags": []}, {"tags": ["a"]}) == [("tags", "lost_null"), ("tags", "spurious")]
    assert verdicts({"tags": None}, {"tags": None}) == [("tags", "right_null")]


def test_an_absent_object_is_its_absent_fields() -> None:
    assert verdicts({"place": None}, {"place": {"town": "Oslo"}}) == [
        ("place.town", "lost_null"),
        ("place.town", "spurious"),
    ]
    assert verdicts({"place": {"town": "Oslo"}}, {"place": None}) == [("place.town", "missing")]


def test_only_the_fields_of_gold_are_scored() -> None:
    assert verdicts({"title": "a"}, {"title": "a", "total": Decimal(1), "tags": ["x"]}) == [
        ("title", "right")
    ]


def test_of_nothing_every_value_is_missing_and_no_null_is_right() -> None:
    gold = {"title": None, "total": Decimal(1), "tags": [], "lines": [{"name": "a", "amount": None}]}
    assert verdicts(gold, None) == [
        ("lines[].name", "missing"),
        ("tags", "lost_null"),
        ("title", "lost_null"),
        ("total", "missing"),
    ]
    assert not is_exact(judge(FORM, {"title": None}, None))


def lines(*pairs: tuple[str | None, int | None]) -> dict[str, Any]:
    return {
        "lines": [
            {"name": name, "amount": None if amount is None else Decimal(amount)} for name, amount in pairs
        ]
    }


def test_objects_are_assigned_and_counted_by_their_values() -> None:
    """By hand: pens right in both, the cup's price wrong, the rug missing, the lamp too much."""
    gold = lines(("cup", 3), ("pen", 1), ("rug", 90))
    found = lines(("pen", 1), ("cup", 4))
    assert verdicts(gold, found) == [
        ("lines[].amount", "missing"),
        ("lines[].amount", "right"),
        ("lines[].amount", "wrong"),
        ("lines[].name", "missing"),
        ("lines[].name", "right"),
        ("lines[].name", "right"),
    ]
    found["lines"].append({"name": "lamp", "amount": None})
    # the lamp is taken for the rug: wrong in name, without amount
    assert counts(gold, found) == (3, 6, 5)


def test_the_positions_of_what_was_extracted_are_kept() -> None:
    judged = judge(FORM, lines(("a", 1), ("b", 2)), lines(("b", 2), ("a", 1)))
    assert {(j.path, j.found) for j in judged} == {
        (("lines", 0, "name"), "b"),
        (("lines", 0, "amount"), Decimal(2)),
        (("lines", 1, "name"), "a"),
        (("lines", 1, "amount"), Decimal(1)),
    }


def test_the_best_assignment_beats_a_greedy_one() -> None:
    """Taking the best pair first, or the rows in order, gets 3 + 0 right values."""
    item = ObjectForm(fields=tuple((name, TEXT) for name in "abcd"))
    form = ObjectForm(fields=(("lines", ListForm(item=item)),))

    def record(*rows: str) -> dict[str, Any]:
        return {"lines": [dict(zip("abcd", row, strict=True)) for row in rows]}

    made = figures(judge(form, record("1234", "1299"), record("1238", "7734")))
    rows = {
        (g, f): figures(judge(form, record(g), record(f))).num_right
        for g in ("1234", "1299")
        for f in ("1238", "7734")
    }
    assert rows == {("1234", "1238"): 3, ("1234", "7734"): 2, ("1299", "1238"): 2, ("1299", "7734"): 0}
    assert made.num_right == 4


def test_right_nulls_decide_between_equals_alone() -> None:
    item = ObjectForm(fields=tuple((name, TEXT) for name in "abc"))
    form = ObjectForm(fields=(("lines", ListForm(item=item)),))
    empty = dict.fromkeys("abc")
    gold = {"lines": [empty | {"a": "x"}]}
    nulls, other, best = empty | {"a": "y"}, {"a": "x", "b": "1", "c": "1"}, empty | {"a": "x", "b": "1"}
    assert figures(judge(form, gold, {"lines": [nulls, other]})).num_right == 1
    made = figures(judge(form, gold, {"lines": [other, best]}))
    assert (made.num_right, made.null_rate) == (1, 0.5)


texts = st.none() | st.sampled_from(["a", "b", "A b", "a  b", "c."])
numbers = st.none() | st.sampled_from([Decimal(1), Decimal("1.0"), Decimal(2)])
items = st.lists(st.fixed_dictionaries({"name": texts, "amount": numbers}), max_size=4)
records = st.fixed_dictionaries(
    {
        "title": texts,
        "total": numbers,
        "place": st.none() | st.fixed_dictionaries({"town": texts}),
        "tags": st.lists(texts.filter(lambda text: text is not None), max_size=4),
        "lines": items,
    }
)


@given(records)
def test_gold_itself_is_exact(gold: dict[str, Any]) -> None:
    for key in (strict, loose):
        judged = judge(FORM, gold, gold, key)
        made = figures(judged)
        assert is_exact(judged)
        assert made.f1 in (1.0, None) and made.null_rate in (1.0, None)
        assert made.num_right == made.num_gold == made.num_found


@given(records, records)
def test_figures_keep_their_bounds(gold: dict[str, Any], found: dict[str, Any]) -> None:
    made = figures(judge(FORM, gold, found))
    if made.f1 is not None:
        both = (made.precision or 0.0, made.recall or 0.0)
        assert min(both) - 1e-9 <= made.f1 <= max(both) + 1e-9
        assert 0 <= made.f1 <= 1
    assert made.num_right <= min(made.num_gold, made.num_found)
    assert made.null_rate is None or 0 <= made.null_rate <= 1


@given(records, records)
def test_gold_and_found_change_places_as_precision_and_recall(
    gold: dict[str, Any], found: dict[str, Any]
) -> None:
    one, other = figures(judge(FORM, gold, found)), figures(judge(FORM, found, gold))
    assert (one.precision, one.recall, one.f1) == (other.recall, other.precision, other.f1)


@given(records, records, st.randoms())
def test_the_order_of_lists_is_no_matter(gold: dict[str, Any], found: dict[str, Any], rng: Any) -> None:
    before = field_figures(judge(FORM, gold, found))
    for record in (gold, found):
        rng.shuffle(record["tags"])
        rng.shuffle(record["lines"])
    assert field_figures(judge(FORM, gold, found)) == before


@given(items, items)
def test_no_assignment_has_more_right_values(gold: list[Any], found: list[Any]) -> None:
    def num_right(wanted: list[Any], given: list[Any]) -> int:
        return sum(
            strict(leaf, one[name]) == strict(leaf, other[name])
            for one, other in zip(wanted, given, strict=False)
            for name, leaf in ITEM.fields
            if isinstance(leaf, Leaf) and one[name] is not None and other[name] is not None
        )

    short, long = sorted((gold, found), key=len)
    best = max(num_right(short, list(order)) for order in permutations(long))
    assert counts({"lines": gold}, {"lines": found})[0] == best
