import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from schemas import Currency, ExtractionSchema, Inferred, SchemaSettings, UnitOf
from schemas.base import Schema
from schemas.errors import ExampleError
from schemas.examples import Example, Loaded, load_examples, make_example, parse_example, read_examples
from schemas.validate import to_record


class Item(BaseModel):
    name: str
    price: Decimal | None
    unit: Annotated[str | None, UnitOf("price")]


class Slip(ExtractionSchema):
    """A slip."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True)

    shop: str | None = Field(max_length=20)
    day: date | None
    total: Decimal | None
    count: int | None
    currency: Currency | None
    mood: Literal["good", "bad"]
    is_paid: bool
    summary: Inferred[str] | None
    tags: list[str]
    items: list[Item]


SLIP = Schema(Slip, ())

EMPTY: dict[str, Any] = {
    "shop": None,
    "day": None,
    "total": None,
    "count": None,
    "currency": None,
    "mood": "good",
    "is_paid": False,
    "summary": None,
    "tags": [],
    "items": [],
}


def printed(text: str, **fields: Any) -> dict[str, Any]:
    """The named fields of an example as they were rewritten."""
    example, faults = make_example(text, EMPTY | fields, SLIP)
    assert example is not None, faults
    return {name: example.record[name] for name in fields}


def faults(text: str, **fields: Any) -> list[tuple[str, str]]:
    example, found = make_example(text, EMPTY | fields, SLIP)
    assert (example is None) == bool(found)
    return found


@pytest.mark.parametrize(
    ("text", "field", "clean", "as_printed"),
    [
        ("ACME Ltd, Leeds", "shop", "ACME Ltd", "ACME Ltd"),
        ("ACME Ltd, Leeds", "shop", "Acme LTD", "ACME Ltd"),
        ("at ACME\n  Ltd.", "shop", "ACME Ltd", "ACME\n  Ltd"),
        ("at Straße 5", "shop", "STRASSE 5", "Straße 5"),
        ("day 14/06/2018 10:22", "day", "2018-06-14", "14/06/2018"),
        ("day 03/04/2018", "day", "2018-04-03", "03/04/2018"),
        ("the 3rd of March 2024.", "day", "2024-03-03", "3rd of March 2024"),
        ("TOTAL 1,234.50", "total", "1234.50", "1,234.50"),
        ("TOTAL 1,234.50", "total", Decimal("1234.5"), "1,234.50"),
        ("TOTAL (12.00)", "total", "-12", "(12.00)"),
        ("1 at 15, total 5", "total", "5", "5"),
        ("RM 1,234.50", "total", "RM 1,234.50", "RM 1,234.50"),
        ("of 1 200 pcs", "count", 1200, "1 200"),
        ("paid in RM", "currency", "MYR", "RM"),
        ("paid in euros", "currency", "EUR", "euros"),
    ],
)
def test_a_clean_value_is_rewritten_to_the_way_it_is_printed(
    text: str, field: str, clean: Any, as_printed: str
) -> None:
    assert printed(text, **{field: clean}) == {field: as_printed}


def test_lists_and_nested_models_are_rewritten_too() -> None:
    record = printed(
        "red  NUT 1,000.00 kg, blue bolt",
        tags=["RED", "blue"],
        items=[{"name": "nut", "price": "1000"}, {"name": "bolt", "price": None}],
    )
    assert record["tags"] == ["red", "blue"]
    assert record["items"] == [{"name": "NUT", "price": "1,000.00"}, {"name": "bolt", "price": None}]


def test_choices_flags_and_inferred_text_are_kept() -> None:
    fields = {"mood": "bad", "is_paid": True, "summary": "Not in the text at all."}
    assert printed("text", **fields) == fields


def test_keys_are_put_in_the_order_of_the_schema() -> None:
    example, _ = make_example("text", dict(reversed(EMPTY.items())), SLIP)
    assert example is not None and list(example.record) == list(EMPTY)


def test_line_ends_and_composition_are_those_of_a_stored_document() -> None:
    example, found = make_example("at Cafe\u0301\r\nRoyal", EMPTY | {"shop": "cafe\u0301 royal"}, SLIP)
    assert found == []
    assert example == Example(text="at Café\nRoyal", record=EMPTY | {"shop": "Café\nRoyal"})
    assert printed("Café", shop="Cafe\u0301") == {"shop": "Café"}


@pytest.mark.parametrize(
    ("text", "fields", "field", "message"),
    [
        ("Acme", {"shop": "Beta"}, "shop", "'Beta' does not stand in the text"),
        ("Acme", {"shop": ""}, "shop", "'' does not stand in the text"),
        ("total 312.50", {"total": "12.50"}, "total", "does not stand"),
        ("total 12.50", {"total": "12"}, "total", "does not stand"),
        ("total 1,234", {"total": "234"}, "total", "does not stand"),
        ("03/04/2018", {"day": "2018-03-04"}, "day", "does not stand"),
        ("total x", {"total": "x"}, "total", "does not stand in the text as a decimal"),
        ("no", {"shop": True}, "shop", "must be a string as printed"),
        ("no", {"shop": ["a"]}, "shop", "must be a string as printed"),
        ("no", {"mood": "fine"}, "mood", "'fine' is not one of"),
        ("no", {"is_paid": "yes"}, "is_paid", "not of type 'boolean'"),
        ("no", {"summary": 5}, "summary", "not of type 'string'"),
        ("a", {"tags": ["a", "b"]}, "tags[1]", "does not stand"),
        ("a", {"tags": ["a", None]}, "tags[1]", "not of type 'string'"),
        ("a", {"tags": "a"}, "tags", "not of type 'array'"),
        ("a", {"items": [{"name": "a"}]}, "items[0].price", "is missing; write null"),
        ("a", {"items": ["a"]}, "items[0]", "not of type 'object'"),
        ("a", {"items": [{"name": None, "price": None}]}, "items[0].name", "Field required"),
        ("a 5 kg", {"items": [{"name": "a", "price": "5", "unit": "kg"}]}, "items[0].unit", "leave it out"),
        ("a", {"more": "a"}, "more", "is not a field of the schema"),
        ("a" * 30, {"shop": "a" * 30}, "shop", "is too long"),
    ],
)
def test_each_fault_names_its_field(text: str, fields: dict[str, Any], field: str, message: str) -> None:
    found = faults(text, **fields)
    assert [path for path, _ in found] == [field]
    assert message in found[0][1]


def test_all_faults_of_a_record_are_found() -> None:
    found = faults("text", shop="a b", total="5", tags=["y", "x", "z"])
    assert [path for path, _ in found] == ["shop", "total", "tags[0]", "tags[2]"]


@pytest.mark.parametrize("record", [None, [], "a", {}])
def test_a_record_that_is_no_object_or_empty_has_faults(record: Any) -> None:
    example, found = make_example("text", record, SLIP)
    assert example is None
    assert len(found) == (len(EMPTY) if record == {} else 1)


def line(text: str, **fields: Any) -> str:
    return json.dumps({"text": text, "record": EMPTY | fields})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{"text": "a", ', "is not JSON: Expecting property name"),
        ("[]", "with these two keys"),
        ('"text"', "with these two keys"),
        ('{"text": "a"}', "with these two keys"),
        ('{"text": "a", "record": {}, "note": ""}', "with these two keys"),
        ('{"text": 1, "record": {}}', "with these two keys"),
        ('{"text": "a", "text": "b", "record": {}}', "the key 'text' stands twice"),
        ('{"text": "a", "record": {"shop": "a", "shop": "b"}}', "the key 'shop' stands twice"),
    ],
)
def test_a_line_of_another_shape_is_a_fault(written: str, message: str) -> None:
    example, found = parse_example(written, SLIP)
    assert example is None
    assert [field for field, _ in found] == [""]
    assert message in found[0][1]


def test_numbers_may_be_written_as_json_numbers() -> None:
    written = line("3 for 1,234.50").replace('"total": null, "count": null', '"total": 1234.50, "count": 3')
    example, found = parse_example(written, SLIP)
    assert found == [] and example is not None
    assert (example.record["total"], example.record["count"]) == ("1,234.50", "3")


def test_not_a_number_is_a_fault() -> None:
    written = line("a").replace('"total": null', '"total": NaN')
    assert parse_example(written, SLIP)[1] == [("total", "must be a string as printed in the text, not nan")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "slip.jsonl"


def read(file: Path, *lines: str, **written: Any) -> Loaded:
    file.write_text("\n".join(lines), **written)
    return read_examples(file, SLIP)


def test_good_lines_are_loaded_in_order_and_blank_ones_passed_over(file: Path) -> None:
    loaded = read(file, line("one"), "", line("two"), "  ", encoding="utf-8")
    assert [example.text for example in loaded.examples] == ["one", "two"]
    assert loaded.faults == []


@pytest.mark.parametrize(
    "written", [{"encoding": "utf-8-sig"}, {"encoding": "utf-8", "newline": "\r\n"}], ids=str
)
def test_files_of_other_editors_are_read(file: Path, written: dict[str, str]) -> None:
    loaded = read(file, line("one"), line("two"), **written)
    assert [example.text for example in loaded.examples] == ["one", "two"]


def test_line_separators_of_unicode_do_not_end_a_line(file: Path) -> None:
    text = "one\u2028two\u0085three"
    written = json.dumps({"text": text, "record": EMPTY}, ensure_ascii=False)
    assert [example.text for example in read(file, written, written, encoding="utf-8").examples] == [
        text,
        text,
    ]


def test_every_fault_has_its_file_line_and_field(file: Path) -> None:
    bad = line("a", shop="b", total="7")
    loaded = read(file, line("one"), bad, "", "{", encoding="utf-8")
    assert [str(fault).partition(": ")[0] for fault in loaded.faults] == [
        f"{file}:2",
        f"{file}:2",
        f"{file}:4",
    ]
    assert [fault.field for fault in loaded.faults] == ["shop", "total", ""]
    assert str(loaded.faults[0]) == f"{file}:2: shop: 'b' does not stand in the text"
    assert [example.text for example in loaded.examples] == ["one"]


def test_fewer_than_two_are_a_fault_of_the_file(file: Path) -> None:
    assert [str(fault) for fault in read(file, line("one")).faults] == [
        f"{file}: holds 1 examples; at least 2 are needed"
    ]


@pytest.mark.parametrize("content", [None, b"\xff\xfe", "directory"])
def test_a_file_that_cannot_be_read_is_a_fault_of_the_file(file: Path, content: bytes | str | None) -> None:
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    (fault,) = read_examples(file, SLIP).faults
    assert (fault.line, fault.file) == (0, str(file))


def test_load_raises_with_all_faults_and_the_command_to_see_them(file: Path) -> None:
    file.write_text("\n".join([line("a", shop="b"), "{"]), encoding="utf-8")
    with pytest.raises(ExampleError) as caught:
        load_examples(file, SLIP)
    assert "2 faults" in caught.value.message and f"{file}:1: shop" in caught.value.message
    assert "gleaner schemas check slip" in caught.value.hint
    assert len(caught.value.facts["faults"]) == 2  # type: ignore[arg-type]


WORDS = st.lists(st.text("abcABCéßÉ漢🧾", min_size=1, max_size=4), min_size=1, max_size=3)
BLANKS = st.text(" \n\t\u00a0", min_size=1, max_size=3)


@given(WORDS, BLANKS, st.text("xyz ", max_size=5), st.text(" xyz", max_size=5))
def test_a_text_is_found_whatever_its_white_space_and_case(
    words: list[str], blank: str, before: str, after: str
) -> None:
    example, found = make_example(
        before + " " + blank.join(words) + " " + after, EMPTY | {"shop": " ".join(words).swapcase()}, SLIP
    )
    assert found == [] and example is not None
    copy = example.record["shop"]
    assert copy in example.text
    assert copy.casefold().split() == " ".join(words).casefold().split()


@given(
    st.decimals(min_value=-99999, max_value=99999, places=2),
    st.sampled_from(["{}", "RM {}", "({}) kg", "#{}, 7"]),
)
def test_a_number_is_found_however_it_is_grouped(value: Decimal, around: str) -> None:
    text = around.format(f"{abs(value):,.2f}")
    example, found = make_example(text, EMPTY | {"total": str(abs(value))}, SLIP)
    assert found == [] and example is not None
    result = to_record(SLIP, example.record)
    assert result.record is not None and result.record["total"] == abs(value)


def test_punctuation_is_put_aside_if_asked_to() -> None:
    text = "at Acme, Inc. of Leeds"
    assert faults(text, shop="ACME Inc.") == [("shop", "'ACME Inc.' does not stand in the text")]
    example, _ = make_example(text, EMPTY | {"shop": "ACME Inc."}, SLIP, is_loose=True)
    assert example is not None
    assert example.record["shop"] == "Acme, Inc."
    assert make_example(text, EMPTY | {"shop": "Acme of"}, SLIP, is_loose=True)[0] is None
