"""The step of the decoder. Read this first.

1. Rows are in the cache with what they have fed so far. A row that has just come in has fed nothing.
2. Each row feeds the tokens of its answer that are not in the cache yet: the one chosen last, and those that the
   grammar forced behind it. A new row feeds its prompt before them, in which all tokens see each other. If the
   examples of the prompt are a block that rows share, it is fed once, before the first row that reads it.
3. Behind them it feeds a draft: a guess of how the answer goes on, copied from the document.
4. The tokens of all rows lie in one packed batch [tokens]: products see no rows. Attention sees of each row its own
   slice of the cache, the prompt both ways and everything behind it causally: row by row on a CPU, many at once on a
   GPU.
5. The model scores what comes next behind the last token of each row and behind every token of its draft.
6. The row chooses: the likeliest token that its grammar allows, then all that the grammar forces behind it. If the
   draft said the same, the scores behind it are right, and it chooses on from those; else the rest of the draft is
   forgotten, which is to count fewer tokens in the cache.
7. So a step writes at least one token a row, and never another than one token at a time would have.

On a GPU half of the rows are in a step that has begun while the others choose and draft (`engine.py`).
"""

from collections.abc import Iterable, Iterator, Sequence

import torch

from workers.engine.attention import Attention, Part
from workers.engine.cache import Arena
from workers.engine.choice import Scores
from workers.engine.network import Network
from workers.engine.padded import PaddedAttention
from workers.engine.row import Row
from workers.engine.seats import Block
from workers.engine.transfers import Mark, to_device


class Step:
    """A step of some rows, all of which have places in the arena: begun when it is made, and then to be read."""

    def __init__(self, network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> None:
        """Give the device what it has to do, and wait for none of it: on a CPU it is done when this returns."""
        self._begun = Mark(arena.like.device)
        self._rows = rows
        unread = {id(row.block): row.block for row in rows if row.block and not row.block.is_ready}
        blocks = list(unread.values())
        ids = [token for block in blocks for token in block.tokens]
        parts = list(_block_parts(blocks))
        self._num_fed: list[int] = []
        wanted: list[int] = []
        for row in rows:
            tokens = row.feed()
            parts.append(_part(row, len(ids), len(tokens)))
            ids += tokens
            # the first that reads a block pays for it
            block = unread.pop(id(row.block), None)
            self._num_fed.append(len(tokens) + (len(block.tokens) if block else 0))
            row.share(has_paid=block is not None)
            wanted += range(len(ids) - len(row.draft) - 1, len(ids))
        device = arena.like.device
        attention = attending(device)(parts, arena)
        hidden = network.hidden(to_device(ids, device), attention.positions, attention)
        # the head may be larger than the vocabulary
        self._scores = Scores(network.logits(hidden[to_device(wanted, device)])[:, :vocabulary])
        self._done = Mark(device)
        # whatever is begun from here on comes behind it
        for ready in blocks:
            ready.is_ready = True

    def read(self) -> int:
        """Wait for the scores and let every row write on; the number of tokens fed."""
        self._scores.wait()
        num_tokens = sum(self._num_fed)
        token_s = self._done.seconds_since(self._begun) / num_tokens
        start = 0
        for row, num_fed in zip(self._rows, self._num_fed, strict=True):
            row.device_s += token_s * num_fed
            end = start + len(row.draft) + 1
            row.read(self._scores, start)
            start = end
        self._scores.answer()
        return num_tokens


def attending(device: torch.device) -> type[Attention] | type[PaddedAttention]:
    """What attends on a device: on a GPU a call a row would cost more than what the call computes."""
    return PaddedAttention if device.type == "cuda" else Attention


def _block_parts(blocks: Iterable[Block]) -> Iterator[Part]:
    offset = 0
    for block in blocks:
        number = len(block.tokens)
        yield Part(offset=offset, place=block.span.start, num_cached=0, num_block=number, num_causal=0)
        offset += number


def _part(row: Row, offset: int, num_tokens: int) -> Part:
    if row.span is None:
        raise RuntimeError("A row without places in the cache cannot take a step.")
    return Part(
        offset=offset,
        place=row.span.start,
        num_cached=row.num_cached,
        num_block=row.num_block,
        num_causal=num_tokens - row.num_block,
        shared=row.block.span if row.block else None,
    )
