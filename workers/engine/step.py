"""The step of the decoder. Read this first.

1. Rows are in the cache with what they have fed so far. A row that has just come in has fed nothing.
2. Each row feeds the tokens of its answer that are not in the cache yet: the one chosen last, and those that the
   grammar forced behind it. A new row feeds its prompt before them, in which all tokens see each other.
3. Behind them it feeds a draft: a guess of how the answer goes on, copied from the document.
4. The tokens of all rows lie in one packed batch [tokens]: products see no rows. Attention goes row by row over the
   row's own slice of the cache, the prompt both ways and everything behind it causally.
5. The model scores what comes next behind the last token of each row and behind every token of its draft.
6. The row chooses: the likeliest token that its grammar allows, then all that the grammar forces behind it. If the
   draft said the same, the scores behind it are right, and it chooses on from those; else the rest of the draft is
   forgotten, which is to count fewer tokens in the cache.
7. So a step writes at least one token a row, and never another than one token at a time would have.
"""

from collections.abc import Sequence

import torch

from workers.engine.attention import Attention, Part
from workers.engine.cache import Arena
from workers.engine.choice import Scores
from workers.engine.network import Network
from workers.engine.row import Row


def step(network: Network, arena: Arena, rows: Sequence[Row], vocabulary: int) -> None:
    """Let every row, all of which have places in the arena, write on."""
    ids: list[int] = []
    parts: list[Part] = []
    wanted: list[int] = []
    for row in rows:
        tokens = row.feed()
        parts.append(_part(row, len(ids), len(tokens)))
        ids += tokens
        wanted += range(len(ids) - len(row.draft) - 1, len(ids))
    device = arena.values.device
    attention = Attention(parts, arena)
    hidden = network.hidden(torch.tensor(ids, device=device), attention.positions, attention)
    # the head may be larger than the vocabulary
    scores = Scores(network.logits(hidden[torch.tensor(wanted, device=device)])[:, :vocabulary])
    start = 0
    for row in rows:
        end = start + len(row.draft) + 1
        row.read(scores[start:end])
        start = end


def _part(row: Row, offset: int, num_tokens: int) -> Part:
    if row.span is None:
        raise RuntimeError("A row without places in the cache cannot take a step.")
    return Part(
        offset=offset,
        place=row.span.start,
        num_cached=row.num_cached,
        num_block=row.num_block,
        num_causal=num_tokens - row.num_block,
    )
