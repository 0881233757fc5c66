"""csv, tsv, jsonl and parquet: each row is a document. The file is never loaded whole."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pipelines.readers import parquet
from pipelines.readers.base import (
    TEXT_COLUMN_HINT,
    Limits,
    Read,
    first_line,
    lines_of,
    no_column,
    reasons,
    too_large,
)
from pipelines.readers.formats import JSONL, PARQUET, TSV
from pipelines.readers.text import decode, encoding_of, stored
from pipelines.sources.base import File
from schemas.errors import DocumentError, EmptyDocumentError, UnreadableDocumentError

_DELIMITERS = ",;\t|"
# bytes that are not UTF-8, as `surrogateescape` hands them on
_ESCAPED = re.compile("[\udc80-\udcff]")
_MIN_FIELD_SIZE = 131_072

Texts = Iterator[str | DocumentError]
Row = TypeVar("Row", str, list[str])


def read_rows(
    file: File, media_type: str, head: bytes, *, text_column: str | None, limits: Limits
) -> Iterator[Read]:
    """One Read a row; one for the file if it has none, or if it breaks off.

    `head` are its first bytes, by which the encoding and delimiter are found.
    """
    number = 0
    try:
        with reasons("The file"), _texts_of(file, media_type, head, text_column, limits) as texts:
            for number, found in enumerate(texts, start=1):
                yield _row(f"{file.origin}#row={number}", media_type, found, limits)
        if not number:
            raise EmptyDocumentError("There are no rows in it.")
    except DocumentError as error:
        yield Read.failed(file.origin, media_type, error)


def _row(origin: str, media_type: str, found: str | DocumentError, limits: Limits) -> Read:
    try:
        if isinstance(found, DocumentError):
            raise found
        return Read.done(origin, media_type, stored(found, limits))
    except DocumentError as error:
        return Read.failed(origin, media_type, error)


@contextmanager
def _texts_of(
    file: File, media_type: str, head: bytes, text_column: str | None, limits: Limits
) -> Iterator[Texts]:
    if media_type == PARQUET:
        with file.open() as data:
            yield parquet.texts(data, text_column)
    else:
        sample = decode(head)
        with _opened(file, head) as stream:
            yield _texts(stream, media_type, sample, text_column, limits)


def _opened(file: File, head: bytes) -> io.TextIOWrapper:
    encoding = encoding_of(head, is_whole=False)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    return io.TextIOWrapper(file.open(), encoding, errors, newline="")


def _texts(
    stream: io.TextIOWrapper, media_type: str, sample: str, text_column: str | None, limits: Limits
) -> Texts:
    lines = _Lines(stream, limits.max_bytes)
    if media_type == JSONL:
        return _each(lines, lambda line: _object_text(line, text_column or "text"))
    # the only way to let a field be as long as a document; for the whole process
    csv.field_size_limit(max(_MIN_FIELD_SIZE, limits.max_chars))
    # strict, or a quote that is never closed would quietly make one row of all that follow
    table = csv.reader(lines, delimiter="\t" if media_type == TSV else _delimiter(sample), strict=True)
    header = _header(table, text_column)
    return _each(table, lambda cells: _cells_text(header, cells, text_column))


class _Lines:
    """Lines of bounded length; one that is longer raises, and the next call goes on after it."""

    def __init__(self, stream: io.TextIOWrapper, max_chars: int) -> None:
        self._stream = stream
        self._max_chars = max_chars

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._stream.readline(self._max_chars + 1)
        if not line:
            raise StopIteration
        if len(line) > self._max_chars:
            raise too_large(self._pass_over(line), "characters in a line", "max_bytes", self._max_chars)
        if _ESCAPED.search(line):
            return decode(line.encode("utf-8", "surrogateescape"))
        return line

    def _pass_over(self, part: str) -> int:
        """Reads to the end of the line; how long it was."""
        length = len(part)
        while part and not part.endswith(("\n", "\r")):
            part = self._stream.readline(self._max_chars)
            length += len(part)
        return length


def _each(rows: Iterator[Row], text_of: Callable[[Row], str]) -> Texts:
    """The text of each row that is not blank, or why it has none; what ends the whole file is raised."""
    while True:
        found: str | DocumentError
        try:
            row = next(rows, None)
            if row is None:
                return
            if not row or row == [""] or (isinstance(row, str) and row.isspace()):
                continue
            found = text_of(row)
        except csv.Error as error:
            found = UnreadableDocumentError(f"The row cannot be read: {first_line(error)}.")
        except DocumentError as error:
            found = error
        yield found


def _delimiter(sample: str) -> str:
    """That which cuts the first row into most cells; csv.Sniffer takes letters for delimiters."""

    def num_cells(delimiter: str) -> int:
        return len(next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), []))

    return max(_DELIMITERS, key=num_cells)


def _header(table: Iterator[list[str]], text_column: str | None) -> list[str]:
    header = [name.strip() or f"column {i}" for i, name in enumerate(next(table, []), start=1)]
    if header and text_column is not None and text_column not in header:
        raise no_column(text_column, header)
    return header


def _cells_text(header: list[str], cells: list[str], text_column: str | None) -> str:
    """The text of one column, or `column: value` lines of those that hold something."""
    if len(cells) > len(header) and any(cells[len(header) :]):
        raise UnreadableDocumentError(
            f"The row has {len(cells)} cells and the header {len(header)}.",
            hint="A value that holds the delimiter needs quotes.",
        )
    if text_column is None:
        pairs = zip(header, cells, strict=False)
        return lines_of(pairs)
    column = header.index(text_column)
    if column >= len(cells):
        raise UnreadableDocumentError(f"The row ends before its column {text_column!r}.")
    return cells[column]


def _object_text(line: str, text_column: str) -> str:
    with reasons("The row"):
        row = json.loads(line)
    if not isinstance(row, dict):
        raise UnreadableDocumentError("The row is not a JSON object.", hint='Write {"text": "..."}.')
    if text_column not in row:
        raise no_column(text_column, row)
    value = row[text_column]
    if not isinstance(value, str | None):
        raise UnreadableDocumentError(
            f"The column {text_column!r} holds no text but {type(value).__name__}.", hint=TEXT_COLUMN_HINT
        )
    return value or ""
