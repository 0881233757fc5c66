"""To the device and back without waiting: from pinned memory, behind what the device has been given to do."""

from collections.abc import Sequence

import torch


def to_device(numbers: Sequence[int] | Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Whole numbers as a tensor on the device, or on their way there."""
    return sent(torch.tensor(numbers), device)


def sent(here: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host's on the device, or on its way there."""
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


class ToHost:
    """A tensor that is on its way from the device."""

    def __init__(self, there: torch.Tensor) -> None:
        self._here, self._event = there, None
        if there.is_cuda:
            self._here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
            self._here.copy_(there, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def wait(self) -> list[float]:
        """Its numbers, once they are there."""
        if self._event:
            self._event.synchronize()
        return self._here.tolist()
