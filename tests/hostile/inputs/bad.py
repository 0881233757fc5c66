"""A bad input, and how it may end."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from tests.servers import free_port

DONE = "done"
EMPTY = "empty_document"
BINARY = "binary_document"
TOO_LARGE = "document_too_large"
ENCRYPTED = "encrypted_document"
UNREADABLE = "unreadable_document"
UNSUPPORTED = "unsupported_format"

# what documents try to get at: a file whose content must never show, and an address at which nobody may knock
SECRET_FILE = f"{tempfile.gettempdir()}/gleaner-secret-{os.getpid()}"
SECRET = "what is kept next door"
PORT = free_port()
ADDRESS = f"127.0.0.1:{PORT}"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A file, made when it is needed."""

    name: str
    make: Callable[[], bytes]
    # of each of its documents: "done", or the code of its reason
    ends: frozenset[str]
    # what a clean text holds, and what it does not
    holds: str | None = None
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(char if char.isascii() and char.isprintable() else "?" for char in self.name)


def bad(
    name: str,
    data: bytes | str | Callable[[], bytes],
    *ends: str,
    holds: str | None = None,
    lacks: tuple[str, ...] = (),
) -> Bad:
    """A bad input of these bytes, that text, or what a function makes."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    make = data if callable(data) else lambda: data
    return Bad(name=name, make=make, ends=frozenset(ends), holds=holds, lacks=lacks)
