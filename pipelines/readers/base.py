"""What a reader gives, its limits, and how a parser's exception becomes a reason."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from pipelines.sources.base import hide_passwords
from schemas.errors import DocumentError, DocumentTooLargeError, UnreadableDocumentError

TEXT_COLUMN_HINT = "Name the column that holds the text: --text-column."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a document may have at most; for csv and jsonl `max_bytes` holds for a row, not for the file."""

    max_bytes: int = 20_000_000
    max_pages: int = 500
    max_chars: int = 2_000_000
    # of a parser's process: seconds of a processor, bytes
    max_parse_s: float = 60.0
    max_parse_memory: int = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class Read:
    """One document, or the reason why there is none."""

    # that of the file; a row has `#row=N` after it, N counted from 1 without the header and blank lines
    origin: str
    media_type: str
    # exactly one of text and error is None
    text: str | None
    # SHA-256 as hexadecimal digits, of the text; without one, of the reason and the bytes (or the origin)
    content_hash: str
    error: DocumentError | None
    # of the document that it came with, as an attachment does with its message
    parent_origin: str | None = None

    @classmethod
    def done(cls, origin: str, media_type: str, text: str) -> "Read":
        """A document."""
        return cls(
            origin=origin, media_type=media_type, text=text, content_hash=_digest(text.encode()), error=None
        )

    @classmethod
    def failed(cls, origin: str, media_type: str, error: DocumentError, data: bytes | None = None) -> "Read":
        """No document: `data` are its bytes if all of them were fetched."""
        # NUL stands in no text, so the bytes of a broken PDF are not taken for a text that reads the same
        digest = _digest(f"\0{error}\0".encode() + (origin.encode() if data is None else data))
        return cls(origin=origin, media_type=media_type, text=None, content_hash=digest, error=error)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def reasons(subject: str) -> Iterator[None]:
    """Turns whatever a parser or a file system raises into an UnreadableDocumentError."""
    try:
        yield
    except (DocumentError, MemoryError):
        raise
    except Exception as exc:
        raise UnreadableDocumentError(f"{subject} cannot be read: {first_line(exc)}.") from exc


def first_line(error: Exception) -> str:
    """The start of an exception's message in printable characters, for it may quote the document."""
    text = hide_passwords((error.strerror if isinstance(error, OSError) else None) or str(error))
    line = next(iter(text.strip().splitlines()), "") or type(error).__name__
    return "".join(char if char.isprintable() else "?" for char in line[:200]).rstrip(".")


def lines_of(pairs: Iterable[tuple[str, str]]) -> str:
    """A row as `column: value` lines of those that hold something."""
    return "\n".join(f"{name}: {value}" for name, value in pairs if value.strip())


def no_column(name: str, columns: Iterable[str]) -> UnreadableDocumentError:
    """The error for rows without this column."""
    shown = ", ".join(repr(column) for column in islice(columns, 20))
    said = f"There is no column {name!r}; there are: {shown or 'none'}."
    return UnreadableDocumentError(said, hint=TEXT_COLUMN_HINT)


def too_large(size: int, unit: str, limit: str, allowed: int) -> DocumentTooLargeError:
    """The error for a document of `size` units where the limit of this name allows fewer."""
    return DocumentTooLargeError(
        f"It has {size:,} {unit}, and {limit} allows {allowed:,}.",
        hint=f"Raise GLEANER_{limit.upper()} or split the document.",
        size=size,
        limit=limit,
        allowed=allowed,
    )
