"""What a report reads, on both databases."""

from dataclasses import replace

import pytest

from schemas.errors import ConfigurationError
from workers.store import outcomes
from workers.store.batches import open_batch
from workers.store.models import JobState
from workers.store.outcomes import Count, Order
from workers.store.results import save
from workers.store.session import transaction
from workers.store.versions import put_schema_version


@pytest.fixture
def ended(world):
    """Seven entries: done at 0.75, 1 and 0.04, in review with and without confidence, one failed, one queued."""
    world.add("a", "b", "c", "d", "e", None, "g")
    jobs = world.claim("w", limit=5)
    confidences = (0.75, 1.0, 0.04, 0.5, None)
    states = (JobState.DONE,) * 3 + (JobState.REVIEW,) * 2
    results = [
        replace(world.result(job), state=state, confidence=confidence, error_code=code, error=code)
        for job, state, confidence in zip(jobs, states, confidences, strict=True)
        for code in [None if state is JobState.DONE else "invalid"]
    ]
    assert save(world.engine, "w", results) == set()
    return world


def listed(world, order, **which):
    with outcomes.one_moment(world.engine) as conn:
        scope = outcomes.find(conn, str(world.batch_id))
        return list(outcomes.listing(conn, scope, order, **which))


def names(rows):
    return [row.origin.removesuffix(".txt").rpartition("/")[2] for row in rows]


def test_counts_add_up(ended):
    with outcomes.one_moment(ended.engine) as conn:
        scope = outcomes.find(conn, "1")
        assert (scope.title, scope.schema, scope.batch.total) == ("batch 1", "invoice", 7)
        assert outcomes.counts(conn, scope) == [
            Count(state=JobState.DONE, code=None, example="", num=3),
            Count(state=JobState.REVIEW, code="invalid", example="invalid", num=2),
            Count(state=JobState.FAILED, code="empty_document", example="There is no text in it.", num=1),
            Count(state=JobState.QUEUED, code=None, example="", num=1),
        ]
        assert outcomes.evidence_states(conn, scope) == {"verbatim": 5}
        assert outcomes.confidence_bins(conn, scope) == {
            JobState.DONE: [1, 0, 0, 0, 0, 0, 0, 1, 0, 1],
            JobState.REVIEW: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        }


def test_review_comes_first_then_the_least_sure(ended):
    assert names(listed(ended, Order.LOOKED_AT)) == ["3", "4", "2", "0", "1", "5", "6"]
    assert names(listed(ended, Order.LEAST_SURE)) == ["2", "3", "0", "1", "4", "5", "6"]
    assert names(listed(ended, Order.GIVEN)) == ["0", "1", "2", "3", "4", "5", "6"]
    assert names(listed(ended, Order.LEAST_SURE, state=JobState.DONE)) == ["2", "0", "1"]
    assert names(listed(ended, Order.GIVEN, state=JobState.REVIEW, code="invalid")) == ["3", "4"]
    assert names(listed(ended, Order.GIVEN, state=JobState.FAILED, code="invalid")) == []


def test_pages_are_filled_by_what_is_on_them_and_have_no_gaps(world, monkeypatch):
    monkeypatch.setattr(outcomes, "CHARS_PER_PAGE", 10_000)
    world.add("a" * 20, "b" * 50_000, "c" * 30, "d" * 40, "e" * 50, "f" * 60)
    rows = listed(world, Order.LOOKED_AT)
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5, 6]
    pages = [row.page for row in rows]
    assert pages == sorted(pages)
    assert set(pages) == set(range(1, max(pages) + 1))
    assert pages[1] not in (pages[0], pages[3])
    assert pages[2:] != [pages[2]] * 4 or pages.count(pages[2]) > 1


def test_of_a_schema_every_document_is_looked_at_once_by_its_newest_job(ended):
    with transaction(ended.engine) as conn:
        newer = put_schema_version(conn, ended.version("v2"))
        put_schema_version(conn, replace(ended.version("v3"), name="other"))
        batch_id = open_batch(conn, newer, ended.checkpoint_id)
    (again,) = ended.add("c", batch_id=batch_id)
    with outcomes.one_moment(ended.engine) as conn:
        scope = outcomes.find(conn, "invoice")
        rows = list(outcomes.listing(conn, scope, Order.GIVEN))
        assert [row.origin[0] for row in rows] == ["1"] * 7
        assert [row.state for row in rows if row.job_id == again.job_id] == ["queued"]
        assert list(outcomes.listing(conn, outcomes.find(conn, "other"), Order.GIVEN)) == []


def test_contents_and_evidence_come_together(ended):
    with outcomes.one_moment(ended.engine) as conn:
        contents = outcomes.contents(conn, range(1, 8))
        done, empty = ({c.text: c for c in contents.values()}[text] for text in ("a", None))
        evidence = outcomes.evidence(conn, [done.extraction_id])
    assert len(contents) == 7
    assert done.wire_record == {"total": "12.30"}
    assert empty.extraction_id is None
    assert [(item.path, item.end_char) for item in evidence[done.extraction_id]] == [("total", 5)]


def test_a_listing_goes_on_while_other_things_are_read(world):
    # more than are fetched at once
    world.add(*map(str, range(1200)))
    with outcomes.one_moment(world.engine) as conn:
        scope = outcomes.find(conn, "1")
        seen = [
            outcomes.contents(conn, [row.job_id])[row.job_id].text if row.rank % 100 == 0 else None
            for row in outcomes.listing(conn, scope, Order.GIVEN)
        ]
    assert len(seen) == 1200 and seen[99::100] == [str(number) for number in range(99, 1200, 100)]


def test_a_report_sees_one_moment(ended):
    with outcomes.one_moment(ended.engine) as conn:
        scope = outcomes.find(conn, "1")
        ended.add("late")
        assert sum(count.num for count in outcomes.counts(conn, scope)) == 7


@pytest.mark.parametrize("what", ["nonesuch", "99"])
def test_what_is_not_there(world, what):
    with (
        outcomes.one_moment(world.engine) as conn,
        pytest.raises(ConfigurationError, match=r"`gleaner status` lists"),
    ):
        outcomes.find(conn, what)
