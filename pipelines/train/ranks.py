"""Processes that train one model together, as torchrun starts them: a step is shared, and gradients are added up."""

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from pipelines.train.batches import Batch
from schemas.errors import ConfigurationError

# the others wait while the first evaluates and saves
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes, measures and tells."""
        return self.rank == 0

    def share(self, batches: Sequence[Batch]) -> list[Batch]:
        """The batches of a step that are this rank's: the longest first, each to who has the least."""
        loads = [(0, rank) for rank in range(self.size)]
        mine: list[Batch] = []
        for batch in sorted(batches, key=lambda each: -each.work):
            load, rank = heapq.heappop(loads)
            heapq.heappush(loads, (load + batch.work, rank))
            if rank == self.rank:
                mine.append(batch)
        return mine

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Put the sum over all ranks into every tensor; the tensors are of one dtype and device."""
        if self.size == 1:
            return
        parts = list(tensors)
        whole = torch.cat([part.flatten() for part in parts])
        distributed.all_reduce(whole)
        sums = torch.split(whole, [part.numel() for part in parts])
        torch._foreach_copy_(parts, [each.view_as(part) for each, part in zip(sums, parts, strict=True)])

    def any(self, told: bool, device: torch.device) -> bool:
        """Whether it is so for one of the ranks."""
        # alone, the host need not wait for the device
        if self.size == 1:
            return told
        flag = torch.tensor(float(told), device=device)
        self.add_up([flag])
        return bool(flag.item())

    def wait(self) -> None:
        """Go on when all are here."""
        if self.size > 1:
            distributed.barrier()


ALONE = Ranks()


def rank_here() -> int:
    """The number of this process, as torchrun says it."""
    return int(os.environ.get("RANK", "0"))


def size_here() -> int:
    """How many processes torchrun started for one run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_device(name: str) -> str:
    """The device of this process: each of several has the GPU of its number, where none is named."""
    if name in ("auto", "cuda") and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


@contextmanager
def joined(device: torch.device, num_batches: int) -> Iterator[Ranks]:
    """The ranks that torchrun started, or this process alone.

    Raises:
        ConfigurationError: a step has fewer batches than there are ranks.
    """
    size = size_here()
    if size == 1:
        yield ALONE
        return
    if num_batches < size:
        raise ConfigurationError(
            f"{size} processes cannot share steps of --accumulate {num_batches}: some would have nothing to do.",
            hint=f"Give --accumulate {size} or more, and fewer --tokens-per-batch.",
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks(rank=distributed.get_rank(), size=size)
    finally:
        distributed.destroy_process_group()
