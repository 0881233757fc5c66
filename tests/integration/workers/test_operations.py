"""Stopping, steering and bounding worker processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial

import redis

from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, job_rows, rows
from tests.integration.workers.conftest import ROOT, Site, wait_until
from workers.app import extract_queue
from workers.messages import depth, send
from workers.serve import EXIT_UNFINISHED
from workers.store import roster, steer
from workers.store.session import reading, transaction
from workers.sweeper import sweep_once

SLOW = {"seconds_per_document": 5.0, "batch_size": 4, "lease_s": 600.0}


def begin(site: Site, **more: object) -> object:
    """A worker with documents in an engine that takes long."""
    worker = site.start(**(SLOW | more))
    site.enqueue(8)
    wait_until(lambda: "leased" in site.states(), "jobs to be claimed")
    return worker


def nothing_is_held(site: Site) -> None:
    found = job_rows(site.runtime)
    assert {job.state for job in found} == {"queued"}
    assert all(job.lease_owner is None and job.losses == job.failures == 0 for job in found)


def test_a_second_sigterm_ends_at_once_and_leaves_no_lease(site: Site) -> None:
    worker = begin(site)
    worker.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.process.poll() is None
    begun = time.monotonic()
    assert worker.stop(signal.SIGTERM) == EXIT_UNFINISHED
    assert time.monotonic() - begun < 6
    nothing_is_held(site)


def test_what_is_not_finished_within_the_grace_is_handed_back(postgres_site: Site) -> None:
    worker = begin(postgres_site, grace_s=1.0)
    begun = time.monotonic()
    assert worker.stop(signal.SIGTERM) == EXIT_UNFINISHED
    assert 0.9 < time.monotonic() - begun < 8
    nothing_is_held(postgres_site)


def test_a_lost_device_ends_the_process_with_a_code_of_its_own(postgres_site: Site) -> None:
    worker = postgres_site.start(lose_device=True).wait_until_ready()
    postgres_site.enqueue(3)
    assert worker.process.wait(60) == EXIT_UNFINISHED
    assert {(job.state, job.losses) for job in job_rows(postgres_site.runtime)} == {("queued", 1)}
    postgres_site.start()
    postgres_site.wait_for_ends()
    assert rows(postgres_site.runtime, "SELECT count(*) FROM parcel") == [(3,)]


def test_a_cancelled_batch_leaves_the_engine_to_the_next(postgres_site: Site) -> None:
    postgres_site.start(seconds_per_document=0.5, batch_size=1)
    first = postgres_site.enqueue(100)
    wait_until(lambda: "done" in postgres_site.states(), "the first job to be done")
    with transaction(postgres_site.runtime.store) as conn:
        assert steer.stop_batch(conn, first, "It was cancelled.") > 80
    texts = [parcels.text(f"Q{number}", "1 cup") for number in range(3)]
    second = enqueue(postgres_site.runtime, texts, on_commit=partial(send, postgres_site.runtime))
    begun = time.monotonic()
    query = (
        "SELECT count(*) FROM jobs JOIN batch_entries ON job_id = jobs.id "
        f"WHERE batch_id = {second} AND state = 'done'"
    )
    wait_until(lambda: rows(postgres_site.runtime, query) == [(3,)], "the second batch to be done")
    # the first one alone would have taken fifty
    assert time.monotonic() - begun < 20


def test_the_queue_never_holds_more_messages_than_it_is_to(postgres_site: Site) -> None:
    runtime = postgres_site.runtime
    assert (runtime.settings.max_messages, runtime.settings.chunk_size) == (5, 8)
    queue = extract_queue(runtime.checkpoint)
    assert depth(queue) == 0
    postgres_site.enqueue(100)
    assert depth(queue) == 5
    assert sum(job.enqueued_at is not None for job in job_rows(runtime)) == 40
    assert sweep_once(runtime) == 0
    assert send(runtime, job_ids(runtime)[60:]) == 0
    assert depth(queue) == 5
    # what waits in the database follows as the queue empties
    postgres_site.start()
    postgres_site.wait_for_ends()
    assert rows(runtime, "SELECT count(*), count(DISTINCT document_id) FROM parcel") == [(100, 100)]


def test_two_beats_have_every_checkpoint_swept(postgres_site: Site) -> None:
    settings = postgres_site.runtime.settings
    assert settings.broker
    given = {
        "GLEANER_DATABASE_URL": settings.database,
        "GLEANER_BROKER_URL": settings.broker,
        "GLEANER_SWEEP_S": "0.5",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
    command = [sys.executable, "-m", "pipelines.cli", "beat"]
    beats = [
        subprocess.Popen(command, env=clean | given, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(2)
    ]
    try:
        # its own sweep never comes
        postgres_site.start(sweep_s=600.0)
        postgres_site.enqueue(30, is_sent=False)
        postgres_site.wait_for_ends()
        assert {job.fence for job in job_rows(postgres_site.runtime)} == {1}
    finally:
        for beat in beats:
            beat.terminate()
    assert [beat.wait(60) for beat in beats] == [0, 0]
    # without a taker, the ticks of the sweep do not pile up as files or for long
    with closing(redis.Redis.from_url(settings.broker)) as client:
        assert client.llen("control") < 20


def test_a_worker_is_on_the_roster_until_it_ends(postgres_site: Site) -> None:
    worker = postgres_site.start().wait_until_ready()
    with reading(postgres_site.runtime.store) as conn:
        (row,) = roster.list_workers(conn)
    assert (roster.state(row), row.checkpoint, row.concurrency) == ("alive", "scripted", 2)
    postgres_site.enqueue(5)
    postgres_site.wait_for_ends()
    assert worker.stop() == 0
    with reading(postgres_site.runtime.store) as conn:
        assert roster.list_workers(conn) == []
        (row,) = roster.list_workers(conn, ended=True)
    assert (row.num_documents, row.in_hand) == (5, 0)
