"""The SQL surface: views, comments, and a role that only reads."""

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import ProgrammingError

from schemas.errors import ConfigurationError, TableError
from schemas.forms import Kind, Leaf, ListForm, ObjectForm
from workers.engine.protocol import Checkpoint
from workers.store import jobs, readers, results
from workers.store.batches import open_batch
from workers.store.jobs import Failure
from workers.store.models import JobState
from workers.store.records import tables
from workers.store.results import Result
from workers.store.session import open_store, reading, transaction
from workers.store.tables import ensure
from workers.store.versions import put_checkpoint, put_schema_version

RECORD = {"total": 12.3, "line_items": [{"description": "a", "amount": 1}, {"description": "b", "amount": 2}]}


def rows(world, sql):
    with reading(world.engine) as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def finish(world, made, *, state=JobState.DONE, **more):
    """Bring the next job to its end."""
    (job,) = world.claim("w", limit=1)
    given = world.result(job, RECORD, made).__dict__ | {"state": state, **more}
    results.save(world.engine, "w", [Result(**given)])
    return job


def test_the_ledger_of_batches_as_a_view(world):
    made = world.tables()
    world.add("a", "b", None, "d")
    finish(world, made)
    finish(world, made, state=JobState.REVIEW, error_code="invalid", error="total: required")
    second = world.add("a", batch_id=other_batch(world))
    assert second[0].job_id == 1
    counts = "SELECT schema_name, checkpoint, documents, queued, leased, done, review, failed, already_done"
    assert rows(world, f"{counts} FROM batch_progress ORDER BY batch_id") == [
        ("invoice", "small", 4, 1, 0, 1, 1, 1, 0),
        ("invoice", "small", 1, 0, 0, 0, 0, 0, 1),
    ]


def other_batch(world):
    with transaction(world.engine) as conn:
        return open_batch(conn, world.version_id, world.checkpoint_id)


def test_errors_say_of_which_document(world):
    world.tables()
    world.add("a", None)
    (job,) = world.claim("w")
    failure = Failure(
        job_id=job.job_id, fence=job.fence, error_code="device", error="It fell.", retryable=False
    )
    with transaction(world.engine) as conn:
        jobs.fail_or_retry(conn, "w", [failure])
    found = rows(
        world, "SELECT schema_name, state, error_code, error, origin FROM job_errors ORDER BY job_id"
    )
    assert found == [
        ("invoice", "failed", "device", "It fell.", f"{world.batch_id}/0.txt"),
        ("invoice", "failed", "empty_document", "There is no text in it.", f"{world.batch_id}/1.txt"),
    ]


def test_records_of_an_older_version_or_checkpoint_are_stale(world):
    made = world.tables()
    world.add("a", "b")
    finish(world, made)
    finish(world, made)
    assert rows(world, "SELECT * FROM stale_records") == []
    with transaction(world.engine) as conn:
        changed = world.version("v2").__dict__ | {"examples": [{"text": "x"}], "fields": {"total": {}}}
        version_id = put_schema_version(conn, type(world.version("v2"))(**changed))
        checkpoint_id = put_checkpoint(conn, Checkpoint(name="large", digest="c2"))
        open_batch(conn, version_id, checkpoint_id)
    query = "SELECT document_id, made_by, now, checkpoint_now, other_fields, other_examples, other_settings"
    assert rows(world, f"{query}, other_checkpoint FROM stale_records ORDER BY document_id") == [
        (1, "v1", "v2", "large", True, True, False, True),
        (2, "v1", "v2", "large", True, True, False, True),
    ]


def test_usage_is_counted_by_day(world):
    made = world.tables()
    world.add("a", "b")
    finish(world, made, prompt_tokens=10, output_tokens=3, seconds=0.5, device_seconds=0.25)
    finish(world, made, prompt_tokens=20, output_tokens=4, seconds=0.25, device_seconds=0.125, num_windows=2)
    used = "SELECT schema_name, documents, windows, prompt_tokens, output_tokens FROM usage_daily"
    assert rows(world, used) == [("invoice", 2, 3, 30, 7)]
    assert rows(world, "SELECT seconds, device_seconds FROM usage_daily") == [(0.75, 0.375)]


def test_a_schema_has_its_documents_fields_and_reviews(world):
    made = world.tables()
    world.add("a", "b")
    finish(world, made)
    job = finish(
        world, made, state=JobState.REVIEW, error_code="invalid", error="total: required", record=None
    )
    seen = "SELECT document_id, origin, confidence, checkpoint, schema_version FROM invoice_documents"
    assert rows(world, seen) == [(1, f"{world.batch_id}/0.txt", 0.75, "small", "v1")]
    place = "SELECT field, path, state, value, start_char, end_char FROM invoice_fields"
    assert rows(world, place) == [("total", "total", "verbatim", "12.30", 0, 5)]
    waiting = "SELECT document_id, job_id, reason, reasons FROM invoice_review"
    assert rows(world, waiting) == [(2, job.job_id, "invalid", "total: required")]


