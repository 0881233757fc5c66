"""Files named by paths, directories, globs and URLs."""

import io
import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import fsspec
import pytest

from pipelines.readers import read
from pipelines.sources.base import File
from pipelines.sources.files import FileSource
from schemas.errors import ConfigurationError


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """b.txt, a/x.txt, a/deep/y.md, and hidden ones."""
    root = tmp_path / "inbox"
    for name in ("b.txt", "a/x.txt", "a/deep/y.md", ".hidden.txt", ".git/config", "a/.z.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")
    return root


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


def origins(*paths: str | Path) -> list[str]:
    return [file.origin for file in FileSource(paths)]


def code_of(file: File) -> str:
    """The reason why a file cannot be read."""
    (only,) = read(file)
    assert only.error is not None
    return only.error.code


def test_directory_is_walked_in_order_without_hidden_files(inbox: Path) -> None:
    assert origins(inbox) == [f"{inbox}/a/deep/y.md", f"{inbox}/a/x.txt", f"{inbox}/b.txt"]


def test_file_has_its_size_bytes_and_suffix(inbox: Path) -> None:
    (file,) = FileSource([inbox / "b.txt"])
    with file.open() as stream:
        assert stream.read() == b"text of b.txt"
    assert (file.size, file.suffix) == (13, ".txt")


def test_paths_are_absolute_and_keep_their_order(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inbox)
    assert origins("b.txt", "a/x.txt", f"file://{inbox}/b.txt") == [
        f"{inbox}/b.txt",
        f"{inbox}/a/x.txt",
        f"{inbox}/b.txt",
    ]


def test_a_hidden_file_that_is_named_is_read(inbox: Path) -> None:
    assert origins(inbox / ".hidden.txt") == [f"{inbox}/.hidden.txt"]
    assert origins(inbox / ".git") == [f"{inbox}/.git/config"]


def test_globs(inbox: Path) -> None:
    assert origins(inbox / "*") == [f"{inbox}/b.txt"]
    assert origins(inbox / "**/*.txt") == [f"{inbox}/a/x.txt", f"{inbox}/b.txt"]


def test_a_file_with_the_characters_of_a_glob_or_url_in_its_name(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inbox)
    Path("a[1].txt").write_text("x")
    Path("s3::b.txt").write_text("x")
    assert origins("a[1].txt", "s3::b.txt") == [f"{inbox}/a[1].txt", f"{inbox}/s3::b.txt"]


def test_iterating_twice_sees_new_files(inbox: Path) -> None:
    source = FileSource([inbox])
    assert len(list(source)) == 3
    (inbox / "c.txt").write_text("new")
    assert len(list(source)) == 4


@pytest.mark.parametrize(
    "path", ["missing.txt", "missing/", "*.nothing", "a\0b", "x" * 5_000, "memory://none", "memory://*.x"]
)
def test_a_path_that_leads_nowhere_is_an_error_at_once(
    path: str, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inbox)
    with pytest.raises(ConfigurationError) as caught:
        FileSource([inbox, path])
    assert path in str(caught.value) or repr(path) in str(caught.value)
    assert caught.value.hint


def test_no_path_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no path"):
        FileSource([])


@pytest.mark.parametrize("url", ["nosuchscheme://a/b", "http://127.0.0.1:1/a.txt"])
def test_a_url_that_cannot_be_used_is_an_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match=url):
        FileSource([url])


def test_errors_hide_passwords() -> None:
    with pytest.raises(ConfigurationError) as caught:
        FileSource(["nosuchscheme://user:secret@host/b"])
    assert "secret" not in str(caught.value)
    assert "user" in str(caught.value)


def test_what_cannot_be_opened_fails_alone(inbox: Path) -> None:
    os.mkfifo(inbox / "pipe.txt")
    (inbox / "loop.txt").symlink_to("loop.txt")
    (inbox / "broken.txt").symlink_to("nowhere.txt")
    (inbox / "device.txt").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(inbox / "socket.txt"))
        files = {Path(file.origin).name: file for file in FileSource([inbox])}
        for name in ("pipe.txt", "loop.txt", "broken.txt", "device.txt", "socket.txt"):
            assert code_of(files.pop(name)) == "unreadable_document", name
    assert len(files) == 3


