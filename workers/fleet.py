"""One worker process a device: started, and started again when it dies, later each time."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

import structlog

from schemas.errors import ConfigurationError
from workers.lease import jittered

log = structlog.get_logger()

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
# who lived for this long did not die of how it was started
HEALTHY_S = 60.0
_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1


def devices(given: str) -> list[str]:
    """The devices of `all` or of a list as `cuda:0,cuda:1`.

    Raises:
        ConfigurationError: `all`, and there is no GPU.
    """
    if given != "all":
        return [device.strip() for device in given.split(",") if device.strip()]
    # asked without torch: this process never touches a device
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError) as exc:
        raise ConfigurationError(
            "--devices all finds no GPU: `nvidia-smi -L` does not work here.",
            hint="Name them, as --devices cuda:0,cuda:1, or use --device cpu.",
        ) from exc
    return [f"cuda:{number}" for number, line in enumerate(listed.stdout.splitlines()) if line[:3] == "GPU"]


@dataclass
class _Member:
    device: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    wait_s: float = FIRST_WAIT_S

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603  our own command
            [*self.command, "--device", self.device],
            # Ctrl-C reaches it through us alone: a second signal would end it at once
            process_group=0,
            # without us nobody would start it again, and our successor starts another
            preexec_fn=lambda: ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
        )
        self.started_at = time.monotonic()
        log.info("start", device=self.device, pid=self.process.pid)

    def look_after(self) -> None:
        """Note a death, and start again when it is time."""
        now = time.monotonic()
        if self.process and (code := self.process.poll()) is not None:
            self.process = None
            self.wait_s = (
                FIRST_WAIT_S if now - self.started_at > HEALTHY_S else min(2 * self.wait_s, LONGEST_WAIT_S)
            )
            self.start_at = now + jittered(self.wait_s)
            log.error("died", device=self.device, code=code, again_in_s=round(self.start_at - now, 1))
        if not self.process and now >= self.start_at:
            self.start()


class Fleet:
    """Worker processes of one command, told apart by their `--device`.

    Each shows its metrics at a port of its own, the first at `metrics_port`, the others at those that follow.
    """

    def __init__(
        self, names: Sequence[str], command: Sequence[str], *, metrics_port: int | None = None
    ) -> None:
        self._members = [
            _Member(device, [*command, *_metrics_port(metrics_port, number)])
            for number, device in enumerate(names)
        ]
        self._is_stopping = False

    def run(self) -> int:
        """Keep every worker running until told to stop; the worst exit code of the stopped ones."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        while not self._is_stopping:
            for member in self._members:
                member.look_after()
            time.sleep(_POLL_S)
        return max((abs(m.process.wait()) for m in self._members if m.process), default=0)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True
        for member in self._members:
            if member.process and member.process.poll() is None:
                os.kill(member.process.pid, number)


def _metrics_port(first: int | None, number: int) -> list[str]:
    return [] if first is None else ["--metrics-port", str(first + number)]
