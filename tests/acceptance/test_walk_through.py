"""The walk-through of the README works as it is written, with fewer documents and on free ports."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import redis

from tests import servers
from tests.acceptance.conftest import GLEANER
from tests.acceptance.test_readme import section

ENDS = {"done", "review", "failed"}
# twenty commands, each of which starts Python; a minute on an idle machine
TIMEOUT_S = 600
UNTIL_AT_WORK = """
until gleaner query "SELECT 'at work' AS is FROM jobs WHERE state = 'leased'" | grep -q 'at work'; do sleep 1; done
"""
NUM, NUM_MORE = 20, 4


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory, in which PostgreSQL may make its own."""
    with servers.directory_for(servers.unprivileged_user()) as directory:
        yield directory


def stop(walk: subprocess.Popen[bytes], text: str, place: Path) -> None:
    """End what a walk that came to no end left running: its children, and the servers, which are daemons."""
    with suppress(ProcessLookupError):
        os.killpg(walk.pid, signal.SIGKILL)
    walk.wait()
    (port,) = re.findall(r"^redis-cli -p (\d+) shutdown", text, re.MULTILINE)
    with closing(redis.Redis(port=int(port))) as client, suppress(redis.ConnectionError):
        client.shutdown(nosave=True)
    with suppress(FileNotFoundError):
        os.kill(int((place / "pg" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """PostgreSQL's programs on the path, as somebody whom it does not refuse."""
    user = servers.unprivileged_user()
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    for name in ("initdb", "pg_ctl", "createdb", "pg_dump"):
        try:
            command = shlex.join([*as_user, servers.find_binary(name)])
        except servers.ServerUnavailableError as exc:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(str(exc))
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


def script() -> str:
    """All blocks in one, with the numbers of a test."""
    texts = [block.text for block in section("a walk-through")]
    # people take their time
    (breaking,) = (number for number, text in enumerate(texts) if "kill -9" in text)
    texts.insert(breaking, UNTIL_AT_WORK)
    text = "\n".join(texts)
    ports = {
        written: servers.free_port() for written in sorted(set(re.findall(r"\b(?:64|54|94)\d\d\b", text)))
    }
    numbers = {"5000": NUM, "5001": NUM + 1, "5500": NUM + NUM_MORE} | ports
    assert len(ports) == 5
    for written, number in numbers.items():
        assert re.search(rf"\b{written}\b", text), f"{written} is not in the walk-through"
        text = re.sub(rf"\b{written}\b", f"<{number}>", text)
    return re.sub(r"<(\d+)>", r"\1", text)


@pytest.mark.timeout(TIMEOUT_S + 60)
def test_an_operator_may_walk_through_all_of_it(place: Path, programs: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
    path = f"{programs}:{GLEANER.parent}:{os.environ['PATH']}"
    text = script()
    with (place / "said").open("w+") as said:
        walk = subprocess.Popen(
            ["bash", "-euxo", "pipefail", "-c", text],
            cwd=place,
            env=clean | {"PATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = walk.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop(walk, text, place)
        said.seek(0)
        output = said.read()
    logs = [f"{log.name}: {log.read_text()[-3000:]}" for log in place.glob("*.log")]
    assert code == 0, "\n".join([output[-6000:], *logs])
    for total in (NUM, NUM_MORE):
        (counts,) = re.findall(rf"^{total} documents: (.*)$", output, re.MULTILINE)
        ended = {word: int(num) for num, word in re.findall(r"(\d+) (\w+)", counts)}
        assert ended.keys() <= ENDS, counts
        assert sum(ended.values()) == total
    assert "gleaner_documents_total{" in output
    assert re.search(r"cancelled: \d+ job", output) and re.search(r"queued again: \d+ job", output)
    states = re.findall(r"^│ (\w+) +│ +(\d+) │$", output, re.MULTILINE)
    assert {state for state, _ in states} <= ENDS
    assert sum(int(num) for _, num in states) == NUM + NUM_MORE
    assert (place / "before.dump").stat().st_size > 10_000
    assert not (place / "pg" / "postmaster.pid").exists()
