"""Whether an answer is the greedy one where the start of its prompt is a block: one forward of transformers' model."""

from collections.abc import Sequence

import numpy as np
import torch

from workers.engine import grammar
from workers.engine.checkpoint import Loaded
from workers.engine.protocol import Request
from workers.engine.repeats import Repeats


def mask_of(num_shared: int, num_prompt: int, length: int) -> torch.Tensor:
    """[1, 1, length, length]: the block sees itself, the prompt behind it both, the answer what is before it."""
    place = torch.arange(length)
    end = torch.where(place < num_prompt, num_prompt, place + 1)
    end[:num_shared] = num_shared
    return (place[None, :] < end[:, None])[None, None]


@torch.inference_mode()
def is_greedy(loaded: Loaded, request: Request, answer: Sequence[int], tolerance: float) -> bool:
    """Whether each token is the likeliest allowed one behind those before it, but for rounding."""
    tokens = torch.tensor([[*request.prompt, *answer]])
    mask = mask_of(request.num_shared, len(request.prompt), tokens.shape[1])
    logits = loaded.model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[0]
    scores = logits[len(request.prompt) - 1 : -1, : loaded.tokenizer.size]
    text = grammar.build(request.form, request.document)
    matcher, repeats = (
        grammar.matcher(text, loaded.tokenizer.for_grammar),
        Repeats(request, grammar.printed_in(request.document)),
    )
    token_bytes = loaded.tokenizer.token_bytes
    for token, scored in zip(answer, scores, strict=True):
        packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(packed, count=loaded.tokenizer.size, bitorder="little").astype(np.bool_)
        best = scored.masked_fill(~torch.from_numpy(allowed), -torch.inf)
        if best[token] < best[repeats.likeliest(best, token_bytes)] - tolerance:
            return False
        matcher.consume_token(token)
        repeats.write(token_bytes(token))
    return True
