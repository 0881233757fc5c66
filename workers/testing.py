"""A shipped engine for tests without a model: its answers are given in advance."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import CheckpointError, PromptError, TerminalError
from workers.engine.protocol import Checkpoint, Completion, Finish, Occupancy, Request, Token, Usage
from workers.engine.special_tokens import SPECIAL_TOKENS


@dataclass(frozen=True)
class Scripted:
    """An answer with the log-probabilities of its bytes: one for all, or one each."""

    text: str
    logprobs: float | Sequence[float] = 0.0


Answer = str | Scripted | Exception
Answers = Mapping[str, Answer] | Sequence[Answer] | Callable[[Request], Answer]


class ByteTokenizer:
    """One token a byte of UTF-8, and the special tokens behind them."""

    def __init__(self, special_tokens: Sequence[str] = SPECIAL_TOKENS) -> None:
        self._specials = {name: 256 + number for number, name in enumerate(special_tokens)}

    def encode(self, text: str) -> list[int]:
        """The bytes of a text; `<|im_end|>` in it is ten of them."""
        return list(text.encode())

    def special(self, token: str) -> int:
        """The id of a special token.

        Raises:
            CheckpointError: the vocabulary has no such token.
        """
        if token not in self._specials:
            raise CheckpointError(f"The byte tokenizer has no special token {token!r}.", token=token)
        return self._specials[token]

    def decode(self, ids: Sequence[int]) -> str:
        """Text again, special tokens by their names."""
        names = {number: name.encode() for name, number in self._specials.items()}
        return b"".join(names.get(token) or bytes([token]) for token in ids).decode(errors="replace")


class ScriptedEngine:
    """Gives the answers it was made with and records what it was asked.

    `answers` is a mapping from a request's document, a list in the order of the requests, or a function of the
    request. An answer that is a TerminalError becomes the completion's error; any other exception is raised.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        max_positions: int = 4096,
        checkpoint: Checkpoint | None = None,
        seconds_per_document: float = 0.0,
    ) -> None:
        self.tokenizer = ByteTokenizer()
        self.max_positions = max_positions
        self.checkpoint = checkpoint or Checkpoint(name="scripted", digest="5c" * 32)
        self.requests: list[Request] = []
        self._num_steps = 0
        self._answer = _as_function(answers)
        self._seconds = seconds_per_document
        self._lock = threading.Lock()
        self._num_open = 0

    def __str__(self) -> str:
        return "scripted"

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete every request, in their order.

        Raises:
            Exception: an answer was this exception, and no TerminalError.
        """
        with self._lock:
            self.requests += requests
            self._num_open = len(requests)
            try:
                return [self._complete(request) for request in requests]
            finally:
                self._num_open = 0

    def occupancy(self) -> Occupancy:
        """What it was asked and has not answered yet; a document is a step."""
        return Occupancy(num_running=self._num_open, num_steps=self._num_steps)

    def prompt_text(self, request: Request) -> str:
        """The prompt as one text."""
        return self.tokenizer.decode(request.prompt)

    def _complete(self, request: Request) -> Completion:
        if (request.stop or threading.Event()).wait(self._seconds):
            return self._completion(request, (), Finish.STOPPED)
        self._num_steps += 1
        answer = self._refusal(request) or self._answer(request)
        if isinstance(answer, str):
            answer = Scripted(answer)
        if isinstance(answer, Scripted):
            tokens = _tokens(answer)
            is_whole = len(tokens) <= request.max_new_tokens
            finish = Finish.STOP if is_whole else Finish.LENGTH
            return self._completion(request, tokens[: request.max_new_tokens], finish)
        if isinstance(answer, TerminalError):
            return self._completion(request, (), Finish.ERROR, answer)
        raise answer

    def _refusal(self, request: Request) -> PromptError | None:
        if len(request.prompt) + request.max_new_tokens <= self.max_positions:
            return None
        return PromptError(
            f"A prompt of {len(request.prompt)} tokens and an answer of up to {request.max_new_tokens} "
            f"pass the {self.max_positions} positions of the checkpoint."
        )

    def _completion(
        self,
        request: Request,
        tokens: tuple[Token, ...],
        finish: Finish,
        error: TerminalError | None = None,
    ) -> Completion:
        usage = Usage(
            prompt_tokens=len(request.prompt),
            output_tokens=len(tokens),
            forwards=len(tokens),
            seconds=self._seconds,
        )
        return Completion(tokens=tokens, finish=finish, usage=usage, error=error)


def _tokens(answer: Scripted) -> tuple[Token, ...]:
    content = answer.text.encode()
    logprobs = answer.logprobs
    each = [logprobs] * len(content) if isinstance(logprobs, (int, float)) else logprobs
    return tuple(
        Token(id=byte, text=bytes([byte]), logprob=logprob)
        for byte, logprob in zip(content, each, strict=True)
    )


def _as_function(answers: Answers) -> Callable[[Request], Answer]:
    if callable(answers):
        return answers
    if isinstance(answers, Mapping):
        return lambda request: answers[request.document]
    waiting: Iterator[Answer] = iter(answers)
    return lambda request: _next(waiting, request)


def _next(waiting: Iterator[Answer], request: Request) -> Answer:
    try:
        return next(waiting)
    except StopIteration:
        raise LookupError(f"no answer is left for the document {request.document[:80]!r}") from None
