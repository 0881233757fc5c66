from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from pipelines.train.labels import make_labels
from pipelines.train.stored import read_store
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, make_runtime
from workers.runtime import Runtime
from workers.work import work


@pytest.fixture
def runtime(sqlite_store: Engine, tmp_path: Path) -> Iterator[Runtime]:
    made = make_runtime(str(sqlite_store.url), parcels.write_schema(tmp_path / "schemas"))
    yield made
    made.store.dispose()


def test_records_that_hold_are_labels_and_others_are_not(runtime: Runtime) -> None:
    texts = [parcels.text(f"Ann {number}", f"{number} cups") for number in range(2, 6)]
    enqueue(runtime, [*texts, "GARBLED answer", "GRAMMAR refused"])
    work(runtime, job_ids(runtime))
    read = list(read_store(runtime.store, "parcel"))
    assert [line["text"] for _, line in read] == texts
    assert read[0][0] == "document 1"
    labels = make_labels(runtime.registry.get("parcel"), read)
    assert not labels.left_out
    found = {example.text: example.record for example in (*labels.train, *labels.held_out)}
    assert found == {text: parcels.record(text) for text in texts}
    assert list(read_store(runtime.store, "receipt")) == []
