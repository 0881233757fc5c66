"""Worker processes with a scripted engine, and a runtime that enqueues for them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kombu import pools
from sqlalchemy import Engine

from tests.cases import parcels
from tests.cases.worlds import enqueue, make_runtime, states
from workers.app import app, configure
from workers.messages import send
from workers.runtime import Runtime

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 60
ENDS = {"done", "review", "failed"}


def wait_until(true: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for: {what}"
        time.sleep(0.05)


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_ready(self) -> "Worker":
        wait_until(lambda: " ready." in self.said or self.process.poll() is not None, "a worker to be ready")
        assert self.process.poll() is None, self.said
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)


@dataclass
class Site:
    """A database, a broker, and the workers of a test."""

    runtime: Runtime
    directory: Path
    workers: list[Worker]

    def start(self, **options: Any) -> Worker:
        settings = self.runtime.settings
        given = {
            "database_url": settings.database,
            "broker_url": settings.broker,
            "schemas": settings.schemas[0],
            "sweep_s": 0.3,
            "chunk_size": settings.chunk_size,
            "max_messages": settings.max_messages,
            "log_level": "info",
        }
        log = self.directory / f"worker{len(self.workers)}.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.integration.workers.scripted_worker",
                    json.dumps(given | options),
                ],
                cwd=ROOT,
                env=clean,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def enqueue(self, num: int, *, is_sent: bool = True) -> int:
        """A batch of `num` parcels, sent; its id."""
        texts = [parcels.text(f"P{number}", "1 cup") for number in range(num)]
        on_commit = partial(send, self.runtime) if is_sent else lambda ids: None
        return enqueue(self.runtime, texts, on_commit=on_commit)

    def states(self) -> list[str]:
        return states(self.runtime)

    def wait_for_ends(self) -> None:
        try:
            wait_until(lambda: set(self.states()) <= ENDS, "every job to end")
        except AssertionError:
            print(*(worker.said for worker in self.workers), sep="\n----\n")  # noqa: T201
            raise


def _site(store: Engine, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    url = store.url.render_as_string(hide_password=False)
    schemas = parcels.write_schema(tmp_path / "schemas")
    runtime = make_runtime(
        url, schemas, broker_url=redis_url, chunk_size=8, max_messages=5, resend_after_s=600.0
    )
    configure(app, runtime.settings)
    site = Site(runtime, tmp_path, [])
    yield site
    for worker in site.workers:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
    runtime.store.dispose()
    # the next test has another broker
    pools.reset()
    app.close()
    app.amqp._producer_pool = None


@pytest.fixture
def site(store: Engine, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    """On SQLite and on PostgreSQL."""
    yield from _site(store, redis_url, tmp_path)


@pytest.fixture
def sqlite_site(sqlite_store: Engine, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    yield from _site(sqlite_store, redis_url, tmp_path)


@pytest.fixture
def postgres_site(postgres_store: Engine, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    yield from _site(postgres_store, redis_url, tmp_path)
