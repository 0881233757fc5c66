"""What an engine promises; nothing here needs torch."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from schemas.errors import GleanerError
from schemas.examples import Example
from schemas.forms import ObjectForm

# how often the stacks are run, H_cycles and L_cycles
Cycles: TypeAlias = tuple[int, int]


class Tokenizer(Protocol):
    """Text to token ids and the ids of special tokens by name."""

    def encode(self, text: str) -> list[int]:
        """Token ids of ordinary characters; `<|im_end|>` in the text is characters too."""
        ...

    def special(self, token: str) -> int:
        """The id of a special token.

        Raises:
            CheckpointError: the vocabulary has no such token.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt to complete."""

    # <|im_start|>, condition, examples and text, <|im_end|>: all tokens see each other
    prompt: Sequence[int]
    # the document or window in the prompt: verbatim values are substrings of it
    document: str
    form: ObjectForm
    max_new_tokens: int
    time_limit_s: float | None = None
    # those in the prompt, as they stand: they show where in a document values are found, which makes guesses better
    examples: Sequence[Example] = ()
    # so many tokens at the start of the prompt see each other alone, and are computed once for all prompts that begin
    # with them; the tokens behind them see both
    num_shared: int = 0
    # set when nobody wants the answer any more: it ends at the next step
    stop: threading.Event | None = None
    # the depth that the model is run at, by default the engine's
    cycles: Cycles | None = None


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TIME = "time"
    STOPPED = "stopped"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of the answer."""

    id: int
    # UTF-8; a token may hold a part of a character
    text: bytes
    # natural logarithm of its probability among the tokens the grammar allowed there
    logprob: float


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one completion took; the seconds run from the first step to its end, without waiting before it."""

    prompt_tokens: int
    output_tokens: int
    # steps of the model, each over all rows in hand
    forwards: int
    seconds: float
    # of that, this answer's share of the steps that it was in
    device_seconds: float = 0.0
    # of the prompt, computed for another one before
    cached_tokens: int = 0
    # of the output, those that the grammar left no choice about
    forced_tokens: int = 0
    # fed as a guess, and those of them that were right
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What the engine wrote for one request, without the closing `<|box_end|>`."""

    tokens: tuple[Token, ...]
    finish: Finish
    usage: Usage
    # set exactly if finish is ERROR: what is wrong with this request alone
    error: GleanerError | None = None

    @property
    def text(self) -> str:
        return b"".join(token.text for token in self.tokens).decode("utf-8", errors="replace")


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """What an engine has in hand just now, and what it has done since it was made."""

    # prompts that the model works on, and those that wait for a place in the KV cache
    num_running: int = 0
    num_waiting: int = 0
    # tokens of the KV cache that are taken, and that there are; nought if there is no cache
    num_places_taken: int = 0
    num_places: int = 0
    # steps, and tokens fed in them: those of prompts, drafts and shared blocks included
    num_steps: int = 0
    num_tokens: int = 0
    # bytes of the GPU that are in use, by anyone, and that it has; nought without a GPU
    used_memory: int = 0
    memory: int = 0


class Engine(Protocol):
    """Owns a model and completes prompts."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def max_positions(self) -> int:
        """The most tokens a prompt and its answer may have together."""
        ...

    @property
    def checkpoint(self) -> "Checkpoint": ...

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Complete every request, in their order; safe to call from several threads.

        Raises:
            TransientError: the device failed; nothing was completed.
        """
        ...

    def occupancy(self) -> Occupancy:
        """How full it is just now, and what it has done; safe to call from any thread, and never waits for a step."""
        ...


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The identity of a model directory."""

    name: str
    digest: str
    # made with random weights: answers are valid and grounded and mean nothing
    is_placeholder: bool = False
