"""Optional values below a confidence are left empty; nothing else changes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.forms import Kind, Leaf, ListForm, ObjectForm, Path, leaves
from workers.doubt import doubted, emptied, leave_empty
from workers.ground import State, ground
from workers.merge import Part

TEXT = Leaf(kind=Kind.TEXT)
OPTIONAL = Leaf(kind=Kind.TEXT, nullable=True)
FORM = ObjectForm(
    fields=(
        ("must", TEXT),
        ("may", OPTIONAL),
        ("names", ListForm(item=OPTIONAL)),
        ("rows", ListForm(item=ObjectForm(fields=(("what", TEXT), ("size", OPTIONAL))))),
        ("inner", ObjectForm(fields=(("deep", OPTIONAL),), nullable=True)),
    )
)
WORDS = st.sampled_from(["alder", "birch", "cedar"])
RECORDS = st.fixed_dictionaries(
    {
        "must": st.none() | WORDS,
        "may": st.none() | WORDS,
        "names": st.lists(WORDS, max_size=3),
        "rows": st.lists(st.fixed_dictionaries({"what": WORDS, "size": st.none() | WORDS}), max_size=3),
        "inner": st.none() | st.fixed_dictionaries({"deep": st.none() | WORDS}),
    }
)
MAY_BE_EMPTY = {("may",), ("rows", "size"), ("inner", "deep")}


def field_of(path: Path) -> Path:
    return tuple(part for part in path if isinstance(part, str))


@given(RECORDS, st.floats(min_value=0, max_value=1), st.data())
def test_what_may_be_empty_and_is_less_sure_becomes_empty_and_nothing_else(
    record: dict[str, Any], below: float, data: st.DataObject
) -> None:
    before = {path: value for path, _, value in leaves(FORM, record)}
    sure = {path: data.draw(st.floats(min_value=0, max_value=1), str(path)) for path in before}
    paths = doubted(FORM, record, sure.__getitem__, below)
    after = {path: value for path, _, value in leaves(FORM, emptied(FORM, record, paths))}
    assert list(after) == list(before)
    for path, value in before.items():
        is_doubted = value is not None and field_of(path) in MAY_BE_EMPTY and sure[path] < below
        assert (path in paths) == is_doubted
        assert after[path] == (None if is_doubted else value)


def test_the_evidence_keeps_what_was_written_and_where() -> None:
    record = {"must": "alder", "may": "birch", "names": ["cedar"], "rows": [], "inner": None}
    evidence = ground(FORM, record, "alder birch cedar", confidence=lambda path: 0.3)
    part = leave_empty(FORM, Part(record=record, evidence=evidence), 0.4)
    assert part.record == record | {"may": None}
    (empty,) = [item for item in part.evidence if item.state is State.DOUBTED]
    assert (empty.path, empty.value, empty.text) == (("may",), "birch", "birch")
    assert (empty.start, empty.end, empty.confidence) == (6, 11, 0.3)
    assert [item for item in part.evidence if item is not empty] == [
        item for item in evidence if item.path != ("may",)
    ]


def test_a_value_that_is_sure_enough_stays() -> None:
    record = {"must": None, "may": "birch", "names": [], "rows": [], "inner": None}
    part = Part(record=record, evidence=ground(FORM, record, "birch", confidence=lambda path: 0.4))
    assert leave_empty(FORM, part, 0.4) is part
