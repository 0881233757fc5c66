"""How much memory the KV cache may take, and what to do when the device has no more."""

import math
import os
from contextlib import suppress
from pathlib import Path

import torch

from schemas.errors import DeviceError, DeviceLostError

# of what is free once the weights are loaded; the rest is for what a step computes
_SHARE_OF_GPU = 0.8
# a CPU is not ours alone, and does not get faster by wide batches
_SHARE_OF_CPU = 0.25
_MOST_OF_CPU = 2 << 30


def free_for_cache(device: torch.device) -> int:
    """Bytes that the KV cache takes where nothing is set."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _SHARE_OF_GPU)
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(_MOST_OF_CPU, int(min(available, _left_to_container()) * _SHARE_OF_CPU))


def _left_to_container(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that the container's own limit leaves; without a limit there is no end."""
    try:
        # "max" where there is no limit
        limit = int((cgroup / "memory.max").read_text())
        return max(0, limit - int((cgroup / "memory.current").read_text()))
    except (OSError, ValueError):
        return math.inf


def of_device(device: torch.device) -> tuple[int, int]:
    """Bytes in use on a GPU, by anyone, and bytes that it has; nought for a CPU, which is not ours alone."""
    # a lost device says nothing, and those who look at it must go on
    with suppress(RuntimeError):
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            return total - free, total
    return 0, 0


def is_full(error: BaseException) -> bool:
    """Whether the device ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def is_of_device(error: BaseException) -> bool:
    """Whether the device is to blame, and not one row."""
    return is_full(error) or _is_lost(error)


def _is_lost(error: BaseException) -> bool:
    is_named = isinstance(error, RuntimeError) and "CUDA" in str(error)
    return is_named or isinstance(error, getattr(torch, "AcceleratorError", ()))


def too_large(num_tokens: int, num_places: int) -> DeviceError:
    """The error of a request that the cache cannot hold even alone."""
    return DeviceError(
        f"The KV cache has room for {num_places} tokens, and one request may reach {num_tokens}.",
        hint="Raise GLEANER_KV_MEMORY, lower the schema's max_answer_tokens, or use a larger device.",
    )


def as_device_error(error: Exception) -> Exception:
    """What to tell callers of an error in the middle of a step: a fault of our own stays what it is."""
    text = str(error)
    if is_full(error):
        return DeviceError(
            f"The device has not enough memory for one request: {text}.",
            hint="Lower the schema's max_answer_tokens, or use a larger device.",
        )
    if _is_lost(error):
        return DeviceLostError(f"The device failed: {text}.", hint="Restart the worker.")
    return error


def give_back() -> None:
    """Return to the device what torch keeps for later."""
    if torch.cuda.is_available():
        # a lost device takes nothing back; whoever waits is told of it already, and the engine must not end here
        with suppress(RuntimeError):
            torch.cuda.empty_cache()
