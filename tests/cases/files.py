"""Files of every format, made on the spot."""

import io
import zipfile
from collections.abc import Sequence

import docx
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from pipelines.readers import Limits, Read, read
from pipelines.sources.base import File


def file_of(data: bytes, name: str) -> File:
    """A file in memory."""
    return File(origin=f"/inbox/{name}", size=len(data), opener=lambda: io.BytesIO(data))


def reads_of(data: bytes, name: str, *, text_column: str | None = None, **limits: int) -> list[Read]:
    """Everything read of a file in memory."""
    return list(read(file_of(data, name), text_column=text_column, limits=Limits(**limits)))


def read_of(data: bytes, name: str, **limits: int) -> Read:
    """The only thing read of a file in memory."""
    (only,) = reads_of(data, name, **limits)
    return only


def text_of(data: bytes, name: str) -> str:
    """The text of a file that can be read."""
    found = read_of(data, name)
    assert found.text is not None, found.error
    return found.text


def code_of(data: bytes, name: str, **limits: int) -> str:
    """The reason why a file cannot be read."""
    found = read_of(data, name, **limits)
    assert found.error is not None
    assert found.text is None
    return found.error.code


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text a page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for page in pages:
        canvas.drawString(72, 720, page)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def encrypted_pdf(text: str, *, user_password: str) -> bytes:
    """A PDF that asks for a password unless it is empty."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(text))))
    writer.encrypt(user_password, "owner", algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def word(paragraphs: Sequence[str] = (), table: Sequence[Sequence[str]] = (), after: str = "") -> bytes:
    """A Word file: paragraphs, a table, a paragraph."""
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(rows=len(table), cols=len(table[0]))
        for row, texts in zip(grid.rows, table, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    document.add_paragraph(after)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def word_with_body(body: str, doctype: str = "") -> bytes:
    """A Word file whose document.xml is written by hand."""
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    xml = f'<?xml version="1.0"?>{doctype}<w:document xmlns:w="{namespace}"><w:body>{body}</w:body></w:document>'
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word())) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, xml if name == "word/document.xml" else source.read(name))
    return buffer.getvalue()
