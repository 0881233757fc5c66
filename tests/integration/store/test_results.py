from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from workers.store.batches import open_batch
from workers.store.models import Evidence, Extraction, JobState
from workers.store.records import tables
from workers.store.results import EvidenceRow, Fault, persist, save
from workers.store.session import reading, transaction
from workers.store.sweep import expire
from workers.store.tables import ensure
from workers.store.versions import put_schema_version

RECORD = {
    "total": Decimal("12.30"),
    "line_items": [
        {"description": "bolts", "amount": Decimal("2.30")},
        {"description": "nuts", "amount": Decimal(10)},
    ],
}


def all_rows(world, table):
    with reading(world.engine) as conn:
        return [tuple(row) for row in conn.execute(select(table).order_by(*table.primary_key.columns))]


def test_a_result_is_an_extraction_its_evidence_and_typed_rows(world):
    made = world.tables()
    world.add("12.30 for bolts")
    (job,) = world.claim("me")
    assert save(world.engine, "me", [world.result(job, RECORD, made)]) == set()
    main, items = made.all
    extraction = all_rows(world, Extraction.__table__)[0]
    assert all_rows(world, main) == [(job.document_id, extraction[0], 0.75, Decimal("12.30"))]
    assert all_rows(world, items) == [
        (job.document_id, 0, "bolts", Decimal("2.30")),
        (job.document_id, 1, "nuts", Decimal(10)),
    ]
    (evidence,) = all_rows(world, Evidence.__table__)
    assert evidence == (extraction[0], 0, "total", "verbatim", "12.30", 0, 5, None, None)
    with reading(world.engine) as conn:
        query = select(
            Extraction.record, Extraction.wire_record, Extraction.calibration, Extraction.created_at
        )
        record, wire_record, calibration, created_at = conn.execute(query).one()
    assert record == {
        "total": "12.30",
        "line_items": [{"description": "bolts", "amount": "2.30"}, {"description": "nuts", "amount": "10"}],
    }
    assert (wire_record, calibration) == ({"total": "12.30"}, "uncalibrated")
    assert created_at.tzinfo is not None
    assert world.job(job.job_id).state == "done"


def test_the_database_sums_and_compares_decimals_as_numbers(world):
    made = world.tables()
    world.add("a")
    (job,) = world.claim("me")
    save(world.engine, "me", [world.result(job, RECORD, made)])
    amount = made.all[1].c.amount
    with reading(world.engine) as conn:
        assert conn.execute(select(func.sum(amount))).scalar_one() == Decimal("12.3")
        assert conn.execute(select(amount).where(amount > Decimal(9))).scalars().all() == [Decimal(10)]


def test_a_late_finisher_writes_nothing(world):
    made = world.tables()
    world.add("a", "b")
    late = world.claim("slow", lease_s=-1)
    with transaction(world.engine) as conn:
        expire(conn)
    (mine, _) = world.claim("quick")
    assert save(world.engine, "quick", [world.result(mine, RECORD, made)]) == set()
    before = all_rows(world, made.main)
    refused = save(world.engine, "slow", [world.result(job, RECORD, made) for job in late])
    assert refused == {job.job_id for job in late}
    assert all_rows(world, made.main) == before
    assert (world.count(Extraction), world.count(Evidence)) == (1, 1)


def test_an_error_in_the_middle_leaves_nothing(world):
    made = world.tables()
    world.add("a")
    (job,) = world.claim("me")
    broken = {"total": None, "line_items": []}
    with pytest.raises(IntegrityError, match=r"(?i)not.null"), transaction(world.engine) as conn:
        persist(conn, "me", [world.result(job, broken, made)])
    assert (world.count(Extraction), world.count(Evidence), world.count(made.main)) == (0, 0, 0)
    row = world.job(job.job_id)
    assert (row.state, row.lease_owner) == ("leased", "me")


