"""The place around the bad inputs, of which nothing may be touched."""

import functools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.readers import Limits, Read, read
from tests.cases.files import file_of
from tests.hostile.inputs.bad import PORT, SECRET, SECRET_FILE, Bad

# as by default, but for the time and memory that a small machine can spare
LIMITS = Limits(max_parse_s=20.0, max_parse_memory=1_000_000_000)


@functools.cache
def reads_of(given: Bad) -> tuple[Read, ...]:
    """Everything read of a bad input, once."""
    # a name that is no UTF-8 comes from a source so
    name = os.fsencode(given.name).decode("utf-8", "backslashreplace")
    return tuple(read(file_of(given.make(), name), limits=LIMITS))


class Outside:
    """A directory, a file with a secret, and an address that counts who knocks."""

    def __init__(self, directory: Path, door: socket.socket) -> None:
        self._directory, self._door = directory, door
        self._before = self._seen()

    def check(self) -> None:
        """Nothing was written, nobody came."""
        assert self._seen() == self._before
        assert Path(SECRET_FILE).read_text() == SECRET
        with pytest.raises(BlockingIOError):
            self._door.accept()

    def _seen(self) -> dict[str, bytes]:
        return {entry.name: entry.read_bytes() for entry in self._directory.iterdir()}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The working directory of the module's tests, and what is around it."""
    directory, here = tmp_path_factory.mktemp("outside"), Path.cwd()
    (directory / "mine.txt").write_text("mine")
    Path(SECRET_FILE).write_text(SECRET)
    with socket.create_server(("127.0.0.1", PORT)) as door:
        door.setblocking(False)
        os.chdir(directory)
        try:
            yield Outside(directory, door)
        finally:
            os.chdir(here)
            Path(SECRET_FILE).unlink()
