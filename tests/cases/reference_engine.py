"""What the engine must write, the slow and plain way: transformers' own forward, a mask and a token at a time."""

from collections.abc import Sequence

import numpy as np
import torch

from tests.cases.reference_forward import Batch
from workers.engine import grammar
from workers.engine.checkpoint import Loaded
from workers.engine.protocol import Request
from workers.engine.repeats import Repeats

# (token, logarithm of its probability among the allowed ones)
Answer = list[tuple[int, float]]


@torch.inference_mode()
def answers(loaded: Loaded, requests: Sequence[Request], batch_size: int = 8) -> list[Answer]:
    """The greedy answers to requests without faults, in their order."""
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt))
    done: dict[int, Answer] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        done.update(zip(chosen, _together(loaded, [requests[i] for i in chosen]), strict=True))
    return [done[i] for i in range(len(requests))]


class _Row:
    def __init__(self, loaded: Loaded, request: Request) -> None:
        self.answer: Answer = []
        self._max_new_tokens = request.max_new_tokens
        self._tokenizer = loaded.tokenizer
        self._repeats = Repeats(request, grammar.printed_in(request.document))
        text = grammar.build(request.form, request.document)
        self._matcher = grammar.matcher(text, loaded.tokenizer.for_grammar)

    @property
    def has_ended(self) -> bool:
        return self._matcher.is_stopped() or len(self.answer) >= self._max_new_tokens

    def choose(self, logits: torch.Tensor) -> None:
        packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(packed, count=self._tokenizer.size, bitorder="little").astype(np.bool_)
        allowed = logits[: self._tokenizer.size].masked_fill(~torch.from_numpy(mask), -torch.inf)
        token = self._repeats.likeliest(allowed, self._tokenizer.token_bytes)
        self.answer.append((token, float(allowed.log_softmax(dim=0)[token])))
        self._matcher.consume_token(token)
        self._repeats.write(self._tokenizer.token_bytes(token))


def _together(loaded: Loaded, requests: Sequence[Request]) -> list[Answer]:
    rows = [_Row(loaded, request) for request in requests]
    batch = Batch(loaded.model)
    active = rows
    logits = batch.prefill([request.prompt for request in requests])
    while True:
        for row, scored in zip(active, logits, strict=True):
            row.choose(scored)
        going = [i for i, row in enumerate(active) if not row.has_ended]
        if not going:
            return [row.answer for row in rows]
        if len(going) < len(active):
            batch.keep(going)
            active = [active[i] for i in going]
        logits = batch.step([row.answer[-1][0] for row in active])
