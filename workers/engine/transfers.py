"""To the device and back without waiting: from pinned memory, behind what the device has been given to do.

The thread's device is to be that of the tensors (`on`).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch


def to_device(numbers: Sequence[int] | Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Whole numbers as a tensor on the device, or on their way there."""
    return sent(torch.tensor(numbers), device)


def sent(here: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host's on the device, or on its way there."""
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


@contextmanager
def on(device: torch.device) -> Iterator[None]:
    """Have the thread work on a device."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            yield
    else:
        yield


class Mark:
    """How far the device is with what it has been given to do until now, and when it was there."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._event: torch.cuda.Event | None = None
        self._now_s = time.perf_counter()
        if device.type == "cuda":
            self._event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._event.record()

    def seconds_since(self, other: "Mark") -> float:
        """Of the device's time; waits until it is there."""
        if self._event and other._event:
            self._event.synchronize()
            return float(other._event.elapsed_time(self._event)) / 1000
        return self._now_s - other._now_s

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Work with what is there by then, and not behind what the device was given to do since."""
        if self._event:
            stream = _side(self._device)
            stream.wait_event(self._event)
            with torch.cuda.stream(stream):
                yield
        else:
            yield


@cache
def _side(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class ToHost:
    """A tensor that is on its way from the device."""

    def __init__(self, there: torch.Tensor) -> None:
        self._here, self._event = there, None
        if there.is_cuda:
            self._here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
            self._here.copy_(there, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def wait(self) -> list[Any]:
        """Its numbers, once they are there."""
        if self._event:
            self._event.synchronize()
        return self._here.tolist()
