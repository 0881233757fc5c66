"""The fair rival of the engine: transformers' generate() with llguidance's masks as a logits processor."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from workers.engine import grammar
from workers.engine.checkpoint import Loaded
from workers.engine.protocol import Request
from workers.engine.repeats import Repeats
from workers.engine.special_tokens import END_OF_ANSWER, PADDING


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Answers in the order of the requests, and what they took."""

    answers: list[list[int]]
    # forwards of rows: one for every token of an answer
    num_forwards: int
    seconds: float


class _Masks(LogitsProcessor):
    """Allows what the grammar of each row allows, and of that only the given answer's token where there is one."""

    def __init__(self, loaded: Loaded, requests: Sequence[Request], given: Sequence[Sequence[int]]) -> None:
        self._size = loaded.tokenizer.size
        self._token_bytes = loaded.tokenizer.token_bytes
        self._repeats = [Repeats(request, grammar.printed_in(request.document)) for request in requests]
        self._end = loaded.tokenizer.special(END_OF_ANSWER)
        tokenizer = loaded.tokenizer.for_grammar
        texts = [grammar.build(request.form, request.document) for request in requests]
        self._matchers = [grammar.matcher(text, tokenizer) for text in texts]
        self._limits = [request.max_new_tokens for request in requests]
        self._given = given
        self.answers: list[list[int]] = [[] for _ in requests]
        self._is_first = True

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        if not self._is_first:
            for row, token in enumerate(input_ids[:, -1].tolist()):
                if not self._has_ended(row):
                    self._matchers[row].consume_token(token)
                    self._repeats[row].write(self._token_bytes(token))
                    self.answers[row].append(token)
        self._is_first = False
        allowed = torch.zeros(scores.shape, dtype=torch.bool)
        for row, matcher in enumerate(self._matchers):
            if self._has_ended(row):
                allowed[row, self._end] = True
            else:
                packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
                mask = np.unpackbits(packed, count=self._size, bitorder="little").astype(np.bool_)
                allowed[row, : self._size] = torch.from_numpy(mask)
        masked = scores.masked_fill(~allowed.to(scores.device), -torch.inf)
        for row, answer in enumerate(self.answers):
            if not self._has_ended(row):
                given = self._given[row][len(answer) :] if self._given else ()
                chosen = given[0] if given else self._repeats[row].likeliest(masked[row], self._token_bytes)
                masked[row, chosen] = torch.inf
        return masked

    def _has_ended(self, row: int) -> bool:
        return self._matchers[row].is_stopped() or len(self.answers[row]) >= self._limits[row]


@torch.inference_mode()
def generate(
    loaded: Loaded, requests: Sequence[Request], batch_size: int, given: Sequence[Sequence[int]] = ()
) -> Generated:
    """Complete requests in batches of like length; `given` are answers that take the place of the model's choice."""
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt))
    done: dict[int, list[int]] = {}
    start_s = time.perf_counter()
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        masks = _Masks(loaded, [requests[i] for i in chosen], [given[i] for i in chosen] if given else ())
        _run(loaded, [requests[i] for i in chosen], masks)
        done.update(zip(chosen, masks.answers, strict=True))
    seconds = time.perf_counter() - start_s
    answers = [done[i] for i in range(len(requests))]
    return Generated(answers=answers, num_forwards=sum(map(len, answers)), seconds=seconds)


def _run(loaded: Loaded, requests: Sequence[Request], masks: _Masks) -> None:
    width = max(len(request.prompt) for request in requests)
    padding = loaded.tokenizer.special(PADDING)
    pads = [width - len(request.prompt) for request in requests]
    device = loaded.model.device
    ids = [[padding] * pad + list(request.prompt) for pad, request in zip(pads, requests, strict=True)]
    mask = [[0] * pad + [1] * (width - pad) for pad in pads]
    loaded.model.generate(
        torch.tensor(ids, device=device),
        attention_mask=torch.tensor(mask, device=device),
        # PrefixLM; without them attention over the prompt is causal, silently
        token_type_ids=torch.ones(len(ids), width, dtype=torch.long, device=device),
        logits_processor=LogitsProcessorList([masks]),
        # one more, in which the last token is taken note of
        max_new_tokens=1 + max(request.max_new_tokens for request in requests),
        do_sample=False,
        eos_token_id=loaded.tokenizer.special(END_OF_ANSWER),
        pad_token_id=padding,
    )
