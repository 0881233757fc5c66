import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel

from pipelines.evaluate.labels import Label, Labels, load_labels, load_shots
from pipelines.readers import Read
from schemas import Currency, ExtractionSchema, SchemaSettings
from schemas.base import Schema
from schemas.errors import ConfigurationError, EmptyDocumentError


class Line(BaseModel):
    """A line."""

    name: str
    amount: Decimal | None


class Bill(ExtractionSchema):
    """A bill."""

    settings: ClassVar[SchemaSettings] = SchemaSettings(day_first=True, decimal_comma=True)

    shop: str | None
    day: date | None
    total: Decimal | None
    currency: Currency | None
    kind: Literal["cash", "card"] | None
    is_paid: bool | None
    tags: list[str]
    lines: list[Line]


SCHEMA = Schema(Bill, ())
EMPTY: dict[str, Any] = {
    "shop": None,
    "day": None,
    "total": None,
    "currency": None,
    "kind": None,
    "is_paid": None,
    "tags": [],
    "lines": [],
}


def no_samples() -> Iterable[Read]:
    raise AssertionError("the samples are not needed")


def load(tmp_path: Path, *lines: Any, samples: Iterable[Read] | None = None) -> Labels:
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in lines))
    return load_labels(file, SCHEMA, no_samples if samples is None else lambda: samples)


def gold(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    return load(tmp_path, {"text": "a", "gold": fields}).labels[0].gold


def test_clean_values_become_values_of_their_type(tmp_path: Path) -> None:
    assert gold(
        tmp_path,
        shop=" Acme\nLtd ",
        day="2024-03-04",
        total="1234.50",
        currency="EUR",
        kind="card",
        is_paid=True,
        tags=["a", "b"],
        lines=[{"name": "pen", "amount": "1.234"}, {"name": "cup"}],
    ) == {
        "shop": "Acme Ltd",
        "day": date(2024, 3, 4),
        "total": Decimal("1234.50"),
        "currency": "EUR",
        "kind": "card",
        "is_paid": True,
        "tags": ["a", "b"],
        # clean numbers have a point, though the documents print a comma
        "lines": [{"name": "pen", "amount": Decimal("1.234")}, {"name": "cup", "amount": None}],
    }


@pytest.mark.parametrize(
    ("field", "printed", "value"),
    [
        ("day", "04/03/2024", date(2024, 3, 4)),
        ("currency", "RM", "MYR"),
        ("total", 12.5, Decimal("12.5")),
        ("total", 12, Decimal(12)),
        ("shop", 12, "12"),
        ("shop", "  ", None),
        ("tags", None, None),
        ("tags", ["a", "", None], ["a"]),
    ],
)
def test_printed_values_are_read_too_and_blank_ones_are_null(
    tmp_path: Path, field: str, printed: Any, value: Any
) -> None:
    assert gold(tmp_path, **{field: printed}) == {field: value}


def test_a_field_left_out_is_not_there_and_null_is(tmp_path: Path) -> None:
    assert gold(tmp_path, shop=None) == {"shop": None}


def test_a_value_that_does_not_read_is_named_and_kept_as_text(tmp_path: Path) -> None:
    labels = load(tmp_path, {"text": "a", "gold": {"lines": [{"name": "a", "amount": "many"}]}})
    assert labels.labels[0].gold == {"lines": [{"name": "a", "amount": "many"}]}
    (unread,) = labels.unread
    assert unread.startswith("labels.jsonl:1: lines[0].amount: 'many' does not read as a number")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"gold": {"shop": "a"}}, "has neither text nor origin"),
        ({"text": "a"}, "gold must be an object"),
        ({"text": "a", "gold": {}}, "gold must be an object"),
        ({"text": "a", "gold": {"shops": "a"}}, "shops is no field; there are shop, day, "),
        ({"text": "a", "gold": {"shop": ["a"]}}, "shop: must be a text or a number, not ['a']"),
        ({"text": "a", "gold": {"shop": True}}, "shop: must be a text or a number, not True"),
        ({"text": "a", "gold": {"kind": "cheque"}}, "kind: must be one of 'cash', 'card', not 'cheque'"),
        ({"text": "a", "gold": {"is_paid": "yes"}}, "is_paid: must be one of True, False, not 'yes'"),
        ({"text": "a", "gold": {"tags": "a"}}, "tags: must be a list, not 'a'"),
        ({"text": "a", "gold": {"lines": ["a"]}}, "lines[0]: must be an object, not 'a'"),
        (
            {"text": "a", "gold": {"lines": [{"price": 1}]}},
            "lines[0].price: is no field; there are name, amount",
        ),
        ("[]\n", "is not an object"),
        ("{\n", "is not JSON"),
        ("\n", "holds no labels"),
    ],
)
def test_faults_name_the_line_the_field_and_the_value(tmp_path: Path, line: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, line)
    assert message in str(caught.value)


