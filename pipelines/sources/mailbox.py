"""Folders of an IMAP server, by the UIDs that it gives its messages."""

import imaplib
import re
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

from pipelines.readers.base import Limits, Read, first_line, too_large
from pipelines.sources import messages
from pipelines.sources.feed import Asked, Part, Value, filled
from schemas.errors import PipelineError, SourceError

_TIMEOUT_S = 60.0
_LISTED = re.compile(rb"\bUID (\d+)\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)\b")


class _Listed(NamedTuple):
    uid: int
    size: int
    received_at: datetime | None


class Mailbox:
    """New messages of the folders of an IMAP account: the body is a document, and so is each attachment.

    Messages stay unread and are not moved. `attachments` are patterns of names that are taken. A password is best
    given as "${MAIL_PASSWORD}", which is looked up when a run begins.

    Raises:
        PipelineError: there is no host, user or folder, or `tls` is not known.
    """

    forgets = False

    def __init__(
        self,
        host: str,
        user: str,
        password: str,
        *,
        folders: Sequence[str] = ("INBOX",),
        attachments: Sequence[str] = ("*",),
        port: int | None = None,
        tls: Literal["always", "starttls", "never"] = "always",
    ) -> None:
        self._folders = [folders] if isinstance(folders, str) else list(folders)
        if not all((host, user, self._folders, *self._folders)):
            hint = "Mailbox('imap.example.org', 'bills', '${MAIL_PASSWORD}', folders=['INBOX'])."
            raise PipelineError("A mailbox needs a host, a user and a folder.", hint=hint)
        if tls not in {"always", "starttls", "never"}:
            raise PipelineError(f"tls={tls!r} is not known.", hint="It is always, starttls or never.")
        self._host, self._user, self._password, self._tls = host, user, password, tls
        self._port = port or (993 if tls == "always" else 143)
        self._attachments = tuple(attachments)

    def __str__(self) -> str:
        return f"imap://{self._user}@{self._host}:{self._port} {', '.join(self._folders)}"

    def read(self, asked: Asked) -> Iterator[Part]:
        """What is new, a message at a time."""
        known = asked.known(self._folders)
        with self._explained(), self._connected() as server:
            for folder in self._folders:
                yield from self._folder(server, folder, known.get(folder), asked)

    def _folder(
        self, server: imaplib.IMAP4, folder: str, known: Value | None, asked: Asked
    ) -> Iterator[Part]:
        validity = _select(server, folder)
        # under another validity the server gave all messages new UIDs
        last = known["uid"] if known and known["uidvalidity"] == validity else 0
        where = f"imap://{self._user}@{self._host}/{quote(folder)};UIDVALIDITY={validity}"
        for one in _list(server, after=last):
            if asked.is_within(one.received_at):
                reads = self._documents(server, one, f"{where}/;UID={one.uid}", asked.limits)
                yield Part(reads=reads, cursor={folder: {"uidvalidity": validity, "uid": one.uid}})

    def _documents(self, server: imaplib.IMAP4, one: _Listed, origin: str, limits: Limits) -> list[Read]:
        if one.size > limits.max_bytes:
            error = too_large(one.size, "bytes", "max_bytes", limits.max_bytes)
            return [Read.failed(origin, messages.MEDIA_TYPE, error)]
        # PEEK: whoever reads the mailbox finds it as unread as before
        answer = _asked(server, "FETCH", str(one.uid), "(BODY.PEEK[])")
        data = next((part[1] for part in answer if isinstance(part, tuple)), None)
        # it was deleted meanwhile
        return [] if data is None else list(messages.documents(data, origin, limits, self._attachments))

    @contextmanager
    def _connected(self) -> Iterator[imaplib.IMAP4]:
        server = self._open()
        try:
            if self._tls == "starttls":
                server.starttls(ssl.create_default_context())
            server.login(self._user, filled(self._password))
            yield server
        finally:
            with suppress(imaplib.IMAP4.error, OSError):
                server.logout()

    def _open(self) -> imaplib.IMAP4:
        if self._tls != "always":
            return imaplib.IMAP4(self._host, self._port, timeout=_TIMEOUT_S)
        context = ssl.create_default_context()
        return imaplib.IMAP4_SSL(self._host, self._port, ssl_context=context, timeout=_TIMEOUT_S)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (imaplib.IMAP4.error, OSError) as exc:
            raise SourceError(
                f"{self} cannot be read: {first_line(exc)}.",
                hint="Check the host, the user, the password and the names of the folders.",
            ) from exc


def _select(server: imaplib.IMAP4, folder: str) -> int:
    """Open a folder, without any right to change it; its UIDVALIDITY."""
    status, said = server.select(_quoted(folder), readonly=True)
    if status != "OK":
        raise imaplib.IMAP4.error(f"folder {folder!r}: {said[0]!r}")
    _, (validity,) = server.response("UIDVALIDITY")
    if validity is None:
        raise imaplib.IMAP4.error(f"folder {folder!r} has no UIDVALIDITY")
    return int(validity)


def _list(server: imaplib.IMAP4, *, after: int) -> list[_Listed]:
    """The messages with a higher UID, by their UIDs."""
    answer = _asked(server, "FETCH", f"{after + 1}:*", "(UID RFC822.SIZE INTERNALDATE)")
    found = {listed.uid: listed for line in answer if isinstance(line, bytes) and (listed := _listed(line))}
    # the range n:* holds the last message even if its UID is lower than n
    return [found[uid] for uid in sorted(found) if uid > after]


def _listed(line: bytes) -> _Listed | None:
    uid, size = _LISTED.search(line), _SIZE.search(line)
    if not (uid and size):
        # what changed in the folder meanwhile
        return None
    moment = imaplib.Internaldate2tuple(line)
    received_at = datetime.fromtimestamp(time.mktime(moment), UTC) if moment else None
    return _Listed(int(uid[1]), int(size[1]), received_at)


def _asked(server: imaplib.IMAP4, command: str, *arguments: str) -> list[bytes | tuple[bytes, bytes]]:
    status, answer = server.uid(command, *arguments)
    if status != "OK":
        raise imaplib.IMAP4.error(f"{command} is refused: {answer[0]!r}")
    return [part for part in answer if part is not None]


def _quoted(folder: str) -> str:
    """The name of a folder as IMAP writes it: in quotes, and in UTF-7 of its own."""

    def shifted(match: re.Match[str]) -> str:
        return f"&{b64encode(match[0].encode('utf-16-be')).decode().rstrip('=').replace('/', ',')}-"

    text = re.sub(r"[^\x20-\x7e]+", shifted, folder.replace("&", "&-"))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
