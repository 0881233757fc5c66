import base64
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from schemas.errors import BrokerAwayError
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids, job_rows, make_runtime, rows
from tests.integration.workers.conftest import Site, wait_until
from tests.servers import free_port
from workers import work as work_module
from workers.app import app, configure, extract_queue
from workers.engine.protocol import Request
from workers.messages import send
from workers.runtime import Runtime
from workers.store.session import transaction
from workers.store.sweep import expire
from workers.sweeper import sweep_once
from workers.testing import Answer
from workers.work import work


@contextmanager
def client(site: Site) -> Iterator[Any]:
    assert site.runtime.settings.broker
    with closing(redis.Redis.from_url(site.runtime.settings.broker)) as made:
        yield made


def messages(site: Site) -> list[dict[str, Any]]:
    with client(site) as made:
        return [json.loads(each) for each in made.lrange(extract_queue(site.runtime.checkpoint), 0, -1)]


def everything_once(site: Site, num: int) -> None:
    """Each job was claimed once, and left one extraction and one row."""
    found = job_rows(site.runtime)
    assert [(job.state, job.fence, job.failures) for job in found] == [("done", 1, 0)] * num
    written_once(site, num)


def written_once(site: Site, num: int) -> None:
    assert rows(site.runtime, "SELECT count(*) FROM extractions") == [(num,)]
    assert rows(site.runtime, "SELECT count(*), count(DISTINCT receiver) FROM parcel") == [(num, num)]


def test_jobs_are_worked_off_by_a_worker_process(site: Site) -> None:
    site.start()
    site.enqueue(20)
    site.wait_for_ends()
    everything_once(site, 20)


def test_messages_are_json_and_hold_ids_only(postgres_site: Site) -> None:
    postgres_site.enqueue(20)
    found = messages(postgres_site)
    assert len(found) == 3
    ids = []
    for message in found:
        assert message["content-type"] == "application/json"
        assert message["headers"]["task"] == "gleaner.extract"
        (chunk,), kwargs, options = json.loads(base64.b64decode(message["body"]))
        assert kwargs == {}
        assert not any(options.values())
        ids += chunk
        assert "Parcel" not in json.dumps(message)
    assert sorted(ids) == job_ids(postgres_site.runtime)


def test_a_message_that_is_no_json_is_refused_and_the_worker_goes_on(postgres_site: Site) -> None:
    worker = postgres_site.start().wait_until_ready()
    runtime = postgres_site.runtime
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            [[1]],
            serializer="pickle",
            routing_key=extract_queue(runtime.checkpoint),
            headers={"task": "gleaner.extract", "id": "1", "lang": "py"},
        )
    send(runtime, [123_456])
    postgres_site.enqueue(3)
    postgres_site.wait_for_ends()
    everything_once(postgres_site, 3)
    assert worker.process.poll() is None


def test_a_flushed_broker_loses_nothing(site: Site) -> None:
    site.enqueue(20)
    with client(site) as made:
        assert made.flushdb()
    assert messages(site) == []
    site.start(resend_after_s=0.5)
    site.wait_for_ends()
    written_once(site, 20)