def test_all_faults_are_counted(tmp_path: Path) -> None:
    good, bad = {"text": "a", "gold": {"shop": "a"}}, {"text": "a", "gold": {"x": 1, "kind": "b"}}
    with pytest.raises(ConfigurationError, match=r"has 4 faults; first: labels\.jsonl:2: x is no field"):
        load(tmp_path, good, bad, bad)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.jsonl cannot be read: No such file"):
        load_labels(tmp_path / "none.jsonl", SCHEMA, no_samples)


def test_texts_are_cleaned_and_labels_named(tmp_path: Path) -> None:
    fields = {"gold": {"shop": None}}
    labels = load(tmp_path, "\ufeff", {"text": "a\r\nb", **fields}, "\n", {"text": "", "id": "x7", **fields})
    assert [(label.name, label.text) for label in labels.labels] == [("line 1", "a\nb"), ("x7", "")]


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    line = {"text": "a", "gold": {"shop": "a"}}
    assert load(tmp_path, line).digest == load(tmp_path, line).digest != load(tmp_path, line, "\n").digest


def test_origins_are_looked_up_among_the_samples(tmp_path: Path) -> None:
    error = EmptyDocumentError("There is no text in it.")
    samples = [
        Read.done("/x/bills.csv#row=1", "text/csv", "one"),
        Read.done("/x/bills.csv#row=2", "text/csv", "two"),
        Read.failed("/x/empty.txt", "text/plain", error),
    ]
    names = ("bills.csv#row=2", "empty.txt")
    labels = load(tmp_path, *({"origin": name, "gold": {"shop": None}} for name in names), samples=samples)
    assert [(label.name, label.text, label.error) for label in labels.labels] == [
        ("bills.csv#row=2", "two", None),
        ("empty.txt", None, error),
    ]


@pytest.mark.parametrize(("name", "number"), [("b.txt", 0), ("a.txt", 2)])
def test_an_origin_must_be_one_sample(tmp_path: Path, name: str, number: int) -> None:
    samples = [Read.done(f"/{n}/a.txt", "text/plain", "a") for n in range(2)]
    with pytest.raises(ConfigurationError, match=f"{number} samples are named '{name}'"):
        load(tmp_path, {"origin": name, "gold": {"shop": "a"}}, samples=samples)


def shots(tmp_path: Path, *lines: dict[str, Any], tested: str = "") -> tuple[Schema, int]:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    labels = Labels(labels=(Label(name="1", text=tested, gold={}),), digest="", unread=())
    return load_shots(file, SCHEMA, labels)


def test_examples_and_labels_may_serve_as_examples(tmp_path: Path) -> None:
    schema, num_left_out = shots(
        tmp_path,
        {"text": "Acme, 1.234,50 EUR", "gold": {"shop": "Acme", "total": "1234.50"}},
        {"text": "Bolt", "record": EMPTY | {"shop": "Bolt"}},
    )
    assert num_left_out == 0
    assert [example.record for example in schema.examples] == [
        EMPTY | {"shop": "Acme", "total": "1.234,50"},
        EMPTY | {"shop": "Bolt"},
    ]
    assert schema.digest != SCHEMA.digest


def test_other_examples_leave_the_settings_as_they_are(tmp_path: Path) -> None:
    lines = [{"text": f"Shop {n}", "gold": {"shop": f"Shop {n}"}} for n in range(2)]
    assert shots(tmp_path, *lines)[0].settings == SCHEMA.settings


def test_what_does_not_stand_in_its_text_or_is_tested_is_left_out(tmp_path: Path) -> None:
    lines = [{"text": f"Shop {n}", "gold": {"shop": f"Shop {n}"}} for n in range(3)]
    other = [{"text": "a", "gold": {"shop": "Acme"}}, {"text": "a"}, {"gold": {"shop": None}}]
    schema, num_left_out = shots(tmp_path, *other, *lines, tested="Shop 1")
    assert [example.text for example in schema.examples] == ["Shop 0", "Shop 2"]
    assert num_left_out == 4


def test_two_examples_must_be_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds 1 usable examples of bill in 2 lines"):
        shots(tmp_path, {"text": "Acme", "gold": {"shop": "Acme"}}, {"text": "a", "gold": {"shop": "b"}})
