"""Batches of samples of like length within a budget of tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch

from pipelines.train.data import CHUNK_SIZE, Sample
from pipelines.train.feed import Chunk, Feed
from schemas.errors import ConfigurationError

# widths are multiples of this: fewer shapes for the device's memory, and rows aligned for its kernels
_WIDTH_STEP = 16
# the average length that is assumed when the size of a pool is chosen
_USUAL_LENGTH = 512
# so many batches a pool has at least, or lengths would not be alike within one
_BATCHES_PER_POOL = 8


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run is in its data: the chunk at which a pool begins, and a batch of the pool."""

    chunk: int = 0
    batch: int = 0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Right-padded samples, [rows, width]; the last token of a sample is only predicted."""

    ids: torch.Tensor
    # 1 for tokens, 0 for padding
    attention_mask: torch.Tensor
    # 1 for the prompt, which is read both ways
    token_type_ids: torch.Tensor
    # [answer tokens] where one is predicted, as row * width + column, and which; known here, so that a device
    # need not be waited for
    places: torch.Tensor
    wanted: torch.Tensor
    num_samples: int
    num_tokens: int

    @property
    def num_answer_tokens(self) -> int:
        return len(self.wanted)


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A batch and where the data goes on after it."""

    batch: Batch
    after: Position
    # of the pool that begins with this batch, samples that did not fit
    num_dropped: int = 0


def batches(feed: Feed, start: Position, *, tokens_per_batch: int, seed: int) -> Iterator[Fed]:
    """The batches of a run from a position on."""
    pool_chunks = pool_size(tokens_per_batch) // CHUNK_SIZE
    chunks = feed.chunks(start.chunk)
    first, skip = start.chunk, start.batch
    while pool := list(islice(chunks, pool_chunks)):
        fitting = [sample for chunk in pool for sample in chunk if sample]
        _refuse_if_empty(fitting, pool)
        groups = group(fitting, tokens_per_batch)
        Random(f"{seed}/pool/{first}").shuffle(groups)
        num_dropped = sum(map(len, pool)) - len(fitting)
        for number, samples in enumerate(groups[skip:], start=skip + 1):
            over = number == len(groups)
            after = Position(chunk=first + len(pool)) if over else Position(chunk=first, batch=number)
            yield Fed(batch=collate(samples), after=after, num_dropped=0 if number > 1 else num_dropped)
        first, skip = first + len(pool), 0


def pool_size(tokens_per_batch: int) -> int:
    """How many samples are put into batches together, in whole chunks."""
    wanted = _BATCHES_PER_POOL * tokens_per_batch // _USUAL_LENGTH
    return max(4, -(-wanted // CHUNK_SIZE)) * CHUNK_SIZE


def group(samples: Sequence[Sample], tokens_per_batch: int) -> list[list[Sample]]:
    """Samples by length in groups whose padded size is within the budget; a longer one is alone."""
    groups: list[list[Sample]] = []
    for sample in sorted(samples, key=len):
        # the longest so far is the last
        if groups and (len(groups[-1]) + 1) * _width(len(sample)) <= tokens_per_batch:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return groups


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples as padded tensors."""
    width = _width(max(map(len, samples)))
    ids, mask, types = (torch.zeros((len(samples), width), dtype=torch.long) for _ in range(3))
    places, wanted = [], []
    for row, sample in enumerate(samples):
        tokens = torch.from_numpy(sample.ids)
        last = len(sample) - 1
        ids[row, :last] = tokens[:-1]
        mask[row, :last] = 1
        types[row, : sample.num_prompt] = 1
        places.append(row * width + torch.arange(sample.num_prompt - 1, last))
        wanted.append(tokens[sample.num_prompt :])
    return Batch(
        ids=ids,
        attention_mask=mask,
        token_type_ids=types,
        places=torch.cat(places),
        wanted=torch.cat(wanted).long(),
        num_samples=len(samples),
        num_tokens=sum(map(len, samples)) - len(samples),
    )


def _width(length: int) -> int:
    """The width of a row of so many tokens, of which the last is not fed."""
    return -(-(length - 1) // _WIDTH_STEP) * _WIDTH_STEP


def _refuse_if_empty(fitting: Sequence[Sample], pool: Sequence[Chunk]) -> None:
    if not fitting:
        raise ConfigurationError(
            f"None of {sum(map(len, pool))} samples fits the prompt.",
            hint="Raise --max-tokens, or use a model with more positions.",
        )
