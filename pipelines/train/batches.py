"""Batches of samples of like length within a budget of tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch

from pipelines.train.attention import Family, Row
from pipelines.train.data import CHUNK_SIZE, Sample
from pipelines.train.feed import Chunk, Feed
from schemas.errors import ConfigurationError

# the average length that is assumed when the size of a pool is chosen
_USUAL_LENGTH = 512
# so many batches a pool has at least, or lengths would not be alike within one
_BATCHES_PER_POOL = 8
# so many pairs of attention take as long as all else for a token, at a hidden size of 256 on two CPU cores
_PAIRS_PER_TOKEN = 700


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run is in its data: the chunk at which a pool begins, and a batch of the pool."""

    chunk: int = 0
    batch: int = 0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples one after another, without padding; the last token of a sample is only predicted."""

    # [tokens]
    ids: torch.Tensor
    positions: torch.Tensor
    families: tuple[Family, ...]
    # [answer tokens] where one is predicted, and which; known here, so that a device need not be waited for
    places: torch.Tensor
    wanted: torch.Tensor

    @property
    def num_samples(self) -> int:
        return sum(len(family.rows) for family in self.families)

    @property
    def num_tokens(self) -> int:
        return len(self.ids)

    @property
    def work(self) -> int:
        """How long it takes to learn from it, as so many tokens without attention."""
        return self.num_tokens + sum(family.num_pairs for family in self.families) // _PAIRS_PER_TOKEN

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
    """Samples by length in groups that are within the budget; a longer one is alone."""
    groups: list[list[Sample]] = []
    room = 0
    for sample in sorted(samples, key=num_tokens):
        if groups and num_tokens(sample) <= room:
            groups[-1].append(sample)
        else:
            groups.append([sample])
            room = tokens_per_batch
        room -= num_tokens(sample)
    return groups


def num_tokens(sample: Sample) -> int:
    """What is fed of a sample and its siblings: their block once, and of each all but the last token."""
    return sample.num_shared + sum(len(each) - each.num_shared - 1 for each in (sample, *sample.siblings))


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples as tensors."""
    ids: list[torch.Tensor] = []
    places: list[torch.Tensor] = []
    wanted: list[torch.Tensor] = []
    families: list[Family] = []
    end = 0
    for sample in samples:
        ids.append(torch.from_numpy(sample.ids[: sample.num_shared]))
        end += sample.num_shared
        rows: list[Row] = []
        for each in (sample, *sample.siblings):
            row = Row(num_prompt=each.num_prompt - each.num_shared, num_answer=each.num_answer - 1)
            rows.append(row)
            ids.append(torch.from_numpy(each.ids[each.num_shared : -1]))
            wanted.append(torch.from_numpy(each.ids[each.num_prompt :]))
            places.append(torch.arange(end + row.num_prompt - 1, end := end + len(row)))
        families.append(Family(num_shared=sample.num_shared, rows=tuple(rows)))
    return Batch(
        ids=torch.cat(ids).long(),
        positions=torch.cat([run for family in families for run in family.positions()]),
        families=tuple(families),
        places=torch.cat(places),
        wanted=torch.cat(wanted).long(),
    )


def _refuse_if_empty(fitting: Sequence[Sample], pool: Sequence[Chunk]) -> None:
    if not fitting:
        raise ConfigurationError(
            f"None of {sum(map(len, pool))} samples fits the prompt.",
            hint="Raise --max-tokens, or use a model with more positions.",
        )
