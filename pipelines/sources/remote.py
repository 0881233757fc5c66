"""Files that fsspec knows: s3://, https://, memory:// and the like."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from dateutil.parser import parse
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from pipelines.sources.base import File, fail, hide_passwords
from schemas.errors import ConfigurationError

# by which file systems tell that a file was written anew, the surest first
_MOMENTS = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "sha", *_MOMENTS)


class _Entry(NamedTuple):
    """What is kept of fsspec's description of a file or directory."""

    path: str
    is_directory: bool
    size: int | None
    version: str | None
    modified_at: datetime | None

    @property
    def is_hidden(self) -> bool:
        return self.path.rpartition("/")[2].startswith(".")


def find(url: str, *, may_be_empty: bool = False) -> Callable[[], Iterator[File]]:
    """The files at a URL, under it, or that match it, to be iterated any number of times.

    Raises:
        ConfigurationError: nothing is there (`may_be_empty`: a pattern may match nothing), or its file system cannot
            be used.
    """
    shown = hide_passwords(url)
    try:
        files, path = url_to_fs(url)
        # file systems live as long as the process, and remember what they listed
        files.invalidate_cache()
        roots = _roots(files, path, is_web=url.startswith(("http://", "https://")))
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"There is nothing at {shown}.", hint="Check the address and that you may read it.", path=shown
        ) from exc
    except Exception as exc:
        # file systems are plugins and raise what they like
        raise ConfigurationError(
            hide_passwords(f"{url} cannot be read: {exc}."),
            hint="Check the address, credentials and packages.",
            path=shown,
        ) from exc
    if not roots and not may_be_empty:
        raise ConfigurationError(
            f"No file matches {shown}.", hint="`*` does not cross directories; `**/` does.", path=shown
        )
    return partial(_walk, files, roots, _Origin(url, path, files))


def _roots(files: AbstractFileSystem, path: str, *, is_web: bool) -> list[_Entry]:
    # in a web address ? and [ are ordinary characters
    if is_web or not re.search(r"[*?\[]", path):
        return [_entry(files.info(path))]
    found = [_entry(info) for info in files.glob(path, detail=True).values()]
    return sorted(entry for entry in found if not (entry.is_directory or entry.is_hidden))


def _entry(info: dict[str, Any]) -> _Entry:
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), None)
    moment = next((info[name] for name in _MOMENTS if info.get(name)), None)
    return _Entry(info["name"], info["type"] == "directory", info.get("size"), version, _moment(moment))


def _moment(value: Any) -> datetime | None:
    """What a file system says of a time: a datetime, seconds since 1970, or a text as in HTTP or ISO 8601."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        try:
            value = parse(value)
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _walk(files: AbstractFileSystem, roots: list[_Entry], origin: "_Origin") -> Iterator[File]:
    pending = roots[::-1]
    while pending:
        entry = pending.pop()
        opener = partial(files.open, entry.path, "rb")
        if entry.is_directory:
            try:
                pending.extend(_children(files, entry.path))
                continue
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - becomes the reason of the document
                opener = partial(fail, error)
        yield File(
            origin=origin.of(entry.path),
            size=entry.size,
            opener=opener,
            version=entry.version,
            modified_at=entry.modified_at,
        )


def _children(files: AbstractFileSystem, directory: str) -> list[_Entry]:
    """The visible entries of a directory, the first of them last."""
    entries = [_entry(info) for info in files.ls(directory, detail=True)]
    # object stores list the mark of the directory itself too
    inside = [entry for entry in entries if entry.path.rstrip("/") != directory.rstrip("/")]
    return sorted((entry for entry in inside if not entry.is_hidden), reverse=True)


class _Origin:
    """Turns a file system's paths back into URLs in the way the first one was written."""

    def __init__(self, url: str, path: str, files: AbstractFileSystem) -> None:
        first, chain, rest = url.partition("::")
        first = first.rstrip("/")
        self._files = files
        # what the file system took away from the URL: scheme, and for some the host
        self._before = first.removesuffix(path) if path and first.endswith(path) else None
        self._after = chain + rest

    def of(self, path: str) -> str:
        """The URL of a path, its password hidden."""
        before = self._before
        url = self._files.unstrip_protocol(path) if before is None else before + path
        return hide_passwords(url + self._after)
