"""Pipelines over sources that grow, in this process and in processes that can be killed."""

import imaplib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine, create_engine, text, update

from pipelines.clock import enter, fire_due, work_off_all
from pipelines.etl import Pipelines
from pipelines.runs import take
from tests.cases import parcels
from tests.cases.worlds import make_runtime, rows
from tests.servers import free_port
from workers.runtime import Runtime
from workers.store.models import Pipeline as PipelineRow
from workers.store.session import transaction
from workers.store.types import db_time

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 90
NAME = "parcels_in"
LEASE_S = 2.0


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline, f"waited {TIMEOUT_S} s for: {what}"
        time.sleep(0.05)


class Growing(Protocol):
    """A source that documents are put into; `code` is how a pipeline names it."""

    code: str

    def add(self, *receivers: str) -> None:
        """Put a parcel for each of them into it."""


@dataclass
class Folder:
    directory: Path

    @property
    def code(self) -> str:
        return f"Files({str(self.directory)!r})"

    def add(self, *receivers: str) -> None:
        self.directory.mkdir(exist_ok=True)
        for receiver in receivers:
            # as a careful writer does: there all at once
            draft = self.directory / f".{receiver}"
            draft.write_text(parcels.text(receiver, "1 cup"))
            draft.rename(self.directory / f"{receiver}.txt")


@dataclass
class Table:
    url: str
    number: int = 1000

    def __post_init__(self) -> None:
        self._run("CREATE TABLE letters (id INTEGER PRIMARY KEY, body TEXT, at INTEGER)")

    @property
    def code(self) -> str:
        columns = "key='id', text='body', cursor='at', lag=20"
        return f"Query({self.url!r}, 'SELECT id, body, at FROM letters', {columns})"

    def add(self, *receivers: str) -> None:
        for receiver in receivers:
            self.number += 1
            # every third comes late: it has an earlier cursor than rows that are there
            at = self.number - (15 if self.number % 3 == 0 else 0)
            values = {"id": self.number, "body": parcels.text(receiver, "1 cup"), "at": at}
            self._run("INSERT INTO letters VALUES (:id, :body, :at)", **values)

    def _run(self, sql: str, **values: Any) -> None:
        engine = create_engine(self.url)
        with engine.begin() as conn:
            conn.execute(text(sql), values)
        engine.dispose()


@dataclass
class Mail:
    port: int

    @property
    def code(self) -> str:
        options = f"port={self.port}, tls='never', folders=['Bills & more']"
        return f"Mailbox('127.0.0.1', 'ann', '${{MAIL_SECRET}}', {options})"

    def add(self, *receivers: str) -> None:
        """Messages whose body is a parcel."""
        for receiver in receivers:
            body = parcels.text(receiver, "1 cup")
            self.append(f"Subject: x\r\n\r\n{body}\r\n".encode())

    def append(self, message: bytes) -> None:
        with self.connected() as server:
            status, said = server.append('"Bills &- more"', None, None, message)
            assert status == "OK", said

    @contextmanager
    def connected(self) -> Iterator[imaplib.IMAP4]:
        server = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        server.login("ann", "secret")
        yield server
        server.logout()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "inbox")
    made.add()
    return made


@pytest.fixture
def table(store: Engine, tmp_path: Path) -> Table:
    """In the same PostgreSQL database, or in another SQLite file."""
    is_sqlite = store.dialect.name == "sqlite"
    shop = f"sqlite:///{tmp_path / 'shop.db'}"
    return Table(shop if is_sqlite else store.url.render_as_string(hide_password=False))


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mail]:
    """A local IMAP server with an empty folder."""
    monkeypatch.setenv("MAIL_SECRET", "secret")
    made = Mail(free_port())
    command = [str(Path(sys.executable).with_name("pymap")), "--host", "127.0.0.1", "--port", str(made.port)]
    command += ["--no-tls", "dict", "--demo-user", "ann", "--demo-password", "secret"]
    with (tmp_path / "imap.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: _answers(made), "the IMAP server")
        with made.connected() as server:
            server.create('"Bills &- more"')
        yield made
    finally:
        process.kill()
        process.wait()


def _answers(made: Mail) -> bool:
    try:
        with made.connected():
            return True
    except OSError:
        return False


@dataclass
class Site:
    """A database, a pipeline, and the clocks of a test."""

    runtime: Runtime
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def declare(self, source: str, more: str = "schedule=Every(hours=1)") -> Pipelines:
        (self.directory / "pipelines").mkdir(exist_ok=True)
        (self.directory / "pipelines" / "declared.py").write_text(
            "from pipelines.etl import Pipeline\nfrom pipelines.schedule import Every\n"
            "from pipelines.sources.folder import Files\nfrom pipelines.sources.mailbox import Mailbox\n"
            "from pipelines.sources.query import Query\n\n"
            f"declared = Pipeline({NAME!r}, source={source}, schema='parcel', {more})\n"
        )
        return Pipelines.load([str(self.directory / "pipelines")])

    def make_due(self, seconds_ago: float = 5.0) -> None:
        """Set the clock of the schedule: its slot has come."""
        with transaction(self.runtime.store) as conn:
            conn.execute(update(PipelineRow).values(next_run_at=db_time(-seconds_ago)))

    def run_scheduled(self, declared: Pipelines) -> None:
        """What a clock does when a slot has come."""
        pipeline = declared.get(NAME)
        enter(self.runtime, pipeline)
        self.make_due()
        assert len(fire_due(self.runtime, declared)) == 1
        while take(self.runtime, pipeline) is not None:
            pass
        work_off_all(self.runtime, NAME)

    def start_clock(self, **options: Any) -> subprocess.Popen[bytes]:
        """A clock in a process of its own."""
        settings = self.runtime.settings
        given = {
            "database_url": settings.database,
            "schemas": settings.schemas[0],
            "pipelines": [str(self.directory / "pipelines")],
            "lease_s": LEASE_S,
            "log_level": "info",
        }
        command = [
            sys.executable,
            "-m",
            "tests.integration.pipelines.scripted_clock",
            json.dumps(given | options),
        ]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
        with (self.directory / f"clock{len(self.processes)}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=ROOT, env=clean, stdout=log, stderr=subprocess.STDOUT)
            )
        return self.processes[-1]

    @property
    def said(self) -> str:
        return "\n----\n".join(log.read_text() for log in sorted(self.directory.glob("clock*.log")))

    def receivers(self) -> list[str]:
        """For whom the parcels are that were taken, with the number of times in the ledger."""
        found = rows(
            self.runtime,
            "SELECT d.text FROM batch_entries e JOIN jobs j ON j.id = e.job_id"
            " JOIN documents d ON d.id = j.document_id ORDER BY e.batch_id, e.position",
        )
        return [str(parcels.record(document)["receiver"]) for (document,) in found]

    def runs(self, columns: str = "state, new") -> list[tuple[Any, ...]]:
        return rows(self.runtime, f"SELECT {columns} FROM pipeline_runs ORDER BY run_id")


@pytest.fixture
def site(store: Engine, tmp_path: Path) -> Iterator[Site]:
    """On SQLite and on PostgreSQL."""
    url = store.url.render_as_string(hide_password=False)
    schemas = parcels.write_schema(tmp_path / "schemas")
    made = Site(make_runtime(url, schemas, lease_s=LEASE_S), tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
    made.runtime.store.dispose()
