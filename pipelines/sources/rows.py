"""The rows of csv, tsv, jsonl and parquet files."""

from collections.abc import Iterator

from pipelines.readers.base import Read
from pipelines.readers.formats import ROWS, SUFFIXES, UNKNOWN
from pipelines.sources.base import File
from pipelines.sources.feed import Asked, Part, Value
from pipelines.sources.folder import Files
from schemas.errors import UnsupportedFormatError

_ALLOWED = " ".join(suffix for suffix, kind in SUFFIXES.items() if kind in ROWS)


class Rows(Files):
    """Each row of these tables is a document: the text of `text_column`, or `column: value` lines.

    Rows that are appended are new; of a table that is written anew, those whose text was never seen.
    """

    def _parts(self, file: File, known: Value | None, asked: Asked) -> Iterator[Part]:
        if SUFFIXES.get(file.suffix) in ROWS:
            yield from super()._parts(file, known, asked)
        elif not known:
            error = UnsupportedFormatError(
                f"It is no table; {_ALLOWED} are.", hint="Narrow the paths of Rows, or use Files."
            )
            failed = Read.failed(file.origin, SUFFIXES.get(file.suffix, UNKNOWN), error)
            value = {"size": None, "version": None, "hash": failed.content_hash, "documents": 1}
            yield Part(reads=(failed,), cursor={file.origin: value})
        else:
            yield Part(num_unchanged=1)
