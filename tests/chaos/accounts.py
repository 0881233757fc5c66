"""The accounts: what must be true of a store once every document has ended, whatever died in between."""

import re
from collections import Counter

from tests.cases.worlds import job_rows, rows
from tests.chaos.conftest import ENDS, expected_state
from workers.runtime import Runtime
from workers.store.progress import failures_by_reason, progress
from workers.store.session import reading

# what is never null of a record of the schema: receiver, weight, speed, box.colour, box.sealed
_FIELDS = 5


def have_ended(runtime: Runtime) -> bool:
    """Whether every job is in an end state."""
    return {state for (state,) in rows(runtime, "SELECT DISTINCT state FROM jobs")} <= ENDS | {"cancelled"}


def check(runtime: Runtime, batch_id: int, num: int, *, lost: int = 0) -> Counter[str]:
    """Every document ended once, with all that belongs to it; at most `lost` were given up as suspects.

    The states as found.
    """
    found = job_rows(runtime)
    assert len(found) == num
    states = Counter(job.state for job in found)
    for job in found:
        assert job.state in ENDS, f"job {job.id} is {job.state}"
        assert job.lease_owner is None and job.lease_until is None
        assert (job.error_code is None) == (job.state == "done")
    given_up = [job for job in found if job.error_code == "worker_lost"]
    assert len(given_up) <= lost, f"given up: {[job.id for job in given_up]}"
    expected = Counter(expected_state(number) for number in range(num))
    gone = Counter(expected_state(_number(job.text)) for job in given_up)
    assert states == expected - gone + Counter({"failed": len(given_up)})
    _check_records(runtime, found)
    _check_ledger(runtime, batch_id, num, states)
    return states


def _number(text: str) -> int:
    match = re.search(r"for [A-Z]+(\d+)\.", text)
    assert match
    return int(match[1])


def _check_records(runtime: Runtime, found: list) -> None:
    ended = [job for job in found if job.state in {"done", "review"}]
    done = [job for job in found if job.state == "done"]
    extracted = rows(runtime, "SELECT job_id, id FROM extractions ORDER BY job_id")
    assert [job_id for job_id, _ in extracted] == [job.id for job in ended], "an extraction a job"
    names = dict(rows(runtime, "SELECT document_id, receiver FROM parcel"))
    assert rows(runtime, "SELECT count(*) FROM parcel") == [(len(done),)]
    assert names == {job.document_id: f"P{_number(job.text)}" for job in done}
    items = Counter(document_id for (document_id,) in rows(runtime, "SELECT document_id FROM parcel_items"))
    assert items == Counter({job.document_id: n for job in done if (n := _number(job.text) % 5)})
    evidence = dict(
        rows(
            runtime,
            "SELECT x.job_id, count(*) FROM evidence e JOIN extractions x ON x.id = e.extraction_id "
            "GROUP BY x.job_id",
        )
    )
    assert evidence == {job.id: _FIELDS + 2 * (_number(job.text) % 5) for job in done}
    effects = rows(runtime, "SELECT count(*), count(DISTINCT job_id) FROM effects")
    assert effects == [(len(ended), len(ended))], "a result was written twice"


def _check_ledger(runtime: Runtime, batch_id: int, num: int, states: Counter[str]) -> None:
    with reading(runtime.store) as conn:
        now = progress(conn, batch_id)
        reasons = failures_by_reason(conn, batch_id)
    assert now.finished and now.total == num
    assert now.done + now.review + now.already_done == states["done"] + states["review"]
    assert now.failed == states["failed"]
    assert sum(reason.count for reason in reasons) == states["review"] + states["failed"]
