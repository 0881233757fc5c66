"""Files to documents: bytes in, one text or one reason out for each."""

from collections.abc import Iterator

from pipelines.readers import formats
from pipelines.readers.base import Limits, Read, reasons, too_large
from pipelines.readers.isolate import PARSER
from pipelines.readers.rows import read_rows
from pipelines.sources.base import File
from schemas.errors import DocumentError

__all__ = ["Limits", "Read", "read"]

_DEFAULT = Limits()
# a file object sets aside as much as it is asked for
_CHUNK_BYTES = 1 << 20


def read(file: File, *, text_column: str | None = None, limits: Limits = _DEFAULT) -> Iterator[Read]:
    """At least one Read of a file, and one for each row of csv, tsv, jsonl and parquet; never an exception.

    `text_column` names the column that is the text of a row. Without it a csv or parquet row becomes `column: value`
    lines, and a jsonl row gives its "text". MemoryError alone is passed on.
    """
    kind = formats.SUFFIXES.get(file.suffix, formats.UNKNOWN)
    try:
        if kind in formats.ROWS:
            head = _fetch(file, formats.HEAD_BYTES)
            if formats.by_signature(head) is None:
                yield from read_rows(file, kind, head, text_column=text_column, limits=limits)
                return
        data = _whole(file, limits)
    except DocumentError as error:
        yield Read.failed(file.origin, kind, error)
    else:
        yield _document(file, data, limits)


def _whole(file: File, limits: Limits) -> bytes:
    if file.size is not None and file.size > limits.max_bytes:
        raise too_large(file.size, "bytes", "max_bytes", limits.max_bytes)
    # sizes are not always known, and files grow
    data = _fetch(file, limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        raise too_large(len(data), "bytes or more", "max_bytes", limits.max_bytes)
    return data


def _fetch(file: File, num_bytes: int) -> bytes:
    """The first bytes, also from streams that give less at a time than they are asked for."""
    chunks = []
    with reasons("The file"), file.open() as stream:
        while num_bytes and (chunk := stream.read(min(num_bytes, _CHUNK_BYTES))):
            chunks.append(chunk)
            num_bytes -= len(chunk)
    return b"".join(chunks)


def _document(file: File, data: bytes, limits: Limits) -> Read:
    kind = formats.media_type(data, file.suffix)
    text_of = PARSER.text_of if formats.is_isolated(kind) else formats.text_of
    try:
        return Read.done(file.origin, kind, text_of(data, kind, limits))
    except DocumentError as error:
        return Read.failed(file.origin, kind, error, data)
