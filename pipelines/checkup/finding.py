"""What a check says: ok, warning or error, what it found, and the next step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.errors import GleanerError
from workers.runtime import Runtime


class Mark(StrEnum):
    """How bad it is: an error must be mended, a warning may be meant so."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Said:
    """What one check says."""

    mark: Mark
    found: str
    # what to do about it
    step: str = ""


def ok(found: str) -> Said:
    """All is well."""
    return Said(Mark.OK, found)


def warning(found: str, step: str) -> Said:
    """It works, and may not be meant so."""
    return Said(Mark.WARNING, found, step)


def error(found: str, step: str) -> Said:
    """It does not work, or loses something some day."""
    return Said(Mark.ERROR, found, step)


# several findings, or none where there is nothing to check
Check = Callable[[Runtime], Iterator[Said]]


@dataclass(frozen=True)
class Finding:
    """A finding under the name of its check."""

    check: str
    said: Said


def examine(runtime: Runtime, checks: Sequence[tuple[str, Check]]) -> Iterator[Finding]:
    """Every finding of every check; what is raised is one of them."""
    for name, check in checks:
        try:
            for said in check(runtime):
                yield Finding(name, said)
        except GleanerError as exc:
            yield Finding(name, error(exc.message, exc.hint))
