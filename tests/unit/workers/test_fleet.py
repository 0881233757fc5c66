import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from workers import fleet

ROOT = Path(__file__).resolve().parents[3]
# notes its pid below its device's name, and ends at once where there is a file `die`
MEMBER = """
import os, signal, sys, time
from pathlib import Path
directory, device = Path(sys.argv[1]), sys.argv[3]
with (directory / device).open("a") as file:
    file.write(f"{os.getpid()}\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if (directory / "die").exists():
    sys.exit(3)
time.sleep(60)
"""
FLEET = """
import sys
from workers import fleet
fleet.FIRST_WAIT_S = 0.1
command = [sys.executable, "-c", {member!r}, {directory!r}]
sys.exit(fleet.Fleet(["cpu:0", "cpu:1"], command).run())
"""


def pids(directory: Path, device: str) -> list[int]:
    file = directory / device
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def wait_for(directory: Path, device: str, num: int) -> list[int]:
    deadline = time.monotonic() + 60
    while len(found := pids(directory, device)) < num:
        assert time.monotonic() < deadline, f"{device} was started {len(found)} times"
        time.sleep(0.05)
    return found


def test_a_process_a_device_is_started_again_when_it_dies_and_stops_with_the_fleet(tmp_path: Path) -> None:
    program = FLEET.format(member=MEMBER, directory=str(tmp_path))
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    (first,) = wait_for(tmp_path, "cpu:0", 1)
    (other,) = wait_for(tmp_path, "cpu:1", 1)
    os.kill(first, signal.SIGKILL)
    second = wait_for(tmp_path, "cpu:0", 2)[1]
    assert second != first
    assert pids(tmp_path, "cpu:1") == [other]
    running.terminate()
    assert running.wait(60) == 0
    for pid in (second, other):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_who_dies_at_once_is_started_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "FIRST_WAIT_S", 0.01)
    member = fleet._Member("cpu", [sys.executable, "-c", "raise SystemExit(3)"], wait_s=0.01)
    waits = []
    while len(waits) < 4:
        before = member.wait_s
        member.look_after()
        if member.wait_s != before:
            waits.append(member.wait_s)
        threading.Event().wait(0.005)
    assert waits == [0.02, 0.04, 0.08, 0.16]
    if member.process:
        member.process.wait()


def test_devices_are_listed_or_all_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fleet.devices("cuda:0, cuda:1") == ["cuda:0", "cuda:1"]
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: H100 (UUID: a)'\necho 'GPU 1: H100 (UUID: b)'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert fleet.devices("all") == ["cuda:0", "cuda:1"]
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigurationError, match="--devices cuda:0"):
        fleet.devices("all")


def test_every_process_has_a_port_of_its_own_for_metrics() -> None:
    members = fleet.Fleet(["cuda:0", "cuda:1"], ["worker"], metrics_port=9464)._members
    ports = [member.command[1:] for member in members]
    assert ports == [["--metrics-port", "9464"], ["--metrics-port", "9465"]]
    assert fleet.Fleet(["cuda:0"], ["worker"])._members[0].command == ["worker"]
