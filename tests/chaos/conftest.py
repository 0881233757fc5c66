"""Servers that break, worker processes that die, and the accounts that must be in order after all of it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kombu import pools

from schemas.errors import BrokerAwayError
from tests import servers
from tests.cases import parcels
from tests.cases.worlds import enqueue, make_runtime
from workers.app import app, configure
from workers.messages import send
from workers.runtime import Runtime
from workers.store import migrate
from workers.store.session import open_store, transaction

ROOT = Path(__file__).resolve().parents[2]
ENDS = {"done", "review", "failed"}
LEASE_S = 3.0

# every extraction that was ever written leaves a line in a table that nothing keeps from holding two
EFFECTS = {
    "sqlite": (
        "CREATE TABLE effects (job_id INTEGER)",
        "CREATE TRIGGER note AFTER INSERT ON extractions BEGIN INSERT INTO effects VALUES (NEW.job_id); END",
    ),
    "postgresql": (
        "CREATE TABLE effects (job_id BIGINT)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO effects VALUES (NEW.job_id); RETURN NULL; END $$",
        "CREATE TRIGGER note AFTER INSERT ON extractions FOR EACH ROW EXECUTE FUNCTION note()",
    ),
}


def make_text(number: int) -> str:
    """A document with 0 to 4 items; some go to review, some fail."""
    name = {17: "GARBLED", 31: "GRAMMAR"}.get(number % 40, "P") + str(number)
    items = [f"{count + 1} thing{count}" for count in range(number % 5)]
    return parcels.text(name, *items)


def expected_state(number: int) -> str:
    return {17: "review", 31: "failed"}.get(number % 40, "done")


@dataclass
class Breakable:
    """A server that can be crashed and started again at the same port."""

    start: Callable[[], Any]
    _running: ExitStack = field(default_factory=ExitStack)

    def up(self) -> None:
        self._running.enter_context(self.start())

    def down(self) -> None:
        self._running.close()

    def restart(self, after_s: float = 0.0) -> None:
        self.down()
        time.sleep(after_s)
        self.up()


@dataclass
class Place:
    """A database, a broker, and what works on them."""

    url: str
    redis_port: int
    directory: Path
    redis: Breakable
    postgres: Breakable | None
    runtime: Runtime
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    # where the log of each begins
    _begins: dict[str, int] = field(default_factory=dict)

    def start(self, name: str, **options: Any) -> subprocess.Popen[bytes]:
        """A worker process with a scripted engine."""
        settings = self.runtime.settings
        given = {
            "database_url": self.url,
            "broker_url": settings.broker,
            "schemas": settings.schemas[0],
            "chunk_size": settings.chunk_size,
            "batch_size": 4,
            "lease_s": LEASE_S,
            "sweep_s": 0.5,
            "resend_after_s": 3.0,
            "retry_s": 0.1,
            # a stop may find a process within a transaction
            "idle_s": 2,
            "seconds_per_document": 0.01,
            "log_level": "info",
        }
        return self._spawn(name, ["tests.integration.workers.scripted_worker", json.dumps(given | options)])

    def start_beat(self, name: str) -> subprocess.Popen[bytes]:
        return self._spawn(name, ["pipelines.cli", "beat"])

    def _spawn(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GLEANER_")}
        assert self.runtime.settings.broker
        given = {
            "GLEANER_DATABASE_URL": self.url,
            "GLEANER_BROKER_URL": self.runtime.settings.broker,
            "GLEANER_SWEEP_S": "0.5",
        }
        with (self.directory / f"{name}.log").open("ab") as log:
            self._begins[name] = log.tell()
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=ROOT, env=clean | given, stdout=log, stderr=log
            )
        return self.processes[name]

    def said(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def is_ready(self, name: str) -> bool:
        """Whether a worker takes messages; one that is only starting has nothing to lose."""
        log = (self.directory / f"{name}.log").read_bytes()
        return b" ready." in log[self._begins[name] :]

    def wait_until_ready(self, *names: str) -> None:
        wait_until(lambda: all(map(self.is_ready, names)), "the workers to be ready")

    def enqueue(self, num: int, **options: Any) -> int:
        """A batch of `num` documents, sent if the broker is there; its id."""

        def wake(ids: Any) -> None:
            try:
                send(self.runtime, ids)
            except BrokerAwayError:
                return

        return enqueue(self.runtime, map(make_text, range(num)), on_commit=wake, **options)

    def stop_all(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def wait_until(true: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for: {what}"
        time.sleep(0.1)


def _place(url: str, tmp_path: Path, redis: Breakable, redis_port: int, **more: Any) -> Iterator[Place]:
    schemas = parcels.write_schema(tmp_path / "schemas")
    runtime = make_runtime(
        url,
        schemas,
        broker_url=f"redis://127.0.0.1:{redis_port}/0",
        chunk_size=8,
        max_messages=200,
    )
    configure(app, runtime.settings)
    place = Place(url=url, redis_port=redis_port, directory=tmp_path, redis=redis, runtime=runtime, **more)
    try:
        yield place
    finally:
        place.stop_all()
        runtime.store.dispose()
        pools.reset()
        app.close()
        app.amqp._producer_pool = None


@pytest.fixture
def redis_port() -> int:
    return servers.free_port()


@pytest.fixture
def breakable_redis(redis_port: int) -> Iterator[Breakable]:
    with servers.directory_for(None) as directory:
        made = Breakable(partial(servers.redis_running, directory, redis_port, signal.SIGKILL))
        yield _started(made)
        made.down()


def _started(made: Breakable) -> Breakable:
    try:
        made.up()
    except servers.ServerUnavailableError as exc:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(str(exc))
    return made


@pytest.fixture
def postgres_place(tmp_path: Path, breakable_redis: Breakable, redis_port: int) -> Iterator[Place]:
    """On a PostgreSQL server of its own, which loses no commit when it crashes."""
    with ExitStack() as stack:
        try:
            files = stack.enter_context(servers.postgres_files())
        except servers.ServerUnavailableError as exc:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(str(exc))
        # an immediate stop: no checkpoint, no goodbye, recovery at the next start
        postgres = _started(Breakable(partial(files.running, signal.SIGQUIT)))
        stack.callback(postgres.down)
        _migrate(files.url)
        yield from _place(files.url, tmp_path, breakable_redis, redis_port, postgres=postgres)


@pytest.fixture
def sqlite_place(tmp_path: Path, breakable_redis: Breakable, redis_port: int) -> Iterator[Place]:
    url = f"sqlite:///{tmp_path / 'gleaner.db'}"
    _migrate(url)
    yield from _place(url, tmp_path, breakable_redis, redis_port, postgres=None)


def _migrate(url: str) -> None:
    store = open_store(url)
    migrate.upgrade(store)
    with transaction(store) as conn:
        for statement in EFFECTS[store.dialect.name]:
            conn.exec_driver_sql(statement)
    store.dispose()


@pytest.fixture
def dice() -> random.Random:
    """Seeded: the order of faults is the same each time, their moments are not."""
    return random.Random(20)
