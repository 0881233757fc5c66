"""One request on its way through the decoder: its grammar, its tokens and its end."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

import structlog

from schemas.errors import GleanerError, PromptError, TerminalError
from workers.engine.cache import Span
from workers.engine.choice import Chooser, Scores
from workers.engine.memory import is_of_device
from workers.engine.protocol import Completion, Finish, Request, Token, Usage
from workers.engine.seats import Block
from workers.engine.tokenizer import PlainTokenizer

log = structlog.get_logger()


class Row:
    """The answer to one request, until `finish` is set.

    A step feeds what is not in the cache yet and perhaps a draft, a guess of how the answer goes on; `read` chooses
    tokens from the scores behind them, as far as the draft was right. What the grammar forces is never asked for.
    """

    def __init__(self, request: Request, tokenizer: PlainTokenizer, max_positions: int) -> None:
        self.request = request
        self.finish: Finish | None = None
        # while the row has places in the cache
        self.span: Span | None = None
        # what it shares of them with other rows
        self.block: Block | None = None
        self.draft: Sequence[int] = ()
        self._tokenizer = tokenizer
        self._start_s = self._end_s = time.monotonic()
        self._tokens: list[Token] = []
        self.answer: list[int] = []
        # tokens of the answer in the cache; None if the prompt is not there either
        self._num_fed: int | None = None
        self._forwards = self._num_forced = self._num_drafted = self._num_accepted = self._num_found = 0
        # seconds of steps, its share of them by tokens
        self.device_s = 0.0
        self._error: GleanerError | None = None
        # whoever asked may give up while the answer is written
        self.is_wanted = True
        try:
            check_positions(request, max_positions)
            self.chooser = Chooser(request, tokenizer)
            self._end_by_limits()
            self._append_forced()
        # stored: who asked is told
        except BaseException as exc:  # noqa: BLE001
            self._fail_by(exc)

    @property
    def num_places(self) -> int:
        """Tokens that the prompt and its answer may reach."""
        return len(self.request.prompt) + self.request.max_new_tokens

    @property
    def num_own_places(self) -> int:
        """Those of them that are not of the shared block."""
        return self.num_places - self.request.num_shared

    @property
    def shared(self) -> Sequence[int]:
        """The tokens of the prompt that are a block of their own."""
        return self.request.prompt[: self.request.num_shared]

    @property
    def _own_prompt(self) -> Sequence[int]:
        return self.request.prompt[self.request.num_shared :]

    @property
    def num_cached(self) -> int:
        """Tokens of the row's own that the next step finds in the cache."""
        return 0 if self._num_fed is None else len(self._own_prompt) + self._num_fed

    @property
    def num_block(self) -> int:
        """Tokens of the next step that see each other: the prompt behind the shared block, once."""
        return len(self._own_prompt) if self._num_fed is None else 0

    def start(self) -> None:
        """Have places in the cache; the time limit runs from the first time."""
        if not self._forwards:
            self._start_s = time.monotonic()
            self._end_by_limits()

    def share(self, *, has_paid: bool) -> None:
        """Take note whether the block was computed for this row, or found."""
        if not self._forwards:
            self._num_found = self.request.num_shared if self.block and not has_paid else 0

    def leave(self) -> None:
        """Lose the places in the cache; the answer so far is kept, and fed again."""
        self.span = self.block = self._num_fed = None
        self.draft = ()

    def feed(self) -> list[int]:
        """The tokens of the next step; the scores behind the last `1 + len(draft)` of them are read."""
        room = self.request.max_new_tokens - len(self._tokens)
        self.draft = self.draft[:room]
        new = [*self.answer[self._num_fed or 0 :], *self.draft]
        return new if self._num_fed is not None else [*self._own_prompt, *new]

    def read(self, scores: Scores, start: int = 0) -> None:
        """Write on by what the model scored, from `start` on: behind the last token and behind each of the draft.

        Raises:
            Exception: the device failed; what is written is right as far as it goes.
        """
        base, right = len(self._tokens), 0
        self._forwards += 1
        try:
            while True:
                choice = self.chooser.choose(scores, start + right)
                if choice.mask:
                    scores.ask(start + right, choice, partial(self._tell, len(self._tokens)))
                self._append(choice.token, choice.logprob)
                self._append_forced()
                written = self.answer[base:]
                right = num_equal(self.draft, written)
                # scores behind what was written and fed are as good as those of a step of their own
                if self.finish or right < len(written):
                    break
        # stored: who asked is told
        except BaseException as exc:  # noqa: BLE001
            self._fail_by(exc)
        self._num_drafted += len(self.draft)
        self._num_accepted += right
        self._num_fed = base + right
        self.draft = ()

    def fail(self, error: GleanerError) -> None:
        """End with what is wrong with this request alone."""
        self._error = error
        self._end(Finish.ERROR)

    def _fail_by(self, error: BaseException) -> None:
        """End with an error, a panic of the grammar's library too; what is not the row's own is raised."""
        if is_of_device(error) or isinstance(error, KeyboardInterrupt | SystemExit):
            raise error
        if not isinstance(error, GleanerError):
            log.error("row_failed", exc_info=error)
            error = TerminalError(f"writing it raised {error!r}.", hint="Please report this.")
        self.fail(error)

    def completion(self) -> Completion:
        """What became of the request; only after its end."""
        usage = Usage(
            prompt_tokens=len(self.request.prompt),
            output_tokens=len(self._tokens),
            forced_tokens=self._num_forced,
            drafted_tokens=self._num_drafted,
            accepted_tokens=self._num_accepted,
            forwards=self._forwards,
            seconds=self._end_s - self._start_s,
            device_seconds=self.device_s,
            cached_tokens=self._num_found,
        )
        finish = self.finish or Finish.ERROR
        return Completion(tokens=tuple(self._tokens), finish=finish, usage=usage, error=self._error)

    def _tell(self, number: int, logprob: float) -> None:
        """How likely a token was among the allowed ones."""
        self._tokens[number] = replace(self._tokens[number], logprob=logprob)

    def _append_forced(self) -> None:
        """Write what the grammar leaves no choice about; of the ways to spell it, it allows one."""
        for token in self.chooser.forced() if not self.finish else ():
            self._append(token, 0.0)
            self._num_forced += 1
            if self.finish:
                break

    def _append(self, token: int, logprob: float) -> None:
        text = self._tokenizer.token_bytes(token)
        self._tokens.append(Token(id=token, text=text, logprob=logprob))
        self.answer.append(token)
        # the grammar is complete, so <|box_end|> is the only thing left to say: it is not asked for
        if self.chooser.take(token):
            self._end(Finish.STOP)
        else:
            self._end_by_limits()

    def _end_by_limits(self) -> None:
        limit_s = self.request.time_limit_s
        if len(self._tokens) >= self.request.max_new_tokens:
            self._end(Finish.LENGTH)
        elif limit_s is not None and self.span and time.monotonic() - self._start_s >= limit_s:
            self._end(Finish.TIME)
        elif not self.is_wanted or (self.request.stop and self.request.stop.is_set()):
            self._end(Finish.STOPPED)

    def _end(self, finish: Finish) -> None:
        self.finish = finish
        self._end_s = time.monotonic()


def num_equal(one: Sequence[int], other: Sequence[int]) -> int:
    """The number of tokens at the start of which two lists are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def check_positions(request: Request, max_positions: int) -> None:
    """Refuse a prompt that is empty or leaves no room for its answer.

    Raises:
        PromptError: it does not fit.
    """
    length = len(request.prompt)
    if not length:
        raise PromptError("The prompt is empty.")
    if not 0 <= request.num_shared < length:
        raise PromptError(f"A prompt of {length} tokens cannot share the first {request.num_shared} of them.")
    if length + request.max_new_tokens > max_positions:
        raise PromptError(
            f"A prompt of {length} tokens and an answer of up to {request.max_new_tokens} pass the "
            f"{max_positions} positions of the checkpoint.",
            hint="Give it a smaller window, fewer examples or a shorter answer.",
        )
