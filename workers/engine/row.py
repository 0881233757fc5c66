"""One request on its way through the decoder: its grammar, its tokens and its end."""

import time

import numpy as np
import numpy.typing as npt

from schemas.errors import GleanerError, GrammarError, PromptError
from workers.engine import grammar
from workers.engine.protocol import Completion, Finish, Request, Token, Usage
from workers.engine.tokenizer import PlainTokenizer


class Row:
    """The answer to one request, token by token, until `finish` is set."""

    def __init__(self, request: Request, tokenizer: PlainTokenizer, max_positions: int) -> None:
        self.request = request
        self.finish: Finish | None = None
        self._tokenizer = tokenizer
        self._start_s = time.monotonic()
        self._end_s = self._start_s
        self._tokens: list[Token] = []
        self._forwards = 0
        self._error: GleanerError | None = None
        try:
            check_positions(request, max_positions)
            self._matcher = grammar.matcher(
                grammar.build(request.form, request.document), tokenizer.for_grammar
            )
        except GleanerError as exc:
            self._fail(exc)
        else:
            self._end_by_limits()

    @property
    def last_token(self) -> int:
        return self._tokens[-1].id

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which tokens may come next, [vocabulary]; none at all if the grammar broke, which ends the row."""
        packed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(packed, count=self._tokenizer.size, bitorder="little").astype(np.bool_)
        try:
            grammar.raise_if_broken(self._matcher)
            if not mask.any():
                raise GrammarError("The grammar of the request came to a dead end.")
        except GrammarError as exc:
            self._fail(exc)
            return np.zeros_like(mask)
        return mask

    def append(self, token: int, logprob: float) -> None:
        """Take the chosen token and see whether the answer ends with it."""
        if self.finish:
            return
        self._forwards += 1
        self._matcher.consume_token(token)
        text = self._tokenizer.token_bytes(token)
        self._tokens.append(Token(id=token, text=text, logprob=logprob))
        try:
            grammar.raise_if_broken(self._matcher)
        except GrammarError as exc:
            self._fail(exc)
            return
        # the grammar is complete, so <|box_end|> is the only thing left to say: it is not asked for
        if self._matcher.is_stopped():
            self._end(Finish.STOP)
        else:
            self._end_by_limits()

    def completion(self) -> Completion:
        """What became of the request; only after its end."""
        usage = Usage(
            prompt_tokens=len(self.request.prompt),
            output_tokens=len(self._tokens),
            forwards=self._forwards,
            seconds=self._end_s - self._start_s,
        )
        finish = self.finish or Finish.ERROR
        return Completion(tokens=tuple(self._tokens), finish=finish, usage=usage, error=self._error)

    def _end_by_limits(self) -> None:
        limit_s = self.request.time_limit_s
        if len(self._tokens) >= self.request.max_new_tokens:
            self._end(Finish.LENGTH)
        elif limit_s is not None and time.monotonic() - self._start_s >= limit_s:
            self._end(Finish.TIME)

    def _fail(self, error: GleanerError) -> None:
        self._error = error
        self._end(Finish.ERROR)

    def _end(self, finish: Finish) -> None:
        self.finish = finish
        self._end_s = time.monotonic()


def check_positions(request: Request, max_positions: int) -> None:
    """Refuse a prompt that is empty or leaves no room for its answer.

    Raises:
        PromptError: it does not fit.
    """
    length = len(request.prompt)
    if not length:
        raise PromptError("The prompt is empty.")
    if length + request.max_new_tokens > max_positions:
        raise PromptError(
            f"A prompt of {length} tokens and an answer of up to {request.max_new_tokens} pass the "
            f"{max_positions} positions of the checkpoint.",
            hint="Give it a smaller window, fewer examples or a shorter answer.",
        )