def test_a_broker_flushed_during_the_work_loses_nothing(postgres_site: Site) -> None:
    postgres_site.start(resend_after_s=1.0, seconds_per_document=0.05, batch_size=1)
    postgres_site.enqueue(40)
    wait_until(lambda: "done" in postgres_site.states(), "the first job to be done")
    with client(postgres_site) as made:
        made.flushdb()
    postgres_site.wait_for_ends()
    written_once(postgres_site, 40)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a broker less than the usual seconds to come back."""
    monkeypatch.setitem(app.conf, "broker_connection_timeout", 0.1)


@pytest.fixture
def away(postgres_site: Site, _impatient: None) -> Iterator[Runtime]:
    """The same runtime with a broker at which nobody listens."""
    settings = postgres_site.runtime.settings
    made = make_runtime(
        settings.database, Path(settings.schemas[0]), broker_url=f"redis://:secret@127.0.0.1:{free_port()}/0"
    )
    configure(app, made.settings)
    yield made
    made.store.dispose()


def test_a_broker_that_is_away_is_an_error_and_a_sweep_sends_later(
    postgres_site: Site, away: Runtime
) -> None:
    postgres_site.enqueue(5, is_sent=False)
    ids = job_ids(away)
    with pytest.raises(BrokerAwayError, match="Nothing is lost") as caught:
        send(away, ids)
    assert "secret" not in str(caught.value)
    assert [job.enqueued_at for job in job_rows(away)] == [None] * 5
    # a sweep that cannot send leaves them to the next one too
    with pytest.raises(BrokerAwayError):
        sweep_once(away)
    assert [job.enqueued_at for job in job_rows(away)] == [None] * 5
    postgres_site.start()
    postgres_site.wait_for_ends()
    everything_once(postgres_site, 5)


def test_a_broker_that_refuses_the_login_is_an_error_without_the_password(
    postgres_site: Site, _impatient: None
) -> None:
    settings = postgres_site.runtime.settings
    assert settings.broker
    refused = settings.broker.replace("redis://", "redis://nobody:secret@")
    runtime = make_runtime(settings.database, Path(settings.schemas[0]), broker_url=refused)
    configure(app, runtime.settings)
    postgres_site.enqueue(1, is_sent=False)
    with pytest.raises(BrokerAwayError) as caught:
        send(runtime, [1])
    assert "secret" not in str(caught.value)
    runtime.store.dispose()


def test_a_sweep_sends_what_was_never_sent_and_only_once(postgres_site: Site) -> None:
    postgres_site.enqueue(20, is_sent=False)
    assert sweep_once(postgres_site.runtime) == 20
    assert len(messages(postgres_site)) == 3
    assert sweep_once(postgres_site.runtime) == 0


def test_two_workers_and_doubled_messages_do_every_job_once(site: Site) -> None:
    for _ in range(2):
        site.start(seconds_per_document=0.02, batch_size=2)
    for worker in site.workers:
        worker.wait_until_ready()
    site.enqueue(48)
    send(site.runtime, job_ids(site.runtime))
    site.wait_for_ends()
    everything_once(site, 48)


def test_sigterm_finishes_what_is_in_hand_and_hands_the_rest_back(site: Site) -> None:
    worker = site.start(seconds_per_document=0.3, batch_size=1, lease_s=600.0)
    site.enqueue(40)
    wait_until(lambda: "done" in site.states(), "the first job to be done")
    assert worker.stop(signal.SIGTERM) == 0
    found = job_rows(site.runtime)
    assert {job.state for job in found} == {"done", "queued"}
    assert all(job.failures == 0 and job.lease_owner is None for job in found)
    site.start(resend_after_s=0.5)
    site.wait_for_ends()
    written_once(site, 40)


def test_jobs_of_a_killed_worker_are_finished_by_another_when_its_lease_ends(postgres_site: Site) -> None:
    worker = postgres_site.start(seconds_per_document=0.3, batch_size=2, lease_s=2.0)
    postgres_site.enqueue(8)
    wait_until(lambda: "leased" in postgres_site.states(), "jobs to be claimed")
    worker.stop(signal.SIGKILL)
    assert "leased" in postgres_site.states()
    postgres_site.start(lease_s=2.0)
    postgres_site.wait_for_ends()
    written_once(postgres_site, 8)
    found = job_rows(postgres_site.runtime)
    assert {job.losses for job in found} in ({0, 1}, {1})
    assert {job.failures for job in found} == {0}
    assert all(job.error is None for job in found)


def test_on_sqlite_the_leases_of_a_killed_worker_go_back_at_the_next_start(sqlite_site: Site) -> None:
    worker = sqlite_site.start(seconds_per_document=0.3, batch_size=1, lease_s=600.0)
    sqlite_site.enqueue(8)
    wait_until(lambda: "leased" in sqlite_site.states(), "jobs to be claimed")
    worker.stop(signal.SIGKILL)
    sqlite_site.start(lease_s=600.0)
    sqlite_site.wait_for_ends()
    written_once(sqlite_site, 8)
    found = job_rows(sqlite_site.runtime)
    assert {job.losses for job in found} in ({0, 1}, {1})
    assert {job.failures for job in found} == {0}


def test_a_late_finisher_is_refused(store: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    begun = threading.Event()

    def slowly(request: Request) -> Answer:
        begun.set()
        go_on.wait(30)
        answer = parcels.answer(request)
        assert isinstance(answer, str)
        return answer.replace("Ann", "Parcel")

    schemas = parcels.write_schema(tmp_path / "schemas")
    url = store.url.render_as_string(hide_password=False)
    slow = make_runtime(url, schemas, slowly, lease_s=0.2)
    quick = make_runtime(url, schemas)
    enqueue(slow, [parcels.text("Ann", "1 cup")])
    # as if the process had been stopped
    monkeypatch.setattr(work_module, "heartbeat", lambda *_: nullcontext())
    late = threading.Thread(target=work, args=(slow, job_ids(slow)))
    late.start()
    assert begun.wait(30)

    def expired() -> bool:
        with transaction(quick.store) as conn:
            return expire(conn).num_queued == 1

    wait_until(expired, "the lease to end")
    work(quick, job_ids(quick))
    before = job_rows(quick)
    assert [job.state for job in before] == ["done"]
    go_on.set()
    late.join(30)
    assert job_rows(quick) == before
    assert before[0].fence == 2
    assert rows(quick, "SELECT receiver FROM parcel") == [("Ann",)]
    assert rows(quick, "SELECT count(*) FROM extractions") == [(1,)]
    for runtime in (slow, quick):
        runtime.store.dispose()


def test_workers_of_another_checkpoint_leave_the_jobs_alone(postgres_site: Site) -> None:
    postgres_site.enqueue(3)
    runtime = postgres_site.runtime
    other = make_runtime(runtime.settings.database, Path(runtime.settings.schemas[0]))
    engine: Any = other.engine
    engine.checkpoint = replace(engine.checkpoint, digest="ab" * 32)
    assert extract_queue(other.checkpoint) != extract_queue(runtime.checkpoint)
    work(other, job_ids(other))
    assert postgres_site.states() == ["queued"] * 3
    assert sweep_once(other) == 0
    other.store.dispose()
