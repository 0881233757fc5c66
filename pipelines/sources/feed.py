"""What the source of a pipeline promises: parts of documents, each with what the cursor holds after it."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from pipelines.readers.base import Limits, Read
from schemas.errors import ConfigurationError, SourceError

# what the cursor holds of one thing, as JSON
Value: TypeAlias = dict[str, Any]
# what it holds of these keys; those that it does not know are left out
Known: TypeAlias = Callable[[Iterable[str]], Mapping[str, Value]]

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is committed together: new documents, things that are as they were, and the cursor after them."""

    reads: Sequence[Read] = ()
    num_unchanged: int = 0
    # what the cursor holds afterwards, by key; the rest of it stays
    cursor: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a source is to give: what is new by the cursor, or everything of a span of time."""

    known: Known
    limits: Limits = field(default_factory=Limits)
    # of a backfill, as they were given; `until` itself is not within
    since: str | None = None
    until: str | None = None

    def is_within(self, moment: datetime | None) -> bool:
        """Whether a moment is in the span; one that nobody knows is."""
        since, until = (text and as_moment(text) for text in (self.since, self.until))
        return moment is None or not ((since and moment < since) or (until and moment >= until))


class Feed(Protocol):
    """A source that remembers. Read again with the cursor of its parts, it gives what has come since.

    It may break off anywhere: what was committed stays, and the next reading goes on from there. Printed, it says
    what is read, without passwords.
    """

    # a whole reading sees all that is worth remembering, and the rest of the cursor may go
    forgets: bool

    def read(self, asked: Asked) -> Iterator[Part]:
        """The parts in their order.

        Raises:
            SourceError: it cannot be read.
        """


def as_moment(text: str) -> datetime:
    """A date, or a date and time, in UTC unless it says otherwise.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError as exc:
        hint = "Write it as 2024-05-31 or 2024-05-31T06:30+02:00."
        raise ConfigurationError(f"{text!r} is no date.", hint=hint) from exc
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def filled(text: str) -> str:
    """The text with variables of the environment in the places of `${NAME}`: secrets stay out of declarations.

    Raises:
        SourceError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise SourceError(
                f"The variable {name} is not set.",
                hint="Set it where the pipeline is run, as for `gleaner beat`.",
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)
