"""The most probable token that a request's grammar allows, with the grammar asked as little as possible.

The likeliest token of all is the likeliest allowed one if the grammar takes it, which costs a fraction of a mask
over the vocabulary. A mask is made where the grammar refuses it, and where its probability among the allowed ones
may be other than among all; what these come to is worked out for all rows of a step at once, behind their choices.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch

from schemas.errors import GrammarError
from workers.engine import grammar
from workers.engine.memory import is_full
from workers.engine.protocol import Request
from workers.engine.repeats import Repeats
from workers.engine.tokenizer import PlainTokenizer
from workers.engine.transfers import Mark, ToHost, sent, to_device

# A probability among all tokens above e**-0.001 cannot be more than 0.001 (in logarithms) too low.
CERTAIN = -0.001


# probabilities worked out at once, each of which takes a float for every token of the vocabulary
_MOST_AT_ONCE = 256


class Choice(NamedTuple):
    """A token, and the logarithm of its probability among all that the grammar allows (see CERTAIN).

    With a mask it is that among all tokens, which is less, until the scores have told it.
    """

    token: int
    logprob: float
    mask: bytes | None = None


class Scores:
    """What the model gave some next tokens: the likeliest of all of each, and the logits where they are wanted."""

    def __init__(self, logits: torch.Tensor) -> None:
        """[next tokens, vocabulary]; nothing waits for them before it asks for one."""
        self._logits = logits
        self._there = Mark(logits.device)
        best, tokens = logits.max(dim=1)
        self._likeliest = ToHost(tokens), ToHost(best - logits.logsumexp(dim=1))
        self._asked: list[tuple[int, Choice, Callable[[float], None]]] = []

    def wait(self) -> None:
        """Until the device is done with them."""
        _ = self.tokens, self.logprobs

    @cached_property
    def tokens(self) -> list[int]:
        """The likeliest of all tokens, for each."""
        return self._likeliest[0].wait()

    @cached_property
    def logprobs(self) -> list[float]:
        """The logarithms of their probabilities among all tokens."""
        return self._likeliest[1].wait()

    def choose(self, index: int, mask: bytes, choose: Callable[[torch.Tensor], int]) -> Choice:
        """What is chosen by one's logits, [vocabulary], -inf for what its mask does not allow."""
        with self._there.aside():
            allowed = self._among([index], [mask])[0]
            token = choose(allowed)
            return Choice(token, float(allowed.log_softmax(dim=0)[token]))

    def ask(self, index: int, choice: Choice, tell: Callable[[float], None]) -> None:
        """Have told what the logarithm of a choice's probability is among those of its mask."""
        self._asked.append((index, choice, tell))

    def answer(self) -> None:
        """Tell all who asked."""
        size = _MOST_AT_ONCE
        with self._there.aside():
            while self._asked:
                try:
                    self._answer(self._asked[:size])
                except Exception as exc:
                    if not is_full(exc) or size == 1:
                        raise
                    size = 1
                else:
                    self._asked = self._asked[size:]

    def _answer(self, asked: Sequence[tuple[int, Choice, Callable[[float], None]]]) -> None:
        logits = self._among([index for index, *_ in asked], [choice.mask or b"" for _, choice, _ in asked])
        chosen = to_device([choice.token for _, choice, _ in asked], logits.device)
        logprobs = logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(dim=1)
        for (*_, tell), logprob in zip(asked, ToHost(logprobs).wait(), strict=True):
            tell(logprob)

    def _among(self, indexes: Sequence[int], masks: Sequence[bytes]) -> torch.Tensor:
        """[indexes, vocabulary]."""
        logits = self._logits[to_device(indexes, self._logits.device)]
        # unpacked there: an eighth of the bytes to move
        packed = sent(torch.frombuffer(bytearray(b"".join(masks)), dtype=torch.uint8), logits.device)
        bits = packed.view(len(masks), -1, 1) >> torch.arange(8, dtype=torch.uint8, device=logits.device) & 1
        return logits.masked_fill_(bits.flatten(1)[:, : logits.shape[1]] == 0, -torch.inf)


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

    def choose(self, scores: Scores, index: int) -> Choice:
        """The likeliest allowed token that goes on with no list that is to end (see Repeats)."""
        token, logprob = scores.tokens[index], scores.logprobs[index]
        is_allowed = self.takes(token) and not self._repeats.refuses(self._tokenizer.token_bytes(token))
        if is_allowed and logprob >= CERTAIN:
            return Choice(token, logprob)
        mask = self._mask()
        if is_allowed:
            return Choice(token, logprob, mask)
        return scores.choose(
            index, mask, lambda allowed: self._repeats.likeliest(allowed, self._tokenizer.token_bytes)
        )

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

    def _mask(self) -> bytes:
        """Which tokens may come next: a bit each, the lowest of a byte first."""
        self.num_masks += 1
        mask: bytes = self._matcher.compute_bitmask()
        grammar.raise_if_broken(self._matcher)
        if mask.count(0) == len(mask):
            raise GrammarError("The grammar of the request came to a dead end.")
        return mask
