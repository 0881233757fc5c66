"""Which format a file has, and who reads it."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

from pipelines.readers import mail, pdf, text, webpage, word
from pipelines.readers.base import Limits, reasons
from schemas.errors import EncryptedDocumentError, UnsupportedFormatError

HEAD_BYTES = 65_536
UNKNOWN = "application/octet-stream"
PLAIN = "text/plain"
HTML = "text/html"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSONL = "application/jsonl"
PARQUET = "application/vnd.apache.parquet"
_ZIP = "application/zip"
_OLE = "application/x-ole-storage"

SUFFIXES = {
    ".txt": PLAIN,
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".eml": "message/rfc822",
    ".pdf": PDF,
    ".docx": DOCX,
    ".csv": CSV,
    ".tsv": TSV,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".parquet": PARQUET,
}
ROWS = frozenset({CSV, TSV, JSONL, PARQUET})

_SIGNATURES = {
    b"%PDF-": PDF,
    b"PK\x03\x04": _ZIP,
    b"PK\x05\x06": _ZIP,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": _OLE,
    b"{\\rtf": "application/rtf",
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"\x1f\x8b": "application/gzip",
}


class Format(NamedTuple):
    """How errors call it, and the function from bytes to text."""

    name: str
    text_of: Callable[[bytes, Limits], str]
    is_isolated: bool = True


def _plain(data: bytes, limits: Limits) -> str:
    return text.decode(data)


_FORMATS = {
    PLAIN: Format("The text", _plain, is_isolated=False),
    "text/markdown": Format("The text", _plain, is_isolated=False),
    HTML: Format("The page", webpage.text_of),
    "message/rfc822": Format("The email", mail.text_of),
    PDF: Format("The PDF", pdf.text_of),
    DOCX: Format("The Word file", word.text_of),
}


def media_type(data: bytes, suffix: str) -> str:
    """By signature, else by extension, else text."""
    named = SUFFIXES.get(suffix)
    found = by_signature(data) or named
    if found:
        # of a Word file cut short the name may be all that is left
        return DOCX if (found, named) == (_ZIP, DOCX) else found
    is_html = data[:1024].lstrip().lower().startswith((b"<!doctype html", b"<html"))
    return HTML if is_html else PLAIN


def by_signature(data: bytes) -> str | None:
    """The media type that the first bytes prove."""
    start = data[:1024].lstrip()
    found = next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
    # the names in a zip file are not packed
    return DOCX if found == _ZIP and b"word/" in data else found


def format_of(kind: str, data: bytes) -> Format:
    """The format of a media type.

    Raises:
        DocumentError: no reader knows it.
    """
    if kind in _FORMATS:
        return _FORMATS[kind]
    if kind == _OLE and "EncryptedPackage".encode("utf-16-le") in data:
        raise EncryptedDocumentError("It is an Office file with a password.", hint="Store it without one.")
    step = "Run OCR over it first." if kind.startswith("image/") else "Convert it to one of these."
    raise UnsupportedFormatError(
        f"No reader knows {kind}; there are readers for {' '.join(SUFFIXES)} and plain text of any name.",
        hint=step,
        media_type=kind,
    )


def text_of(data: bytes, kind: str, limits: Limits) -> str:
    """The text of a document of this media type as it is stored.

    Raises:
        DocumentError: it has none.
    """
    form = format_of(kind, data)
    with reasons(form.name), warnings.catch_warnings(action="ignore"):
        return text.stored(form.text_of(data, limits), limits)


def is_isolated(kind: str) -> bool:
    """Whether its parser may hang, crash or fill the memory, and so runs in a process of its own."""
    return kind in _FORMATS and _FORMATS[kind].is_isolated
