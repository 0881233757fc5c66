"""A message as documents: its body, and what is attached to it."""

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email.message import Message
from fnmatch import fnmatch
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath

from pipelines.readers import mail, read
from pipelines.readers.base import Limits, Read
from pipelines.sources.base import File
from schemas.errors import UnreadableDocumentError

MEDIA_TYPE = "message/rfc822"
_MAX_NAME_CHARS = 200


def documents(data: bytes, origin: str, limits: Limits, attachments: Sequence[str]) -> Iterator[Read]:
    """The body, then each attachment whose name fits a pattern, with the message's origin as that of its parent."""
    yield from read(_file(origin, data, "message.eml"), limits=limits)
    try:
        message = mail.parsed(data)
    except UnreadableDocumentError:
        # the reason is that of the body
        return
    for number, part in enumerate(_attached(message), start=1):
        name = _name(part)
        if any(fnmatch(name.lower(), pattern.lower()) for pattern in attachments):
            file = _file(f"{origin}#attachment={number}/{name}", _content(part), name)
            yield from (replace(one, parent_origin=origin) for one in read(file, limits=limits))


def _file(origin: str, data: bytes, name: str) -> File:
    return File(origin=origin, size=len(data), opener=partial(BytesIO, data), name=name)


def _attached(message: Message) -> Iterator[Message]:
    """The parts that are files, in their order; pictures that the body shows are none."""
    pending = [message]
    while pending:
        part = pending.pop()
        if part is not message and _is_file(part):
            yield part
        elif part.get_content_maintype() == "multipart" and part.is_multipart():
            pending.extend(reversed(_inner(part)))


def _is_file(part: Message) -> bool:
    if part.get_content_disposition() == "attachment" or part.get_content_type() == MEDIA_TYPE:
        return True
    return bool(part.get_filename()) and part.get_content_maintype() not in {"image", "multipart"}


def _name(part: Message) -> str:
    named = PurePosixPath((part.get_filename() or "").replace("\\", "/")).name
    name = "".join(char if char.isprintable() else "?" for char in named).encode(errors="replace").decode()
    if not name:
        content_type = part.get_content_type()
        name = (
            f"file{'.eml' if content_type == MEDIA_TYPE else mimetypes.guess_extension(content_type) or ''}"
        )
    return name[-_MAX_NAME_CHARS:]


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    inner = _inner(part)
    return inner[0].as_bytes() if inner else b""


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []
