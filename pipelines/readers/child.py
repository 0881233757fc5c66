"""The process in which parsers run: a request on standard input, an answer on standard output, until either closes.

A request is a line of JSON and the bytes of a document, an answer a line of JSON. Nothing is unpickled on either side.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pipelines.readers import formats
from pipelines.readers.base import Limits
from schemas.errors import DocumentError


def answer(data: bytes, kind: str, limits: Limits) -> dict[str, Any]:
    """The text, the error or the limit in an answer."""
    try:
        with _limited(limits):
            return {"text": formats.text_of(data, kind, limits)}
    except DocumentError as error:
        named = {"error": type(error).__name__, "message": error.message}
        return named | {"hint": error.hint, "facts": error.facts}
    except MemoryError:
        return {"is_full": True}


@contextmanager
def _limited(limits: Limits) -> Iterator[None]:
    # the kernel ends us when the time is over, also amid C code and with no parent left
    signal.setitimer(signal.ITIMER_PROF, limits.max_parse_s)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = limits.max_parse_memory if hard == resource.RLIM_INFINITY else min(limits.max_parse_memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more, or the memory was full: a fresh process has it whole again."""
    _say(answers, {"ready": True})
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["size"])
        said = answer(data, request["kind"], Limits(**request["limits"]))
        _say(answers, said)
        if "is_full" in said:
            return


def _say(answers: BinaryIO, said: dict[str, Any]) -> None:
    answers.write(json.dumps(said, ensure_ascii=False, default=str).encode() + b"\n")
    answers.flush()


def _give_up_rights() -> None:
    """Nothing is written but the answer, and nothing is said."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(what, (0, 0))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)


if __name__ == "__main__":
    _give_up_rights()
    serve(sys.stdin.buffer, sys.stdout.buffer)
