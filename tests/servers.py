"""Private servers for tests: started from installed binaries on free loopback ports, and gone with the test process."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20

_PR_SET_PDEATHSIG = 1
_USER = "gleaner"


class ServerUnavailableError(Exception):
    """A server cannot be had here; the message is the reason."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a new PostgreSQL server's first database, whose user may make others."""
    # a crash of this one may lose its last commits
    with postgres_files() as files, files.running(synchronous_commit="off"):
        yield files.url


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a new Redis server, which keeps nothing on disk."""
    with directory_for(None) as directory:
        port = free_port()
        with redis_running(directory, port):
            yield f"redis://127.0.0.1:{port}"


@dataclass(frozen=True)
class PostgresFiles:
    """The data of a PostgreSQL server, which can be started and stopped."""

    directory: Path
    user: str | None
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{self._dsn}"

    @property
    def _dsn(self) -> str:
        return f"{_USER}@127.0.0.1:{self.port}/postgres"

    # SIGINT: a fast stop, which does not wait for clients
    @contextmanager
    def running(self, stop: signal.Signals = signal.SIGINT, **more: str) -> Iterator[None]:
        """The server, from its first answer on; stopped by a signal at the end."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        }
        options = [
            option for name, value in (settings | more).items() for option in ("-c", f"{name}={value}")
        ]
        data, log = self.directory / "data", self.directory / "log"
        command = [find_binary("postgres"), "-D", str(data), "-p", str(self.port), *options]

        def answers() -> None:
            psycopg.connect(f"postgresql://{self._dsn}", connect_timeout=5).close()

        with running(command, log, answers, user=self.user, stop=stop):
            yield


@contextmanager
def postgres_files() -> Iterator[PostgresFiles]:
    """The data of a new PostgreSQL server, removed at the end."""
    initdb, user = find_binary("initdb"), unprivileged_user()
    with directory_for(user) as directory:
        files = PostgresFiles(directory, user, free_port())
        made = subprocess.run(
            [
                initdb,
                "-D",
                directory / "data",
                "-U",
                _USER,
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ],
            user=user,
            group=user and pwd.getpwnam(user).pw_gid,
            extra_groups=[] if user else None,
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServerUnavailableError(f"initdb failed: {made.stderr.strip()}")
        yield files


@contextmanager
def redis_running(directory: Path, port: int, stop: signal.Signals = signal.SIGTERM) -> Iterator[None]:
    """A Redis server on a port, empty and keeping nothing on disk; stopped by a signal at the end."""
    keep_nothing = ["--save", "", "--appendonly", "no"]
    binary = find_binary("redis-server")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), *keep_nothing]

    def answers() -> None:
        with closing(redis.Redis(port=port)) as client:
            client.ping()

    with running(command, directory / "log", answers, user=None, stop=stop):
        yield


@contextmanager
def running(
    command: Sequence[str], log: Path, answers: Callable[[], None], *, user: str | None, stop: signal.Signals
) -> Iterator[None]:
    """A server process, from its first answer on; it gets `stop` at the end, or when this process dies."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            user=user,
            group=user and pwd.getpwnam(user).pw_gid,
            extra_groups=[] if user else None,
            # after the change of user, which would clear it
            preexec_fn=lambda: ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, stop),
        )
    try:
        _wait(process, answers, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], answers: Callable[[], None], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return answers()
        except (psycopg.OperationalError, redis.ConnectionError) as exc:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                raise ServerUnavailableError(f"{process.args[0]} did not start: {said}") from exc
            time.sleep(0.05)


def find_binary(name: str) -> str:
    """The path of a program, on PATH or of the newest PostgreSQL that Debian installed."""
    found = shutil.which(name)
    if found:
        return found
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    if not debian:
        raise ServerUnavailableError(f"{name} is not installed")
    return str(debian[-1])


def unprivileged_user() -> str | None:
    """Whom to run PostgreSQL as, which refuses root; None for ourselves."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in users:
            return name
    raise ServerUnavailableError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


@contextmanager
def directory_for(user: str | None) -> Iterator[Path]:
    """A temporary directory that `user` owns; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="gleaner-test-") as name:
        if user:
            shutil.chown(name, user)
        yield Path(name)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
