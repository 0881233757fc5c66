"""Parsers in a child process: what a document does to them, it does to nothing else.

One child serves document after document. It is started when the first one comes, and again when it died or has served
long enough. It is a program of its own rather than a fork, which would inherit the threads and locks of this process.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ValidationError

from pipelines.readers.base import Limits
from schemas.errors import ConfigurationError, DocumentError, DocumentTooLargeError, UnreadableDocumentError

# parsers leak
_MAX_DOCUMENTS = 1000
# its time is that of a processor, of which a busy machine gives it a part
_PATIENCE = 10
# what a parser needs to run; credentials are none of its business
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")


class Said(BaseModel):
    """An answer of the child: a text, the name of an error and its parts, or that the memory was full."""

    text: str | None = None
    error: str = ""
    message: str = ""
    hint: str = ""
    facts: dict[str, Any] = {}
    is_full: bool = False


class Parser:
    """Gives documents to the child, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def text_of(self, data: bytes, kind: str, limits: Limits) -> str:
        """The text of a document as it is stored.

        Raises:
            DocumentError: it has none, passed a limit, or took its parser down.
            ConfigurationError: no child can be started.
        """
        with self._lock:
            child = self._ready()
            try:
                said = child.ask(data, kind, limits)
            except BaseException:
                # whatever it still says belongs to this document
                self._drop()
                raise
            if said.is_full:
                self._drop()
        return _text(said, limits)

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._drop()

    def _ready(self) -> "_Child":
        if self._child and self._child.is_spent:
            self._drop()
        self._child = self._child or _Child()
        return self._child

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child:
            child.end()


class _Child:
    def __init__(self) -> None:
        self._owner = os.getpid()
        self._num_documents = 0
        path = os.pathsep.join(os.path.abspath(part) for part in sys.path)  # noqa: PTH100  "" is where we are
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(
            # -P: nothing is imported from where we are, which may hold folders of any names
            [sys.executable, "-B", "-P", "-m", "pipelines.readers.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | {"PYTHONPATH": path},
            # Ctrl-C is for us: we may still finish what is in hand
            process_group=0,
        )
        assert self._process.stdin and self._process.stdout  # noqa: S101  pipes, as asked for
        self._requests, self._answers = self._process.stdin, self._process.stdout
        if not self._answers.readline():
            self.end()
            raise ConfigurationError(
                "The process that reads documents does not start.",
                hint="Its message is above; check that there is memory left, and the installation.",
            )

    @property
    def is_spent(self) -> bool:
        # a fork of our process must not share the pipes
        is_ours = self._owner == os.getpid()
        return not is_ours or self._num_documents >= _MAX_DOCUMENTS or self._process.poll() is not None

    def ask(self, data: bytes, kind: str, limits: Limits) -> Said:
        """What the child says of a document.

        Raises:
            DocumentError: it died over it.
        """
        self._num_documents += 1
        head = {"kind": kind, "size": len(data), "limits": asdict(limits)}
        try:
            self._requests.write(json.dumps(head).encode() + b"\n")
            self._requests.write(data)
            self._requests.flush()
        except BrokenPipeError:
            raise self._death(limits) from None
        is_late = not select.select([self._answers], [], [], _PATIENCE * limits.max_parse_s)[0]
        if is_late:
            self._process.kill()
        # no character takes more than six bytes of JSON
        line = self._answers.readline(6 * limits.max_chars + 65_536)
        try:
            return Said.model_validate_json(line)
        except ValidationError:
            raise self._death(limits, is_late=is_late) from None

    def end(self) -> None:
        for pipe in (self._requests, self._answers):
            # the rest of a request that nobody read
            with suppress(BrokenPipeError):
                pipe.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()

    def _death(self, limits: Limits, *, is_late: bool = False) -> DocumentError:
        self._process.kill()
        code = self._process.wait()
        if is_late or code == -signal.SIGPROF:
            return DocumentTooLargeError(
                f"Reading it takes longer than {limits.max_parse_s:g} seconds of computing.",
                hint="Raise GLEANER_MAX_PARSE_S or split the document.",
                limit="max_parse_s",
                allowed=limits.max_parse_s,
            )
        died_of = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return UnreadableDocumentError(
            f"Its parser died of it ({died_of}).", hint="Store it in another format.", died_of=died_of
        )


def _text(said: Said, limits: Limits) -> str:
    if said.text is not None:
        return said.text
    if said.is_full:
        raise DocumentTooLargeError(
            f"Reading it takes more than {limits.max_parse_memory:,} bytes of memory.",
            hint="Raise GLEANER_MAX_PARSE_MEMORY or split the document.",
            limit="max_parse_memory",
            allowed=limits.max_parse_memory,
        )
    kinds = {kind.__name__: kind for kind in DocumentError.__subclasses__()}
    raise kinds.get(said.error, UnreadableDocumentError)(said.message, hint=said.hint, **said.facts)


PARSER = Parser()
atexit.register(PARSER.close)
