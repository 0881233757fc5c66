"""Emails: the headers that people read, and the best body part."""

import email
import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from pipelines.readers.base import Limits
from pipelines.readers.text import decode
from pipelines.readers.webpage import visible
from schemas.errors import UnreadableDocumentError

_HEADERS = ("Subject", "From", "To", "Date")
# the email package takes quadratic time for the longer ones, and a kilobyte of memory for each part
_MAX_HEADER_CHARS = 20_000
_MAX_PARTS = 20_000
_ENDLESS_HEADER = re.compile(rb"^content-[\w-]+:(?:[^\n]|\n[ \t]){20000}", re.IGNORECASE | re.MULTILINE)


def text_of(data: bytes, limits: Limits) -> str:
    """Header lines, a blank line, and the plain body, or the visible text of the HTML one."""
    message = parsed(data)
    headers = [f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))]
    return ("\n".join(headers) + "\n\n" + _body(message)).strip("\n")


def parsed(data: bytes) -> Message:
    """The message of these bytes.

    Raises:
        UnreadableDocumentError: it would take for ever.
    """
    if _ENDLESS_HEADER.search(data) or data.count(b"\n--") > _MAX_PARTS:
        raise UnreadableDocumentError("The email has an endless header or too many parts.")
    # the older of the two policies: that of today parses every address, in quadratic time
    return email.message_from_bytes(data)


def _header(message: Message, name: str) -> str:
    raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
    text = decode(raw[:_MAX_HEADER_CHARS].encode("utf-8", "surrogateescape"))
    try:
        words = decode_header(text)
    except HeaderParseError:
        words = [(text, None)]
    return " ".join("".join(_word(*word) for word in words).split())


def _word(word: bytes | str, charset: str | None) -> str:
    if isinstance(word, str):
        return word
    return decode(word, charset) if charset else word.decode("raw-unicode-escape")


def _body(message: Message) -> str:
    plain = _content(message, "text/plain")
    return plain if plain.strip() else visible(_content(message, "text/html"))


def _content(message: Message, media_type: str) -> str:
    """The text of the first part of this type that is not attached as a file; empty if there is none."""
    for part in message.walk():
        if part.get_content_type() == media_type and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            return decode(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
    return ""