def test_a_value_the_database_refuses_fails_its_own_job_only(world):
    made = world.tables()
    world.add("a", "b", "c")
    one, two, three = world.claim("me")
    results = [
        world.result(one, RECORD, made),
        world.result(two, RECORD | {"total": None}, made),
        world.result(three, RECORD, made),
    ]
    assert save(world.engine, "me", results) == set()
    assert [world.job(job.job_id).state for job in (one, two, three)] == ["done", "failed", "done"]
    assert world.job(two.job_id).error_code == "unstorable"
    assert world.count(made.main) == 2


def test_a_number_too_large_for_its_column_goes_to_review(world):
    made = world.tables()
    world.add("a")
    (job,) = world.claim("me")
    save(world.engine, "me", [world.result(job, RECORD | {"total": Decimal("Infinity")}, made)])
    row = world.job(job.job_id)
    assert (row.state, row.error_code) == ("review", "conversion")
    assert "total is Infinity" in row.error
    assert (world.count(made.main), world.count(Extraction)) == (0, 1)


def test_a_record_in_review_writes_no_rows_and_keeps_its_reasons(world):
    made = world.tables()
    world.add("a")
    (job,) = world.claim("me")
    held = replace(
        world.result(job, None, made),
        state=JobState.REVIEW,
        error_code="invalid",
        error="total is missing",
        wire_record=None,
        answer='{"total": "12',
        finish="length",
        faults=[Fault(path="total", message="is missing")],
    )
    save(world.engine, "me", [held])
    assert world.count(made.main) == 0
    with reading(world.engine) as conn:
        query = select(Extraction.answer, Extraction.errors, Extraction.wire_record.is_(None))
        assert conn.execute(query).one() == (
            '{"total": "12',
            [{"path": "total", "message": "is missing"}],
            True,
        )
    assert world.job(job.job_id).error == "total is missing"


def test_a_newer_record_replaces_the_rows_of_its_document(world):
    made = world.tables()
    world.add("a", "other")
    first, other = world.claim("me")
    save(world.engine, "me", [world.result(job, RECORD, made) for job in (first, other)])
    with transaction(world.engine) as conn:
        version_id = put_schema_version(conn, world.version("v2"))
        batch_id = open_batch(conn, version_id, world.checkpoint_id)
    world.add("a", batch_id=batch_id)
    (job,) = world.claim("me")
    assert job.document_id == first.document_id
    save(world.engine, "me", [world.result(job, {"total": Decimal(1), "line_items": []}, made)])
    main, items = made.all
    assert [row[0] for row in all_rows(world, items)] == [other.document_id] * 2
    assert {row[0]: row[3] for row in all_rows(world, main)} == {
        first.document_id: Decimal(1),
        other.document_id: Decimal("12.3"),
    }


def test_text_that_postgresql_refuses_is_stored_with_replacement_characters(world):
    made = world.tables()
    world.add("a")
    (job,) = world.claim("me")
    item = {"description": "a\0b\ud800c", "amount": Decimal(1)}
    result = replace(
        world.result(job, {"total": Decimal(1), "line_items": [item]}, made),
        wire_record={"total": "1", "line_items": [{"description": "a\0b\ud800c"}]},
        evidence=[EvidenceRow(path="total", state="inferred", value="\0")],
    )
    assert save(world.engine, "me", [result]) == set()
    assert world.job(job.job_id).state == "done"
    assert all_rows(world, made.all[1])[0][2] == "a\ufffdb\ufffdc"


def test_results_of_two_schemas_go_to_their_own_tables(world):
    made = world.tables()
    other = tables("receipt", made.form)
    with transaction(world.engine) as conn:
        ensure(conn, other)
    world.add("a", "b")
    one, two = world.claim("me")
    save(world.engine, "me", [world.result(one, RECORD, made), world.result(two, RECORD, other)])
    assert (world.count(made.main), world.count(other.main)) == (1, 1)
