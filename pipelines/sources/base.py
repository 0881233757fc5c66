"""What every source yields: bytes with an origin."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

_PASSWORD = re.compile(r"(://[^/@:\s]*:)[^/@\s]+@")


@dataclass(frozen=True, kw_only=True)
class File:
    """Bytes that can be fetched, perhaps."""

    # an absolute POSIX path, or a URL without its password; always encodable as UTF-8
    origin: str
    # bytes; None where nobody knows before reading
    size: int | None
    # may raise anything: the readers make it the document's reason
    opener: Callable[[], BinaryIO]
    # another one when the bytes may be others: a modification time or an etag; None where nobody knows
    version: str | None = None
    modified_at: datetime | None = None
    # its extension says the format where the origin does not
    name: str | None = None

    def open(self) -> BinaryIO:
        """The bytes from their start, as often as it is called."""
        return self.opener()

    @property
    def suffix(self) -> str:
        """The extension in lower case, as `.pdf`; empty if there is none."""
        is_web = self.origin.startswith(("http://", "https://"))
        name = self.name or (re.split(r"[?#]", self.origin, maxsplit=1)[0] if is_web else self.origin)
        return PurePosixPath(name.partition("::")[0] if "://" in name else name).suffix.lower()


class Source(Protocol):
    """Where files come from; each iteration starts anew."""

    def __iter__(self) -> Iterator[File]: ...


def hide_passwords(text: str) -> str:
    """The text with `***` for the passwords of URLs in it."""
    return _PASSWORD.sub(r"\1***@", text)


def fail(error: Exception) -> BinaryIO:
    """The opener of a file of which it is known already why it cannot be opened."""
    raise error
