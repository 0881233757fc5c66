"""The process in which parsers run: its limits, its death, and what it may not do."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pipelines.readers import Limits, formats, isolate
from pipelines.readers.isolate import Parser
from schemas.errors import DocumentTooLargeError, UnreadableDocumentError
from tests.cases import files
from tests.hostile.inputs import pdfs

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Limits()
GOOD = files.pdf("Total 12")
# a second of computing at least: its pages are many and each draws much
SLOW = pdfs.build(
    {
        1: pdfs.CATALOG,
        2: b"<< /Type /Pages /Kids [%s] /Count 400 >>" % b" ".join(b"%d 0 R" % n for n in range(6, 406)),
        4: pdfs.stream(b"BT /F1 12 Tf " + b"(Total) Tj " * 4000 + b"ET"),
        5: pdfs.FONT,
    }
    | dict.fromkeys(range(6, 406), pdfs.PAGE)
)
FULL = partial(files.word_with_body, "<w:p/>" * 5_000_000)


@pytest.fixture
def parser() -> Iterator[Parser]:
    made = Parser()
    yield made
    made.close()


def text_of(parser: Parser, data: bytes = GOOD, kind: str = formats.PDF, limits: Limits = LIMITS) -> str:
    return parser.text_of(data, kind, limits)


def pid_of(parser: Parser) -> int:
    assert parser._child
    return parser._child._process.pid


def test_folders_where_we_are_are_not_taken_for_our_packages(
    parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("schemas", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    assert text_of(parser) == "Total 12\n"


def test_a_document_that_takes_too_long_ends_with_the_limit_and_the_next_is_read(parser: Parser) -> None:
    with pytest.raises(
        DocumentTooLargeError, match=r"longer than 0.5 seconds of computing. Raise GLEANER_MAX_PARSE_S"
    ):
        text_of(parser, SLOW, limits=replace(LIMITS, max_parse_s=0.5))
    assert text_of(parser) == "Total 12\n"


def test_a_document_that_takes_too_much_memory_ends_with_the_limit_and_the_next_is_read(
    parser: Parser,
) -> None:
    with pytest.raises(
        DocumentTooLargeError, match=r"350,000,000 bytes of memory. Raise GLEANER_MAX_PARSE_M"
    ):
        text_of(parser, FULL(), formats.DOCX, replace(LIMITS, max_parse_memory=350_000_000))
    assert text_of(parser) == "Total 12\n"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_document_that_crashes_its_parser_ends_with_that_reason_and_the_next_is_read(
    parser: Parser, number: signal.Signals
) -> None:
    text_of(parser)
    crash = threading.Timer(0.3, os.kill, (pid_of(parser), number))
    crash.start()
    with pytest.raises(UnreadableDocumentError, match=f"Its parser died of it \\({number.name}\\)"):
        text_of(parser, SLOW)
    assert text_of(parser) == "Total 12\n"


def test_a_child_that_is_stopped_is_given_up(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolate, "_PATIENCE", 1)
    text_of(parser)
    os.kill(pid_of(parser), signal.SIGSTOP)
    with pytest.raises(DocumentTooLargeError, match=r"longer than 0\.3 seconds"):
        text_of(parser, limits=replace(LIMITS, max_parse_s=0.3))
    assert text_of(parser) == "Total 12\n"


def test_one_child_serves_many_documents_and_then_another_does(
    parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolate, "_MAX_DOCUMENTS", 3)
    pids = [(text_of(parser), pid_of(parser))[1] for _ in range(7)]
    assert pids == [pids[0]] * 3 + [pids[3]] * 3 + [pids[6]]
    assert len(set(pids)) == 3


def test_an_answer_that_nobody_waited_for_is_not_given_to_the_next(parser: Parser) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        text_of(parser)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            text_of(parser, SLOW)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert text_of(parser, files.pdf("Total 13")) == "Total 13\n"


def test_threads_take_turns(parser: Parser) -> None:
    found: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: text_of(parser, files.pdf(f"Total {n}"))}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: f"Total {n}\n" for n in range(8)}


def test_the_child_has_no_secrets_writes_nothing_and_hears_no_ctrl_c(
    parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLEANER_DATABASE_URL", "postgresql://gleaner:hunter2@db/gleaner")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    text_of(parser)
    process = Path(f"/proc/{pid_of(parser)}")
    assert b"hunter2" not in (process / "environ").read_bytes()
    limits = {
        line[:26].strip(): line[26:].split()[:2] for line in (process / "limits").read_text().splitlines()
    }
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert os.getpgid(pid_of(parser)) != os.getpgrp()


def test_the_child_goes_with_its_parent() -> None:
    program = (
        "import os, signal\n"
        "from pipelines.readers import Limits, formats\n"
        "from pipelines.readers.isolate import PARSER\n"
        "from tests.cases import files\n"
        "PARSER.text_of(files.pdf('x'), formats.PDF, Limits())\n"
        "print(PARSER._child._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    child = Path(f"/proc/{int(ended.stdout)}/cmdline")
    deadline = time.monotonic() + 30
    while child.exists() and b"pipelines.readers.child" in child.read_bytes():
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.05)


def test_a_fork_has_a_child_of_its_own(parser: Parser) -> None:
    text_of(parser)
    pid = os.fork()
    if not pid:
        # in the fork: nothing of pytest's may run
        os._exit(0 if text_of(parser, files.pdf("fork")) == "fork\n" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert text_of(parser) == "Total 12\n"
