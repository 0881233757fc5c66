"""Word files: paragraphs and tables in the order of the body, between page headers and footers."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn
from lxml import etree  # type: ignore[import-untyped]

from pipelines.readers.base import Limits, too_large

# lxml's elements, of which there are no types
Element = Any

# honest files are mostly pictures, which hardly shrink; parsed XML takes twenty times its size
_MAX_INFLATION = 2
_MARKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_TEXT, _PARAGRAPH, _ROW, _CELL = qn("w:t"), qn("w:p"), qn("w:tr"), qn("w:tc")
# properties hold tab stops; a fallback repeats what is beside it, for old programs
_SKIPPED = {qn("w:pPr"), qn("w:rPr"), "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}


def text_of(data: bytes, limits: Limits) -> str:
    """Paragraphs as lines, table rows as lines of cells separated by tabs."""
    _check_inflation(data, limits)
    document = _opened(data)
    headers = _related(document, RELATIONSHIP_TYPE.HEADER)
    footers = _related(document, RELATIONSHIP_TYPE.FOOTER)
    parts = [*headers, document.element.body, *footers]
    return "\n".join(text for part in parts if (text := "".join(_pieces(part)).strip("\n")))


def _opened(data: bytes) -> Any:
    try:
        # python-docx parses without entities and network
        return docx.Document(io.BytesIO(data))
    except etree.XMLSyntaxError as exc:
        # all that lxml says when libxml2 is given no memory
        if str(exc.msg).startswith("unknown error"):
            raise MemoryError from exc
        raise


def _check_inflation(data: bytes, limits: Limits) -> None:
    """Refuses a zip bomb before anything is unpacked; zipfile unpacks no more than its directory says."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > _MAX_INFLATION * limits.max_bytes:
        raise too_large(
            size, f"bytes unpacked, {size / len(data):.0f} times its own", "max_bytes", limits.max_bytes
        )


def _related(document: Any, kind: str) -> list[Element]:
    relations = document.part.rels.values()
    return [relation.target_part.element for relation in relations if relation.reltype == kind]


def _pieces(element: Element) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag == _ROW:
            yield "\t".join(_line(cell) for cell in _cells(child)).rstrip("\t") + "\n"
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag not in _SKIPPED:
            yield from _pieces(child)
            if child.tag == _PARAGRAPH:
                yield "\n"


def _cells(row: Element) -> Iterator[Element]:
    """The cells of a row, also those in content controls; not those of tables within."""
    for child in row:
        if child.tag == _CELL:
            yield child
        else:
            yield from _cells(child)


def _line(cell: Element) -> str:
    return " ".join("".join(_pieces(cell)).split())
