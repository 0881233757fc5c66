from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pipelines.train.synthetic.noise import spoil
from pipelines.train.synthetic.printing import Region
from pipelines.train.synthetic.sheet import Said, Sheet
from schemas.candidates import candidates
from schemas.forms import Kind, Leaf
from schemas.text import words

REGION = Region(day_first=True, decimal_comma=False)
around = st.text(alphabet="ab Z019.,:'-()\n", max_size=12)
numbers = st.integers(0, 10**7)


def new_sheet(seed: int = 0) -> Sheet:
    return Sheet(Random(seed), REGION)


@given(before=around, after=around, value=numbers, seed=st.integers(0, 50))
def test_a_number_reads_wherever_it_is_put(before: str, after: str, value: int, seed: int) -> None:
    sheet = new_sheet(seed)
    slot = sheet.put_money(value)
    # a minus that begins a document may stand apart from its number
    written = sheet.finish(f"Say {before}{slot}{after}", {"value": slot})
    if written is not None:
        assert written.record["value"] in written.text
        assert written.record["value"] in candidates(Leaf(kind=Kind.DECIMAL), written.text)


@given(before=around, after=around, value=st.text(alphabet="Abc d1", min_size=1, max_size=8))
def test_a_text_keeps_its_words(before: str, after: str, value: str) -> None:
    sheet = new_sheet()
    value = f"x{value}x"
    slot = sheet.put(value)
    written = sheet.finish(f"{before}{slot}{after}", {"value": slot})
    assert written is not None
    assert written.record == {"value": value}
    borders = {0}
    for word in words(written.text):
        borders.add(max(borders) + len(word))
    start = written.text.index(value)
    assert {start, start + len(value)} <= borders


@given(
    parts=st.lists(st.text(alphabet="abc ", min_size=1, max_size=20), min_size=1, max_size=9),
    width=st.integers(5, 40),
)
def test_broken_lines_break_values_too_and_nothing_else(parts: list[str], width: int) -> None:
    sheet = new_sheet()
    slots = [sheet.put(part.strip() or "x") for part in parts]
    sheet.width = width
    written = sheet.finish(" and ".join(slots), {"parts": slots})
    assert written is not None
    plain = " and ".join(part.strip() or "x" for part in parts)
    assert written.text.replace("\n", " ") == plain
    assert " and ".join(written.record["parts"]).replace("\n", " ") == plain
    assert all(part in written.text for part in written.record["parts"])


def test_numbers_are_not_broken() -> None:
    sheet = new_sheet()
    slot = sheet.put("1 234 567", solid=True)
    sheet.width = 8
    written = sheet.finish(f"it costs {slot} in all", {"price": slot})
    assert written is not None
    assert written.record == {"price": "1 234 567"}
    assert written.text == "it costs\n1 234 567\nin all"


def test_what_is_not_printed_is_absent() -> None:
    sheet = new_sheet()
    name, lost, wording, place = (sheet.put(value) for value in ("Ann", "Bob", "by post", "Rome"))
    record = {
        "name": name,
        "lost": lost,
        "all": [name, lost],
        "rows": [{"a": name, "b": lost}, {"a": lost, "b": None}],
        "way": Said(wording, "post", "unknown"),
        "said": Said(lost, True, False),
        "summary": f"{name}\nof {place}",
        "nothing": f"{lost} of {place}",
    }
    written = sheet.finish(f"{name} of {place}, {wording}", record)
    assert written is not None
    assert written.text == "Ann of Rome, by post"
    assert written.record == {
        "name": "Ann",
        "lost": None,
        "all": ["Ann"],
        "rows": [{"a": "Ann", "b": None}],
        "way": "post",
        "said": False,
        "summary": "Ann of Rome",
        "nothing": None,
    }


def test_capitals_change_text_and_record_alike() -> None:
    sheet = new_sheet()
    slot = sheet.put("Ann Lee")
    written = sheet.finish(f"name: {slot}", {"name": slot}, upper=True)
    assert written is not None
    assert (written.text, written.record) == ("NAME: ANN LEE", {"name": "ANN LEE"})


def test_a_date_that_would_be_read_with_the_number_before_it_is_refused() -> None:
    sheet = new_sheet()
    slot = sheet.put("Jan 30, 2017")
    assert sheet.finish(f"Invoice 1824\n{slot}", {"date": slot}) is None
    assert sheet.finish(f"Invoice 1824 of\n\n{slot}", {"date": slot}) is not None


@given(seed=st.integers(0, 300))
def test_noise_leaves_values_alone(seed: int) -> None:
    text = "Label: \ue000 and more words\nOther: \ue001, \ue002\nLast line of it all"
    spoilt = spoil(text, Random(seed))
    assert [char for char in spoilt if char >= "\ue000"] == ["\ue000", "\ue001", "\ue002"]
