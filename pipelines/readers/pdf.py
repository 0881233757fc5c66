"""The text layer of PDF files."""

import io
import logging

from pypdf import PdfReader
from pypdf.errors import DependencyError

from pipelines.readers.base import Limits, reasons, too_large
from schemas.errors import EmptyDocumentError, EncryptedDocumentError

# pypdf reports every flaw that it repairs
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def text_of(data: bytes, limits: Limits) -> str:
    """The text of the pages, a blank line between them."""
    reader = _opened(data)
    num_pages = len(reader.pages)
    if num_pages > limits.max_pages:
        raise too_large(num_pages, "pages", "max_pages", limits.max_pages)
    text = _pages_text(reader, limits)
    if not text.strip():
        raise EmptyDocumentError(
            f"Its {num_pages} pages have no text layer.",
            hint="Scanned pages need OCR first, as by `ocrmypdf`.",
            pages=num_pages,
        )
    return text


def _pages_text(reader: PdfReader, limits: Limits) -> str:
    texts = []
    num_chars = 0
    for number, page in enumerate(reader.pages, start=1):
        with reasons(f"Page {number}"):
            texts.append(page.extract_text())
        num_chars += len(texts[-1])
        if num_chars > limits.max_chars:
            raise too_large(num_chars, f"characters up to page {number}", "max_chars", limits.max_chars)
    return "\n\n".join(texts)


def _opened(data: bytes) -> PdfReader:
    """The PDF, if it may be read by everybody; it may restrict, say, printing."""
    try:
        reader = PdfReader(io.BytesIO(data))
        if not reader.is_encrypted or reader.decrypt(""):
            return reader
    except DependencyError as exc:
        raise EncryptedDocumentError(
            "It is encrypted with AES, which needs a package that is missing.",
            hint="`pip install cryptography`, or store it without encryption.",
        ) from exc
    raise EncryptedDocumentError(
        "It is protected by a password.", hint="Store it without one, as by `qpdf --decrypt --password=...`."
    )
