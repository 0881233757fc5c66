"""One kind of fault each, small: the accounts are in order afterwards.

`test_everything_at_once.py` mixes them.
"""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cases.worlds import job_rows, make_runtime, rows
from tests.chaos.accounts import check, have_ended
from tests.chaos.conftest import LEASE_S, Place, wait_until
from workers.store import roster
from workers.store.session import reading, transaction
from workers.sweeper import sweep_once

# a machine that is busy with other things takes its time
STILL_S = 120.0


def num_ended(place: Place) -> int:
    query = "SELECT count(*) FROM jobs WHERE finished_at IS NOT NULL"
    return rows(place.runtime, query)[0][0]


def wait_for_end(place: Place) -> None:
    """As long as it takes, while jobs still end."""
    ended, since_s = -1, time.monotonic()
    while not have_ended(place.runtime):
        before, ended = ended, num_ended(place)
        if ended > before:
            since_s = time.monotonic()
        if time.monotonic() - since_s > STILL_S:
            for name in place.processes:
                print(name, place.said(name)[-3000:], sep="\n")  # noqa: T201
            pytest.fail(f"{ended} jobs have ended, and for {STILL_S} s no other did")
        time.sleep(0.2)


def stall(place: Place, **options: Any) -> int:
    """A worker is stopped for longer than its lease while others do its work, then it comes back; the batch."""
    num = 60
    slow = place.start("slow", seconds_per_document=0.05, **options)
    place.wait_until_ready("slow")
    batch_id = place.enqueue(num)
    wait_until(lambda: num_ended(place) > 0, "the first job to end")
    slow.send_signal(signal.SIGSTOP)
    place.start("quick", **options)
    held = "SELECT count(*) FROM jobs WHERE state = 'leased' OR state = 'queued'"
    wait_until(lambda: rows(place.runtime, held) == [(0,)], "the other worker to do it all")
    slow.send_signal(signal.SIGCONT)
    time.sleep(2.0)
    return batch_id


def test_a_slow_worker_whose_lease_ends_while_it_works_writes_nothing_twice(postgres_place: Place) -> None:
    batch_id = stall(postgres_place)
    check(postgres_place.runtime, batch_id, 60)
    # what it brought late was refused, and counted
    postgres_place.processes["slow"].terminate()
    assert postgres_place.processes["slow"].wait(60) == 0
    with reading(postgres_place.runtime.store) as conn:
        fenced = {w.num_fenced for w in roster.list_workers(conn, ended=True)}
    assert max(fenced) > 0


def test_without_fencing_the_same_is_written_twice_and_the_accounts_say_so(postgres_place: Place) -> None:
    """The control: a check that cannot fail proves nothing."""
    with transaction(postgres_place.runtime.store) as conn:
        conn.exec_driver_sql("ALTER TABLE extractions DROP CONSTRAINT uq_extractions_job_id")
    batch_id = stall(postgres_place, fencing=False)
    with pytest.raises(AssertionError):
        check(postgres_place.runtime, batch_id, 60)
    ((count, distinct),) = rows(
        postgres_place.runtime, "SELECT count(*), count(DISTINCT job_id) FROM effects"
    )
    assert count > distinct


def test_the_clock_of_a_worker_does_not_matter(postgres_place: Place) -> None:
    postgres_place.start("early", clock_off_s=-600.0)
    postgres_place.start("late", clock_off_s=900.0)
    postgres_place.start_beat("beat")
    postgres_place.wait_until_ready("early", "late")
    batch_id = postgres_place.enqueue(80)
    wait_for_end(postgres_place)
    check(postgres_place.runtime, batch_id, 80)
    assert {job.losses for job in job_rows(postgres_place.runtime)} == {0}


def test_a_broker_that_is_away_and_comes_back_empty_loses_nothing(postgres_place: Place) -> None:
    postgres_place.start("one")
    postgres_place.wait_until_ready("one")
    batch_id = postgres_place.enqueue(80)
    wait_until(lambda: num_ended(postgres_place) > 0, "the first job to end")
    postgres_place.redis.down()
    # no message is sent, and nobody minds
    second = postgres_place.enqueue(90)
    postgres_place.redis.up()
    wait_for_end(postgres_place)
    check(postgres_place.runtime, second, 90)
    (query,) = rows(postgres_place.runtime, f"SELECT count(*) FROM batch_entries WHERE batch_id = {batch_id}")
    assert query == (80,)


def test_a_database_that_crashes_loses_nothing(postgres_place: Place) -> None:
    assert postgres_place.postgres
    for name in ("one", "two"):
        postgres_place.start(name)
    postgres_place.wait_until_ready("one", "two")
    batch_id = postgres_place.enqueue(120)
    for _ in range(2):
        before = num_ended(postgres_place)
        wait_until(lambda: num_ended(postgres_place) > before, "some more jobs to end")  # noqa: B023
        postgres_place.postgres.restart(after_s=0.5)
    wait_for_end(postgres_place)
    check(postgres_place.runtime, batch_id, 120)
    assert all(process.poll() is None for process in postgres_place.processes.values())


def test_many_sweepers_at_once_send_each_job_once(postgres_place: Place) -> None:
    settings = postgres_place.runtime.settings
    runtimes = [
        make_runtime(
            postgres_place.url,
            settings.data_dir,
            broker_url=settings.broker,
            chunk_size=8,
            max_messages=1000,
            resend_after_s=600.0,
        )
        for _ in range(4)
    ]
    batch_id = postgres_place.enqueue(200)
    with transaction(postgres_place.runtime.store) as conn:
        conn.exec_driver_sql("UPDATE jobs SET enqueued_at = NULL")
    together = threading.Barrier(len(runtimes))

    def sweep(runtime: Any) -> int:
        together.wait()
        return sum(sweep_once(runtime) for _ in range(3))

    with ThreadPoolExecutor(len(runtimes)) as pool:
        sent = list(pool.map(sweep, runtimes))
    assert sum(sent) == 200
    for runtime in runtimes:
        runtime.store.dispose()
    postgres_place.start("one", seconds_per_document=0.0)
    wait_for_end(postgres_place)
    check(postgres_place.runtime, batch_id, 200)


def test_a_disk_that_is_full_for_a_while_loses_nothing(sqlite_place: Place) -> None:
    full = sqlite_place.directory / "full"
    sqlite_place.start("one", full_while=str(full), seconds_per_document=0.03)
    sqlite_place.wait_until_ready("one")
    batch_id = sqlite_place.enqueue(80)
    wait_until(lambda: num_ended(sqlite_place) > 4, "some jobs to end")
    full.touch()
    time.sleep(LEASE_S / 2)
    before = num_ended(sqlite_place)
    time.sleep(LEASE_S)
    # it really stood still, and said why
    assert num_ended(sqlite_place) <= before + 4 < 80
    assert "disk is full" in sqlite_place.said("one")
    full.unlink()
    wait_for_end(sqlite_place)
    check(sqlite_place.runtime, batch_id, 80)
    os.kill(sqlite_place.processes["one"].pid, 0)
