import csv
import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy import Engine

from pipelines.export import export, in_order, writer
from schemas.errors import ConfigurationError
from schemas.forms import Form, Kind, Leaf, ListForm, ObjectForm
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, make_runtime
from workers.runtime import Runtime
from workers.work import work

TEXTS = [
    parcels.text("Zoë 🦊, „Sons“", "3 cups", "2 forks", weight="1,234.50"),
    parcels.text("GARBLED", "1 cup"),
    parcels.text('Bo "B"; Cy', "1 rug", speed="express"),
]


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    yield made
    made.store.dispose()


def written(runtime: Runtime, path: Path, texts: list[str]) -> int:
    batch_id = enqueue(runtime, texts)
    work(runtime, job_ids(runtime))
    return export(runtime.store, batch_id, runtime.registry.get("parcel").form, path)


def test_json_lines_hold_the_records_as_stored(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "out" / "parcels.jsonl"
    assert written(runtime, file, TEXTS) == 2
    first, second = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert (first["origin"], first["document_id"]) == ("/inbox/0.txt", 1)
    assert 0 <= first["confidence"] <= 1
    assert first["record"] == {
        "receiver": "Zoë 🦊, „Sons“",
        "weight": "1234.50",
        "speed": "normal",
        "box": {"colour": "red", "sealed": True},
        "items": [{"name": "cups", "count": 3}, {"name": "forks", "count": 2}],
    }
    assert list(first["record"]) == ["receiver", "weight", "speed", "box", "items"]
    assert "🦊" in file.read_text(encoding="utf-8")
    assert second["record"]["receiver"] == 'Bo "B"; Cy'


def test_csv_has_a_row_a_document_and_lists_as_json(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "parcels.csv"
    assert written(runtime, file, TEXTS) == 2
    with file.open(encoding="utf-8", newline="") as opened:
        first, second = csv.DictReader(opened)
    assert list(first) == [
        "origin",
        "document_id",
        "confidence",
        "receiver",
        "weight",
        "speed",
        "box_colour",
        "box_sealed",
        "items",
    ]
    assert (first["receiver"], first["weight"], first["box_sealed"]) == ("Zoë 🦊, „Sons“", "1234.50", "True")
    assert json.loads(first["items"]) == [{"name": "cups", "count": 3}, {"name": "forks", "count": 2}]
    assert second["receiver"] == 'Bo "B"; Cy'


def test_parquet_has_typed_columns(runtime: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "parcels.PARQUET"
    assert written(runtime, file, TEXTS) == 2
    first, second = pyarrow.parquet.read_table(file).to_pylist()
    assert first["weight"] == Decimal("1234.50")
    assert first["box_sealed"] is True
    assert first["items"] == [{"name": "cups", "count": 3}, {"name": "forks", "count": 2}]
    assert (second["receiver"], second["speed"]) == ('Bo "B"; Cy', "express")


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.parquet"])
def test_a_batch_without_records_is_a_file_without_rows(runtime: Runtime, tmp_path: Path, name: str) -> None:
    assert written(runtime, tmp_path / name, []) == 0
    if name.endswith("jsonl"):
        assert (tmp_path / name).read_text() == ""
    elif name.endswith("csv"):
        assert (tmp_path / name).read_text().startswith("origin,document_id,confidence,receiver,")
    else:
        made = pyarrow.parquet.read_table(tmp_path / name)
        assert (made.num_rows, made.column_names[-1]) == (0, "items")


def test_already_done_documents_are_in_the_file_too(runtime: Runtime, tmp_path: Path) -> None:
    written(runtime, tmp_path / "first.jsonl", TEXTS)
    assert written(runtime, tmp_path / "second.jsonl", TEXTS) == 2
    assert (tmp_path / "second.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()


NESTED = ObjectForm(
    fields=(
        ("origin", Leaf(kind=Kind.TEXT)),
        ("signed", Leaf(kind=Kind.DATE)),
        ("seen", Leaf(kind=Kind.DATETIME)),
        (
            "seller",
            ObjectForm(
                nullable=True,
                fields=(
                    ("name", Leaf(kind=Kind.TEXT)),
                    ("home", ObjectForm(fields=(("city", Leaf(kind=Kind.TEXT)),))),
                ),
            ),
        ),
        (
            "rates",
            ListForm(
                item=ObjectForm(
                    fields=(
                        ("day", Leaf(kind=Kind.DATE)),
                        ("prices", ListForm(item=Leaf(kind=Kind.DECIMAL))),
                    )
                )
            ),
        ),
    )
)
# keys as JSONB gives them back: shorter ones first
ROWS: list[dict[str, Any]] = [
    {
        "origin": "/inbox/a.txt",
        "document_id": 1,
        "confidence": 0.5,
        "record": {
            "seen": "2024-05-01T10:00:00+02:00",
            "rates": [{"day": "2024-01-02", "prices": ["1.5", "2"]}],
            "origin": "Kenya",
            "seller": {"home": {"city": "Nairobi"}, "name": "Ann"},
            "signed": "2024-05-01",
        },
    },
    {
        "origin": "/inbox/b.txt",
        "document_id": 2,
        "confidence": None,
        "record": {"origin": "Peru", "signed": None, "seen": None, "seller": None, "rates": []},
    },
]


def test_nested_fields_and_names_that_are_taken_get_columns(tmp_path: Path) -> None:
    file = tmp_path / "nested.parquet"
    assert writer(file)(file, iter(ROWS), NESTED) == 2
    first, second = pyarrow.parquet.read_table(file).to_pylist()
    assert first == {
        "document_origin": "/inbox/a.txt",
        "document_id": 1,
        "confidence": 0.5,
        "origin": "Kenya",
        "signed": date(2024, 5, 1),
        "seen": datetime(2024, 5, 1, 8, 0),
        "seller_name": "Ann",
        "seller_home_city": "Nairobi",
        "rates": [{"day": date(2024, 1, 2), "prices": [Decimal("1.5"), Decimal("2.0")]}],
    }
    assert second["seller_home_city"] is None and second["rates"] == []

    file = tmp_path / "nested.csv"
    assert writer(file)(file, iter(ROWS), NESTED) == 2
    with file.open(newline="") as opened:
        found = list(csv.DictReader(opened))
    assert (found[0]["document_origin"], found[0]["origin"]) == ("/inbox/a.txt", "Kenya")
    assert found[0]["rates"] == '[{"day": "2024-01-02", "prices": ["1.5", "2"]}]'
    assert found[1]["seller_name"] == ""


def keys(value: Any) -> Iterator[list[str]]:
    if isinstance(value, dict):
        yield list(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(item)


def test_fields_come_in_the_order_of_the_schema_at_every_depth() -> None:
    assert list(keys(in_order(NESTED, ROWS[0]["record"]))) == [
        ["origin", "signed", "seen", "seller", "rates"],
        ["name", "home"],
        ["city"],
        ["day", "prices"],
    ]
    assert in_order(NESTED, ROWS[1]["record"]) == ROWS[1]["record"]


def test_a_number_that_parquet_cannot_hold_names_the_other_formats(tmp_path: Path) -> None:
    form: Form = ObjectForm(fields=(("total", Leaf(kind=Kind.DECIMAL)),))
    row = ROWS[0] | {"record": {"total": "1" * 90}}
    file = tmp_path / "large.parquet"
    with pytest.raises(ConfigurationError, match=r"cannot be written as Parquet.*\.jsonl or \.csv"):
        writer(file)(file, [row], form)


@pytest.mark.parametrize("name", ["rows.xlsx", "rows", "jsonl"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\.jsonl, \.csv and \.parquet can be written"):
        writer(tmp_path / name)


def test_a_directory_that_cannot_be_made_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"directory of .* cannot be made"):
        writer(tmp_path / "file" / "rows.csv")


def test_a_file_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written: Is a directory"):
        writer(tmp_path / "rows.csv")


def test_a_disk_that_fills_up_is_said(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to("/dev/full")
    with pytest.raises(ConfigurationError, match="cannot be written: No space left on device"):
        written(runtime, tmp_path / "rows.csv", TEXTS)
