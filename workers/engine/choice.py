"""The most probable token that a request's grammar allows, with the grammar asked as little as possible.

The likeliest token of all is the likeliest allowed one if the grammar takes it, which costs a fraction of a mask
over the vocabulary. A mask is made where the grammar refuses it, and where its probability among the allowed ones
may be other than among all.
"""

import numpy as np
import torch

from schemas.errors import GrammarError
from workers.engine import grammar
from workers.engine.protocol import Request
from workers.engine.repeats import Repeats
from workers.engine.tokenizer import PlainTokenizer

# A probability among all tokens above e**-0.001 cannot be more than 0.001 (in logarithms) too low.
CERTAIN = -0.001


class Scores:
    """What the model gave some next tokens: the likeliest of all of each, and the logits where they are wanted."""

    def __init__(self, logits: torch.Tensor) -> None:
        """[next tokens, vocabulary]."""
        self.logits = logits
        best, tokens = logits.max(dim=1)
        # one transfer from the device each
        self.tokens: list[int] = tokens.tolist()
        self.logprobs: list[float] = (best - logits.logsumexp(dim=1)).tolist()

    def __getitem__(self, part: slice) -> "Scores":
        found = object.__new__(Scores)
        found.logits, found.tokens, found.logprobs = self.logits[part], self.tokens[part], self.logprobs[part]
        return found


class Chooser:
    """The grammar of one request, and the place it has come to.

    Raises:
        GrammarError: the grammar cannot be followed, here or in any method.
    """

    def __init__(self, request: Request, tokenizer: PlainTokenizer) -> None:
        # what the document prints of a leaf's kind
        self.printed = grammar.printed_in(request.document)
        text = grammar.build(request.form, request.document, self.printed)
        self._matcher = grammar.matcher(text, tokenizer.for_grammar)
        self._tokenizer = tokenizer
        self._repeats = Repeats(request, self.printed)
        self.num_masks = 0

    def forced(self) -> list[int]:
        """The tokens that must come next, as far as there is no choice.

        To be asked for after every token: where the grammar forces a text it allows one spelling of it, and the
        check of a single token would take any.
        """
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens

    def choose(self, scores: Scores, index: int) -> tuple[int, float]:
        """The likeliest allowed token that goes on with no list that is to end (see Repeats).

        With it, the logarithm of its probability among all that the grammar allows (see CERTAIN).
        """
        token, logprob = scores.tokens[index], scores.logprobs[index]
        is_sure = logprob >= CERTAIN and self._matcher.validate_tokens([token]) == 1
        if is_sure and not self._repeats.refuses(self._tokenizer.token_bytes(token)):
            return token, logprob
        allowed = scores.logits[index].masked_fill(~self._mask(scores.logits), -torch.inf)
        token = self._repeats.likeliest(allowed, self._tokenizer.token_bytes)
        return token, float(allowed.log_softmax(dim=0)[token])

    def takes(self, token: int) -> bool:
        """Whether the grammar allows a token here."""
        allowed: bool = self._matcher.validate_tokens([token]) == 1
        return allowed

    def take(self, token: int) -> bool:
        """Write a token; whether the answer is whole."""
        self._matcher.consume_token(token)
        self._repeats.write(self._tokenizer.token_bytes(token))
        grammar.raise_if_broken(self._matcher)
        whole: bool = self._matcher.is_stopped()
        return whole

    def _mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Which tokens may come next, [vocabulary]."""
        self.num_masks += 1
        packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(packed, count=self._tokenizer.size, bitorder="little").astype(np.bool_)
        grammar.raise_if_broken(self._matcher)
        if not mask.any():
            raise GrammarError("The grammar of the request came to a dead end.")
        return torch.from_numpy(mask).to(logits.device)
