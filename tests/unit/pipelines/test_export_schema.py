import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow.parquet
import pytest
from sqlalchemy import Engine

from pipelines.export_schema import export_schema
from schemas.errors import ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, make_runtime
from workers.runtime import Runtime
from workers.work import work

TEXTS = [
    parcels.text("=1+1", "3 cups", "2 forks", weight="1,234.50"),
    parcels.text("GARBLED", "1 cup"),
    parcels.text('Bo "B"; Cy', "1 rug", speed="express"),
]


@pytest.fixture
def empty(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    yield made
    made.store.dispose()


@pytest.fixture
def runtime(empty: Runtime) -> Runtime:
    enqueue(empty, TEXTS)
    work(empty, job_ids(empty))
    return empty


def export(runtime: Runtime, path: Path) -> dict[str, int]:
    made = export_schema(runtime.store, runtime.registry.get("parcel"), path)
    return {file.name: count for file, count in made.items()}


def test_csv_has_a_sibling_file_for_a_list(runtime: Runtime, tmp_path: Path) -> None:
    made = export(runtime, tmp_path / "new" / "out.csv")
    assert made == {"out.csv": 2, "out_items.csv": 3}
    with (tmp_path / "new" / "out.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["origin"] == "/inbox/0.txt" and len(first["content_hash"]) == 64
    assert (first["receiver"], first["weight"], first["box_colour"]) == ("=1+1", "1234.5", "red")
    assert second["speed"] == "express"
    lines = (tmp_path / "new" / "out_items.csv").read_text().splitlines()
    assert lines == ["document_id,position,name,count", "1,0,cups,3", "1,1,forks,2", "3,0,rug,1"]


def test_parquet_is_typed(runtime: Runtime, tmp_path: Path) -> None:
    assert export(runtime, tmp_path / "out.parquet") == {"out.parquet": 2, "out_items.parquet": 3}
    first, _ = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (first["receiver"], first["weight"], first["box_sealed"]) == ("=1+1", Decimal("1234.5"), True)
    items = pyarrow.parquet.read_table(tmp_path / "out_items.parquet")
    assert [str(field.type) for field in items.schema] == ["int64", "int64", "string", "int64"]


def test_a_workbook_has_a_sheet_for_a_list_and_no_formula_of_a_document(
    runtime: Runtime, tmp_path: Path
) -> None:
    assert export(runtime, tmp_path / "out.xlsx") == {"out.xlsx": 5}
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert book.sheetnames == ["parcel", "items"]
    header, first, _ = book["parcel"].iter_rows()
    cells = {name.value: cell for name, cell in zip(header, first, strict=True)}
    assert (cells["receiver"].value, cells["receiver"].data_type) == ("=1+1", "s")
    assert cells["weight"].value == 1234.5
    assert [row[2].value for row in book["items"].iter_rows(min_row=2)] == ["cups", "forks", "rug"]


def test_json_lines_hold_whole_records(runtime: Runtime, tmp_path: Path) -> None:
    assert export(runtime, tmp_path / "out.jsonl") == {"out.jsonl": 2}
    first, _ = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert first["record"]["items"] == [{"name": "cups", "count": 3}, {"name": "forks", "count": 2}]
    assert list(first) == ["origin", "content_hash", "document_id", "confidence", "record"]


def test_what_cannot_be_written_is_refused(empty: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.xlsx can be written"):
        export(empty, tmp_path / "out.doc")
    with pytest.raises(ConfigurationError, match="no rows of parcel yet"):
        export(empty, tmp_path / "out.csv")


def test_a_moment_with_a_zone_is_in_utc_in_views(runtime: Runtime) -> None:
    with runtime.store.connect() as conn:
        (moment,) = conn.exec_driver_sql("SELECT extracted_at FROM parcel_documents LIMIT 1").one()
    now = datetime.now(UTC).replace(tzinfo=None)
    assert abs((now - datetime.fromisoformat(moment)).total_seconds()) < 600