def test_a_later_record_that_holds_ends_the_review(world):
    made = world.tables()
    world.add("a")
    finish(world, made, state=JobState.REVIEW, error_code="invalid", error="no")
    with transaction(world.engine) as conn:
        world.version_id = put_schema_version(conn, world.version("v2"))
    world.add("a", batch_id=other_batch(world))
    assert len(rows(world, "SELECT 1 FROM invoice_review")) == 1
    finish(world, made)
    assert rows(world, "SELECT 1 FROM invoice_review") == []


def test_items_of_lists_are_one_field(world):
    items = ObjectForm(
        fields=(("codes", ListForm(item=Leaf(kind=Kind.TEXT))), ("code", Leaf(kind=Kind.TEXT)))
    )
    made = tables("receipt", ObjectForm(fields=(("items", ListForm(item=items)),)))
    with transaction(world.engine) as conn:
        ensure(conn, made)
        (sql,) = conn.exec_driver_sql(f"SELECT {case(conn)}").one()
    assert sql == "items.codes"


def case(conn):
    """The expression of the view, for a path of its own."""
    is_server = conn.dialect.name == "postgresql"
    query = (
        "SELECT pg_get_viewdef('receipt_fields'::regclass)"
        if is_server
        else "SELECT sql FROM sqlite_master WHERE name = 'receipt_fields'"
    )
    definition = conn.exec_driver_sql(query).scalar_one()
    expression = definition[definition.index("CASE") : definition.index("END") + 3]
    return expression.replace("evidence.path", "'items[12].codes[3]'").replace("%", "%%")


def test_a_table_of_a_views_name_is_refused(world):
    reviews = ObjectForm(fields=(("review", ListForm(item=Leaf(kind=Kind.TEXT))),))
    with pytest.raises(TableError, match="view receipt_review"), transaction(world.engine) as conn:
        ensure(conn, tables("receipt", reviews))
    world.tables()
    with pytest.raises(TableError, match="table invoice_fields"), transaction(world.engine) as conn:
        ensure(conn, tables("invoice_fields", ObjectForm(fields=(("total", Leaf(kind=Kind.TEXT)),))))


def test_postgresql_keeps_descriptions_as_comments(postgres_store):
    def form(said):
        items = ListForm(item=Leaf(kind=Kind.TEXT), description="what was bought")
        total = Leaf(kind=Kind.DECIMAL, description=said)
        return ObjectForm(fields=(("total", total), ("items", items)), description="A bill.")

    for said in ("it's 100 % :paid", "to pay"):
        with transaction(postgres_store) as conn:
            ensure(conn, tables("bill", form(said)))
        found = inspect(postgres_store)
        assert found.get_table_comment("bill")["text"] == "A bill."
        assert found.get_table_comment("bill_items")["text"] == "what was bought"
        assert {c["name"]: c["comment"] for c in found.get_columns("bill")}["total"] == said
    assert [index["column_names"] for index in found.get_indexes("bill")] == [["extraction_id"]]


def test_a_reader_reads_what_comes_later_and_writes_nothing(postgres_store):
    name = 'an "analyst" of 100 %'
    assert readers.grant(postgres_store, name)
    assert not readers.grant(postgres_store, name)
    with transaction(postgres_store) as conn:
        ensure(conn, tables("bill", ObjectForm(fields=(("total", Leaf(kind=Kind.TEXT)),))))
        conn.exec_driver_sql('SET LOCAL ROLE "an ""analyst"" of 100 %%"')
        for table in ("bill", "bill_documents", "jobs", "batch_progress"):
            conn.exec_driver_sql(f"SELECT count(*) FROM {table}")
    for write in (
        "DELETE FROM bill",
        "CREATE TABLE mine (a INTEGER)",
        "INSERT INTO reuses VALUES (1, 1, '[]')",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction(postgres_store) as conn:
            conn.exec_driver_sql('SET LOCAL ROLE "an ""analyst"" of 100 %%"')
            conn.exec_driver_sql(write)
    with transaction(postgres_store) as conn:
        conn.exec_driver_sql('DROP OWNED BY "an ""analyst"" of 100 %%"')
        conn.exec_driver_sql('DROP ROLE "an ""analyst"" of 100 %%"')


def test_a_file_has_no_roles(sqlite_store):
    with pytest.raises(ConfigurationError, match="no roles"):
        readers.grant(sqlite_store, "analyst")


def test_moments_are_shown_in_utc(postgres_store):
    store = open_store(
        f"{postgres_store.url.render_as_string(hide_password=False)}?options=-ctimezone%3DAsia/Tokyo"
    )
    with reading(store) as conn:
        assert conn.exec_driver_sql("SHOW timezone").scalar_one() == "UTC"
    store.dispose()
