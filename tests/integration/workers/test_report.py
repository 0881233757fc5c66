"""A report is the same on both databases, though JSONB keeps no order of fields."""

from pathlib import Path

from sqlalchemy import Engine

from pipelines.report.summary import summarize
from pipelines.report.write import write
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, make_runtime
from workers.store import outcomes
from workers.work import work


def pages(store: Engine, directory: Path) -> dict[str, str]:
    """The pages that show documents."""
    url = store.url.render_as_string(hide_password=False)
    runtime = make_runtime(url, parcels.write_schema(directory / "schemas"))
    texts = [parcels.text("Ann", "3 cups", "2 forks"), parcels.text("GARBLED", "1 cup"), parcels.text("Bo")]
    batch_id = enqueue(runtime, texts)
    work(runtime, job_ids(runtime))
    # the order of fields comes from the evidence
    with outcomes.one_moment(runtime.store) as conn:
        write(conn, summarize(conn, outcomes.of_batch(conn, batch_id), lambda name: None), directory / "out")
    runtime.store.dispose()
    return {file.name: file.read_text() for file in (directory / "out").glob("documents-*.html")}


def test_documents_are_shown_alike(sqlite_store: Engine, postgres_store: Engine, tmp_path: Path) -> None:
    one, other = pages(sqlite_store, tmp_path / "one"), pages(postgres_store, tmp_path / "other")
    assert one == other
    assert one["documents-1.html"].count("<article") == 3
