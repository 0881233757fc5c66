"""Over sources that grow, each run takes exactly what is new, also after a kill -9 in the middle."""

import signal
import time

import pytest

from pipelines.clock import enter, fire_due, work_off_all
from pipelines.runs import take
from tests.cases.worlds import rows, states
from tests.integration.pipelines.conftest import LEASE_S, NAME, Growing, Site, wait_until


def names(prefix: str, num: int) -> list[str]:
    return [f"{prefix}{number:02}" for number in range(num)]


@pytest.mark.parametrize("kind", ["folder", "table", "mail"])
def test_each_run_takes_exactly_what_is_new(site: Site, kind: str, request: pytest.FixtureRequest) -> None:
    source: Growing = request.getfixturevalue(kind)
    declared = site.declare(source.code)
    source.add(*names("first", 3))
    site.run_scheduled(declared)
    assert sorted(site.receivers()) == names("first", 3)
    site.run_scheduled(declared)
    assert site.runs() == [("done", 3), ("done", 0)]

    # the third run is killed in the middle
    source.add(*names("second", 12))
    site.make_due()
    clock = site.start_clock(seconds_per_commit=0.3)
    wait_until(lambda: len(site.receivers()) > 5 or clock.poll() is not None, "some to be taken")
    clock.send_signal(signal.SIGKILL)
    assert clock.wait() == -signal.SIGKILL, site.said
    num_taken = len(site.receivers())
    assert 5 < num_taken < 15

    # whoever comes next goes on from there, at once
    source.add(*names("third", 2))
    time.sleep(LEASE_S)
    assert fire_due(site.runtime, declared) == []
    assert take(site.runtime, declared.get(NAME)) is not None
    work_off_all(site.runtime, NAME)
    everything = [*names("first", 3), *names("second", 12), *names("third", 2)]
    assert sorted(site.receivers()) == sorted(everything)
    assert site.runs() == [("done", 3), ("done", 0), ("interrupted", num_taken - 3), ("done", 17 - num_taken)]

    site.run_scheduled(declared)
    assert site.runs()[-1] == ("done", 0)
    assert states(site.runtime) == ["done"] * 17
    assert rows(site.runtime, "SELECT count(*), count(DISTINCT receiver) FROM parcel") == [(17, 17)]


def test_two_clocks_side_by_side_do_the_work_once(site: Site, folder: Growing) -> None:
    """Each slot has one run, and each document one entry, also if one of them is killed."""
    declared = site.declare(folder.code, "schedule=Every(seconds=1)")
    clocks = [site.start_clock() for _ in range(2)]
    for number in range(4):
        folder.add(*names(f"wave{number}", 4))
        wait_until(lambda: len(site.receivers()) >= 4 * (number + 1), "a wave to be taken")  # noqa: B023
        if number == 1:
            clocks[0].kill()
            clocks.append(site.start_clock())
    for clock in clocks[1:]:
        clock.send_signal(signal.SIGTERM)
        clock.wait()
    unread = "SELECT id FROM runs WHERE state IN ('waiting', 'reading')"
    wait_until(
        lambda: not take(site.runtime, declared.get(NAME)) and not rows(site.runtime, unread), "the last run"
    )
    work_off_all(site.runtime, NAME)
    assert len(site.receivers()) == len(set(site.receivers())) == 16
    slots = rows(site.runtime, "SELECT count(scheduled_for), count(DISTINCT scheduled_for) FROM runs")
    assert slots[0][0] == slots[0][1] >= 3
    assert sum(new for _, new in site.runs()) == 16
    assert rows(site.runtime, "SELECT count(*), count(DISTINCT receiver) FROM parcel") == [(16, 16)]


def test_missed_runs_are_made_up_for_once(site: Site, folder: Growing) -> None:
    declared = site.declare(folder.code, "schedule=Every(minutes=10)")
    enter(site.runtime, declared.get(NAME))
    site.make_due(seconds_ago=7200)
    assert len(fire_due(site.runtime, declared)) == 1
    assert fire_due(site.runtime, declared) == []
    assert take(site.runtime, declared.get(NAME)) is not None
    assert fire_due(site.runtime, declared) == []
    assert take(site.runtime, declared.get(NAME)) is None
