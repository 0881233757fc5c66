"""Files named by paths, directories, globs and fsspec URLs."""

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pipelines.sources import remote
from pipelines.sources.base import File, fail
from schemas.errors import ConfigurationError, UnreadableDocumentError

# a scheme, or a chain of them as in `zip://*.csv::s3://bucket/rows.zip`
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)")
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
_ALLOWED = "Give a file, a directory, a glob as 'inbox/**/*.pdf', or a URL as s3://bucket/inbox."


class FileSource:
    """Yields the files of each path in turn: directories recursively and sorted, hidden names left out.

    A path that is there when the source is made and cannot be read later is yielded all the same, so that it
    fails with its reason.

    Raises:
        ConfigurationError: a path does not exist, or a glob matches no file (`may_be_empty`: that is all right).
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, may_be_empty: bool = False) -> None:
        if not paths:
            raise ConfigurationError("There is no path to read from.", hint=_ALLOWED)
        self._parts = [_part(os.fspath(path), may_be_empty=may_be_empty) for path in paths]

    def __iter__(self) -> Iterator[File]:
        for part in self._parts:
            yield from part()


def _part(path: str, *, may_be_empty: bool) -> Callable[[], Iterator[File]]:
    if path.startswith("file://"):
        path = path.removeprefix("file://")
    if os.path.lexists(path):
        return partial(_walk, str(Path(path).absolute()))
    if _URL.match(path):
        return remote.find(path, may_be_empty=may_be_empty)
    if not glob.has_magic(path):
        raise ConfigurationError(f"There is no file or directory {path!r}.", hint=_ALLOWED, path=path)
    # names are all that is held of a glob; pathlib's would take hidden files and refuse absolute patterns
    names = sorted(name for name in glob.iglob(path, recursive=True) if not Path(name).is_dir())  # noqa: PTH207
    if not names and not may_be_empty:
        raise ConfigurationError(
            f"No file matches {path!r}.", hint="`*` does not cross directories; `**/` does.", path=path
        )
    return partial(_each, names)


def _each(names: Sequence[str]) -> Iterator[File]:
    for name in names:
        yield from _walk(str(Path(name).absolute()))


def _walk(root: str) -> Iterator[File]:
    """The file, or those under the directory; a directory that links lead to again is walked once."""
    seen: set[tuple[int, int]] = set()
    pending = [root]
    while pending:
        path = pending.pop()
        try:
            status = Path(path).stat()
            is_directory = stat.S_ISDIR(status.st_mode)
            if is_directory and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                pending.extend(_children(path))
        except OSError as error:
            yield File(origin=_origin(path), size=None, opener=partial(fail, error))
            continue
        if not is_directory:
            yield File(
                origin=_origin(path),
                size=status.st_size,
                opener=partial(_open, path),
                version=str(status.st_mtime_ns),
                modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
            )


def _children(directory: str) -> list[str]:
    """The visible entries of a directory, the first of them last."""
    with os.scandir(directory) as entries:
        return sorted((entry.path for entry in entries if not entry.name.startswith(".")), reverse=True)


def _open(path: str) -> BinaryIO:
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UnreadableDocumentError(f"It is {kind}, not a file.", hint="Copy what it holds to a file.")
    # O_NONBLOCK: a pipe that takes the file's place meanwhile must not make us wait
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")


def _origin(path: str) -> str:
    # a name that is not UTF-8 holds lone surrogates, which no database stores
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")
