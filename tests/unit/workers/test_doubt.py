"""What is less sure than a confidence and may be lacking is left out; nothing else changes."""

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
MAY_LACK = {("may",), ("names",), ("rows", "size"), ("inner", "deep")}


def field_of(path: Path) -> Path:
    return tuple(part for part in path if isinstance(part, str))


def values(record: dict[str, Any]) -> dict[Path, list[Any]]:
    """What is not null, by field."""
    found: dict[Path, list[Any]] = {}
    for path, _, value in leaves(FORM, record):
        found.setdefault(field_of(path), []).extend([value] if value is not None else [])
    return found


@given(RECORDS, st.floats(min_value=0, max_value=1), st.data())
def test_a_record_lacks_what_it_may_lack_and_is_less_sure_and_nothing_else(
    record: dict[str, Any], below: float, data: st.DataObject
) -> None:
    before = [(path, value) for path, _, value in leaves(FORM, record)]
    sure = {path: data.draw(st.floats(min_value=0, max_value=1), str(path)) for path, _ in before}
    paths = doubted(FORM, record, sure.__getitem__, below)
    assert paths == {
        path
        for path, value in before
        if value is not None and field_of(path) in MAY_LACK and sure[path] < below
    }
    kept: dict[Path, list[Any]] = {field_of(path): [] for path, _ in before}
    for path, value in before:
        if value is not None and path not in paths:
            kept[field_of(path)].append(value)
    after = emptied(FORM, record, paths)
    assert {field: found for field, found in values(after).items() if found} == {
        field: found for field, found in kept.items() if found
    }
    assert [row["what"] for row in after["rows"]] == [row["what"] for row in record["rows"]]


@given(RECORDS, st.data())
def test_every_value_has_one_proof_with_its_path_or_is_doubted(
    record: dict[str, Any], data: st.DataObject
) -> None:
    sure = {path: data.draw(st.sampled_from([0.1, 0.9]), str(path)) for path, _, _ in leaves(FORM, record)}
    evidence = ground(FORM, record, "alder birch cedar", confidence=lambda path: sure.get(path, 1.0))
    part = leave_empty(FORM, Part(record=record, evidence=evidence), 0.5)
    proofs = {item.path: item for item in part.evidence}
    assert len(proofs) == len(part.evidence) == len(evidence)
    for path, _, value in leaves(FORM, part.record):
        proof = proofs.pop(path)
        assert proof.value == value or (proof.state is State.DOUBTED and value is None)
    assert all(item.state is State.DOUBTED for path, item in proofs.items() if path != ("inner",))
    written = sorted((field_of(item.path), str(item.value), item.confidence) for item in evidence)
    assert sorted((field_of(i.path), str(i.value), i.confidence) for i in part.evidence) == written


def test_the_evidence_keeps_what_was_written_and_where() -> None:
    record = {"must": "alder", "may": "birch", "names": ["cedar", "alder"], "rows": [], "inner": None}
    sure = {("names", 1): 0.4}
    evidence = ground(FORM, record, "alder birch cedar", confidence=lambda path: sure.get(path, 0.3))
    part = leave_empty(FORM, Part(record=record, evidence=evidence), 0.4)
    assert part.record == record | {"may": None, "names": ["alder"]}
    assert [(item.path_text, item.value, item.state) for item in part.evidence] == [
        ("must", "alder", State.VERBATIM),
        ("may", "birch", State.DOUBTED),
        ("names[0]", "alder", State.VERBATIM),
        ("names[1]", "cedar", State.DOUBTED),
        ("inner", None, State.ABSENT),
    ]
    empty = part.evidence[1]
    assert (empty.start, empty.end, empty.text, empty.confidence) == (6, 11, "birch", 0.3)


def test_a_value_that_is_sure_enough_stays() -> None:
    record = {"must": None, "may": "birch", "names": [], "rows": [], "inner": None}
    part = Part(record=record, evidence=ground(FORM, record, "birch", confidence=lambda path: 0.4))
    assert leave_empty(FORM, part, 0.4) is part
