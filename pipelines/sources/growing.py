"""A table that grows: the rows that were taken are passed over if they are as they were."""

import hashlib
from collections.abc import Iterator
from itertools import islice

from pipelines.readers import Limits, Read, read
from pipelines.sources.base import File
from pipelines.sources.feed import Part, Value

_UNMARKED: Value = {"size": None, "version": None}


def grown(
    file: File, known: Value | None, mark: Value, text_column: str | None, limits: Limits
) -> Iterator[Part]:
    """A part a row, from the first that is new; all rows if one of the earlier ones was changed.

    The cursor holds how many rows were taken and one hash of them all, and `mark` once the file was read to its end.
    """
    rows = read(file, text_column=text_column, limits=limits)
    digest, count = hashlib.sha256(), 0
    if known:
        for row in islice(rows, known["documents"]):
            digest.update(row.content_hash.encode())
            count += 1
        if (count, digest.hexdigest()) == (known["documents"], known["hash"]):
            yield Part(num_unchanged=count)
        else:
            rows = read(file, text_column=text_column, limits=limits)
            digest, count = hashlib.sha256(), 0
    yield from _taken(rows, file.origin, digest, count, mark)


def _taken(
    rows: Iterator[Read], origin: str, digest: "hashlib._Hash", count: int, mark: Value
) -> Iterator[Part]:
    for row in rows:
        digest.update(row.content_hash.encode())
        count += 1
        value = _UNMARKED | {"hash": digest.hexdigest(), "documents": count}
        yield Part(reads=(row,), cursor={origin: value})
    yield Part(cursor={origin: mark | {"hash": digest.hexdigest(), "documents": count}})
