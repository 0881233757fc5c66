"""Files that come and change: told by size and modification time or etag, and for certain by the hash of the text."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from pipelines.readers import read
from pipelines.readers.formats import ROWS, SUFFIXES
from pipelines.sources.base import File, hide_passwords
from pipelines.sources.feed import Asked, Part, Value, filled
from pipelines.sources.files import FileSource
from pipelines.sources.growing import grown
from schemas.errors import ConfigurationError, PipelineError, SourceError, UnreadableDocumentError

_LISTED_TOGETHER = 500
# a file may be written twice within one tick of its file system's clock
_UNSURE = timedelta(seconds=2)


class Files:
    """New and changed files of paths, directories, globs and fsspec URLs; each row of a table is a document.

    A file is as it was if size and modification time or etag are, and else if its text is. Of a table that only grew,
    the rows that came are new.

    Raises:
        PipelineError: there is no path.
    """

    forgets = False

    def __init__(self, *paths: str | os.PathLike[str], text_column: str | None = None) -> None:
        if not paths:
            hint = "Name files, directories, globs or URLs, as Files('inbox', 's3://bucket/*.pdf')."
            raise PipelineError(f"{type(self).__name__} has no path to read from.", hint=hint)
        self._paths = [os.fspath(path) for path in paths]
        self._text_column = text_column

    def __str__(self) -> str:
        return ", ".join(map(hide_passwords, self._paths))

    def read(self, asked: Asked) -> Iterator[Part]:
        """What is new, a file or a row at a time."""
        try:
            source = FileSource([filled(path) for path in self._paths], may_be_empty=True)
        except ConfigurationError as exc:
            raise SourceError(exc.message, hint=exc.hint) from exc
        files = iter(source)
        while together := list(islice(files, _LISTED_TOGETHER)):
            known = asked.known(file.origin for file in together)
            for file in together:
                if asked.is_within(file.modified_at):
                    yield from self._parts(file, known.get(file.origin), asked)

    def _parts(self, file: File, known: Value | None, asked: Asked) -> Iterator[Part]:
        mark = _mark(file)
        if known and mark["version"] is not None and known.items() >= mark.items():
            yield Part(num_unchanged=known["documents"])
        elif SUFFIXES.get(file.suffix) in ROWS:
            yield from grown(file, known, mark, self._text_column, asked.limits)
        else:
            yield _document(file, known, mark, asked)


def _mark(file: File) -> Value:
    """What tells a file from what it was, without reading it."""
    modified_at = file.modified_at
    is_unsure = modified_at is not None and datetime.now(UTC) - modified_at < _UNSURE
    return {"size": file.size, "version": None if is_unsure else file.version}


def _document(file: File, known: Value | None, mark: Value, asked: Asked) -> Part:
    (one,) = read(file, limits=asked.limits)
    is_same = known is not None and known["hash"] == one.content_hash
    if isinstance(one.error, UnreadableDocumentError):
        # it may have been the disk or the network: looked at again the next time
        mark = mark | {"version": None}
    value = mark | {"hash": one.content_hash, "documents": 1}
    return Part(reads=() if is_same else (one,), num_unchanged=int(is_same), cursor={file.origin: value})
