"""The prompt: <|im_start|>, condition, 2 to 8 examples, the text, <|im_end|>.

The model is pre-alignment: it follows the examples' pattern, so instructions are left out unless a schema
asks for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from schemas.base import Schema, Step
from schemas.errors import ConfigurationError, PromptError
from schemas.examples import MIN_EXAMPLES, Example
from schemas.forms import Form, Leaf, ListForm, ObjectForm
from schemas.wire import dump
from workers.choose import Chooser, chooser
from workers.engine.protocol import Tokenizer

# The names the released checkpoint was trained with; the vocabulary's <|direct|>, <|cot|>, ... are not they.
CONDITION_TOKENS = {
    "direct": "<|object_ref_start|>",
    "cot": "<|object_ref_end|>",
    "noisy": "<|quad_start|>",
    "synth": "<|quad_end|>",
}


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """The special tokens around a prompt, by name."""

    start: str = "<|im_start|>"
    end: str = "<|im_end|>"
    conditions: Mapping[str, str] = field(default_factory=lambda: CONDITION_TOKENS)

    def condition_tokens(self, condition: str) -> list[str]:
        """`synth,cot` as its special tokens, in order.

        Raises:
            ConfigurationError: a condition has no token.
        """
        names = [name.strip() for name in condition.split(",")]
        unknown = [name for name in names if name not in self.conditions]
        if unknown:
            raise ConfigurationError(
                f"condition {unknown[0]!r} is not known; there are {', '.join(self.conditions)}.",
                hint="Correct the schema's ladder or GLEANER_CONDITION_TOKENS.",
            )
        return [self.conditions[name] for name in names]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Token ids of everything the model reads."""

    ids: tuple[int, ...]
    # the examples in it by their number in the schema, as they stand
    shots: tuple[int, ...]
    # how many of the first ids come before the text: the same for all texts with the same shots
    num_shared: int

    @property
    def num_shots(self) -> int:
        return len(self.shots)


class Prompter:
    """Builds one schema's prompts for one tokenizer; the examples are tokenized and indexed once.

    Blocks are tokenized one by one, so a prompt's length is the sum of its blocks'.

    Raises:
        PromptError: the schema has fewer than two examples.
        ConfigurationError: a step of the ladder has a condition without a token.
        CheckpointError: the vocabulary lacks a special token.
    """

    def __init__(self, schema: Schema, tokenizer: Tokenizer, max_positions: int, envelope: Envelope) -> None:
        if len(schema.examples) < MIN_EXAMPLES:
            raise PromptError(
                f"{schema.name} has {len(schema.examples)} examples; a prompt needs {MIN_EXAMPLES} or more.",
                hint="Get the schema from a Registry, which reads its examples file.",
                schema=schema.name,
            )
        self.schema = schema
        self.tokenizer = tokenizer
        self.envelope = envelope
        # positions kept free for the answer
        self.max_new_tokens = min(schema.settings.max_answer_tokens, max_positions // 2)
        self.max_prompt_tokens = max_positions - self.max_new_tokens
        self._longest = schema.settings.window_tokens
        for step in schema.settings.ladder:
            # a condition without a token is found here, before the first document
            self._opening(step)
        self._end = tokenizer.special(envelope.end)

    def build(self, text: str, step: Step) -> Prompt | None:
        """The prompt of a text with as many examples as fit, None if not even two do or it is longer than a window."""
        body = self.tokenizer.encode(f"Text:\n{text}\nJSON:")
        if self._longest is not None and len(body) - self._body_frame > self._longest:
            return None
        opening = self._opening(step)
        room = self.max_prompt_tokens - len(opening) - len(body) - 1
        if room < self._chooser.least(step):
            return None
        shots = self._chooser.choose(text, step, room)
        shared = [*opening, *chain.from_iterable(self._blocks[number] for number in shots)]
        return Prompt(ids=(*shared, *body, self._end), shots=tuple(shots), num_shared=len(shared))

    def room(self, step: Step) -> int:
        """Tokens of text that fit beside two examples or more, whichever are chosen for it, and into a window.

        Raises:
            PromptError: two examples leave no room for a text.
        """
        free = self.max_prompt_tokens - len(self._opening(step)) - 1 - self._body_frame
        shots = self._chooser.least(step)
        if free - shots < 32:
            raise PromptError(
                f"two examples of {self.schema.name} take {shots} tokens of the prompt's "
                f"{self.max_prompt_tokens} and leave {free - shots} for a text.",
                hint="Shorten the examples or lower max_answer_tokens in the schema's settings.",
                schema=self.schema.name,
            )
        room = free - self._chooser.reserve(step, free)
        return room if self._longest is None else min(room, self._longest)

    def count(self, text: str) -> int:
        """The number of tokens of a text."""
        return len(self.tokenizer.encode(text))

    def _opening(self, step: Step) -> list[int]:
        """<|im_start|>, the condition, and the descriptions if the schema wants them."""
        names = [self.envelope.start, *self.envelope.condition_tokens(step.condition)]
        return [*map(self.tokenizer.special, names), *self._head]

    @cached_property
    def _body_frame(self) -> int:
        # joined to a text these may merge into it or split off it: a few tokens of slack
        return self.count("Text:\n") + self.count("\nJSON:") + 8

    @cached_property
    def _blocks(self) -> list[list[int]]:
        return [self.tokenizer.encode(_shot(example)) for example in self.schema.examples]

    @cached_property
    def _chooser(self) -> Chooser:
        texts = [example.text for example in self.schema.examples]
        return chooser(self.schema.settings, texts, [len(block) for block in self._blocks])

    @cached_property
    def _head(self) -> list[int]:
        if not self.schema.settings.describe_fields:
            return []
        return self.tokenizer.encode(describe(self.schema.form) + "\n\n")


def _shot(example: Example) -> str:
    return f"Text:\n{example.text}\nJSON: {dump(example.record)}\n\n"


def describe(form: ObjectForm) -> str:
    """The descriptions of a schema and its fields, a line each."""
    return "\n".join([form.description, *_field_lines(form, "")]).strip()


def _field_lines(form: Form, prefix: str) -> list[str]:
    if isinstance(form, ListForm):
        return _field_lines(form.item, f"{prefix}[]")
    if isinstance(form, Leaf):
        return []
    lines = []
    for name, field_form in form.wire_fields:
        path = f"{prefix}.{name}".removeprefix(".")
        lines += [f"{path}: {field_form.description}"] if field_form.description else []
        lines += _field_lines(field_form, path)
    return lines