def test_a_file_that_vanishes_fails_alone(inbox: Path) -> None:
    files = list(FileSource([inbox]))
    (inbox / "b.txt").unlink()
    results = [result for file in files for result in read(file)]
    assert [result.error is None for result in results] == [True, True, False]
    assert "No such file" in str(results[-1].error)


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hang(inbox: Path) -> None:
    files = list(FileSource([inbox]))
    (inbox / "b.txt").unlink()
    os.mkfifo(inbox / "b.txt")
    assert code_of(files[-1]) == "unreadable_document"


def test_a_directory_that_may_not_be_listed_fails_as_a_document(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("/deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    deep, *others = FileSource([inbox])
    assert deep.origin == f"{inbox}/a/deep"
    assert "Permission denied" in str(next(read(deep)).error)
    assert len(others) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_fails_alone(inbox: Path) -> None:
    (inbox / "b.txt").chmod(0)
    assert code_of(list(FileSource([inbox]))[-1]) == "unreadable_document"


def test_directories_that_link_to_each_other_are_walked_once(inbox: Path) -> None:
    (inbox / "a/up").symlink_to(inbox)
    (inbox / "a/deep/a").symlink_to(inbox / "a")
    assert len(origins(inbox)) == 3


def test_names_that_are_not_utf8_can_be_stored(inbox: Path) -> None:
    path = os.fsencode(inbox) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_text("text")
    file = list(FileSource([inbox]))[-1]
    assert file.origin == f"{inbox}/caf\\xe9.txt"
    assert next(read(file)).text == "text"


def test_memory_urls(memory: fsspec.AbstractFileSystem) -> None:
    for name in ("/in/b.txt", "/in/a/x.md", "/in/.hidden", "/out/c.txt"):
        memory.pipe_file(name, b"text")
    assert origins("memory://in") == ["memory://in/a/x.md", "memory://in/b.txt"]
    assert origins("memory://in/") == ["memory://in/a/x.md", "memory://in/b.txt"]
    assert origins("memory://in/*.txt") == ["memory://in/b.txt"]
    assert origins("memory://**/*.md") == ["memory://in/a/x.md"]
    assert origins("memory://in/*") == ["memory://in/b.txt"]
    assert origins("memory://in/b.txt") == ["memory://in/b.txt"]
    (file,) = FileSource(["memory://in/b.txt"])
    assert (file.size, file.suffix, next(read(file)).text) == (4, ".txt", "text")


def test_chained_urls(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/a.txt", "zipped")
    (file,) = FileSource([f"zip://in/*.txt::file://{tmp_path}/z.zip"])
    assert file.origin == f"zip://in/a.txt::file://{tmp_path}/z.zip"
    assert (file.suffix, next(read(file)).text) == (".txt", "zipped")


def test_a_remote_file_that_fails_becomes_a_failed_document(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe_file("/in/a.txt", b"text")
    (file,) = FileSource(["memory://in"])
    memory.rm_file("/in/a.txt")
    assert code_of(file) == "unreadable_document"


def test_suffix_of_web_addresses() -> None:
    for origin, suffix in {
        "https://x.org/a.PDF?sig=b.txt#c.d": ".pdf",
        "https://x.org/a": "",
        "s3://b/what?.csv": ".csv",
        "/a#b.c/x": "",
        "/a#b?.eml": ".eml",
    }.items():
        assert File(origin=origin, size=None, opener=io.BytesIO).suffix == suffix


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path.startswith("/a.html")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"<p>a page" if found else b"")

    def log_message(self, *args: object) -> None:
        """Silent."""


def test_web_addresses() -> None:
    pytest.importorskip("aiohttp")
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        (file,) = FileSource([f"{base}/a.html?id=[1]"])
        (only,) = read(file)
        assert (only.origin, only.text) == (f"{base}/a.html?id=[1]", "a page")
        with pytest.raises(ConfigurationError, match="nothing"):
            FileSource([f"{base}/b.html"])
        server.shutdown()
