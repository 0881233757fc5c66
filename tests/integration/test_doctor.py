"""`gleaner doctor` against real servers and workers that are set up wrongly."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
import time_machine
from sqlalchemy import Engine, text

from pipelines.checkup import broker, database
from pipelines.checkup.finding import Check, Finding, Mark, examine
from tests import servers
from tests.cases import parcels
from tests.cases.connections import hang_up
from tests.cases.worlds import make_runtime
from workers.app import app, configure
from workers.runtime import Runtime

ROOT = Path(__file__).resolve().parents[2]
Client = redis.Redis


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Client]:
    """A Redis server whose settings are this module's to change."""
    try:
        with servers.redis_server() as url, closing(redis.Redis.from_url(url)) as client:
            yield client
    except servers.ServerUnavailableError as exc:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(str(exc))


@pytest.fixture
def runtime(own_redis: Client, sqlite_url: str, tmp_path: Path) -> Iterator[Runtime]:
    port = own_redis.connection_pool.connection_kwargs["port"]
    schemas = parcels.write_schema(tmp_path / "schemas")
    made = make_runtime(sqlite_url, schemas, broker_url=f"redis://127.0.0.1:{port}/0")
    configure(app, made.settings)
    before = own_redis.config_get("maxmemory*")
    yield made
    own_redis.replicaof("no", "one")
    for name, value in before.items():
        own_redis.config_set(name, value)
    own_redis.flushall()
    hang_up()


def look(runtime: Runtime, check: Check) -> list[Finding]:
    return list(examine(runtime, [("it", check)]))


def marks(runtime: Runtime, check: Check) -> list[Mark]:
    return [finding.said.mark for finding in look(runtime, check)]


def test_a_good_redis_is_ok(runtime: Runtime) -> None:
    (finding,) = look(runtime, broker.broker)
    assert finding.said.mark is Mark.OK
    assert "Redis " in finding.said.found


@pytest.mark.parametrize(
    ("change", "mark", "says"),
    [
        (lambda r: r.config_set("maxmemory-policy", "allkeys-lru"), Mark.ERROR, "allkeys-lru"),
        (lambda r: r.config_set("maxmemory-policy", "volatile-ttl"), Mark.ERROR, "volatile-ttl"),
        (lambda r: r.replicaof("127.0.0.1", 1), Mark.ERROR, "replica"),
        (lambda r: r.config_set("maxmemory", r.info()["used_memory"]), Mark.WARNING, "bytes of memory"),
    ],
)
def test_a_redis_that_would_lose_messages_is_refused(
    runtime: Runtime, own_redis: Client, change: Callable[[Client], object], mark: Mark, says: str
) -> None:
    change(own_redis)
    first, last = look(runtime, broker.broker)
    assert first.said.mark is mark
    assert says in first.said.found
    assert first.said.step
    assert last.said.mark is Mark.OK


def test_a_redis_that_evicted_says_so(runtime: Runtime, own_redis: Client) -> None:
    own_redis.mset({f"key{number}": "x" * 1000 for number in range(2000)})
    own_redis.config_set("maxmemory-policy", "allkeys-random")
    own_redis.config_set("maxmemory", own_redis.info()["used_memory"] - 500_000)
    own_redis.set("one more", "x")
    own_redis.config_set("maxmemory", 0)
    own_redis.config_set("maxmemory-policy", "noeviction")
    found = [finding.said for finding in look(runtime, broker.broker)]
    assert [said.mark for said in found] == [Mark.WARNING, Mark.OK]
    assert "keys were evicted" in found[0].found
    own_redis.config_resetstat()


def test_a_redis_that_refuses_us_is_an_error(runtime: Runtime, own_redis: Client) -> None:
    own_redis.config_set("requirepass", "secret")
    try:
        (finding,) = look(runtime, broker.broker)
    finally:
        own_redis.execute_command("AUTH", "secret")
        own_redis.config_set("requirepass", "")
    assert finding.said.mark is Mark.ERROR
    assert "GLEANER_BROKER_URL" in finding.said.step


def test_a_worker_of_another_application_that_forks_and_takes_ahead_is_refused(runtime: Runtime) -> None:
    assert marks(runtime, broker.workers) == [Mark.WARNING]
    broker_url = runtime.settings.broker or ""
    command = [sys.executable, "-m", "celery", "--broker", broker_url, "worker", "--without-mingle"]
    command += ["--pool", "prefork", "--concurrency", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    worker = subprocess.Popen(command, cwd=ROOT, **quiet)
    try:
        for _ in range(30):
            found = [finding.said for finding in look(runtime, broker.workers)]
            if found[-1].mark is Mark.OK:
                break
    finally:
        worker.terminate()
        worker.wait(60)
    assert [said.mark for said in found] == [Mark.ERROR, Mark.ERROR, Mark.OK]
    assert "prefork" in found[0].found and "CUDA" in found[0].found
    assert "takes 4 messages" in found[1].found
    assert "gleaner worker" in found[0].step


def test_a_clock_that_is_off_is_noticed(store: Engine, tmp_path: Path) -> None:
    url = store.url.render_as_string(hide_password=False)
    runtime = make_runtime(url, parcels.write_schema(tmp_path / "schemas"))
    (finding,) = look(runtime, database.clock)
    assert finding.said.mark is Mark.OK

    for off_s, mark, word in (
        (300, Mark.ERROR, "ahead"),
        (-300, Mark.ERROR, "behind"),
        (8, Mark.WARNING, "ahead"),
    ):
        with time_machine.travel(time.time() + off_s, tick=True):
            (finding,) = look(runtime, database.clock)
        assert finding.said.mark is mark
        assert word in finding.said.found


def test_a_server_that_forgets_is_warned_of(postgres_store: Engine, tmp_path: Path) -> None:
    url = postgres_store.url.render_as_string(hide_password=False)
    runtime = make_runtime(url, parcels.write_schema(tmp_path / "schemas"))
    found = " ".join(finding.said.found for finding in look(runtime, database.database))
    with postgres_store.begin() as conn:
        settings = {
            name: conn.execute(text(f"SHOW {name}")).scalar_one() for name in ("fsync", "synchronous_commit")
        }
    # the private test server has both off, one that was given perhaps neither
    for name, value in settings.items():
        assert (f"{name} is off" in found) == (value == "off")
    assert "at revision" in found


def test_tables_that_are_missing_are_an_error(postgres_url: str, tmp_path: Path) -> None:
    runtime = make_runtime(postgres_url, parcels.write_schema(tmp_path / "schemas"))
    last = look(runtime, database.database)[-1]
    assert last.said.mark is Mark.ERROR
    assert "gleaner db upgrade" in last.said.step
    assert look(runtime, database.clock) == []
