"""Bytes to text, and text as it is stored."""

import codecs
import re
import unicodedata

from charset_normalizer import from_bytes

from pipelines.readers.base import Limits, too_large
from schemas.errors import BinaryDocumentError, EmptyDocumentError, UnreadableDocumentError

# UTF-32 first: its little-endian mark begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# what is guessed among; more of them makes the guesses for short texts worse
_LEGACY = "cp1252 cp1250 cp1251 koi8_r cp1253 cp1254 cp1255 cp1256 gb18030 big5 cp932 euc_jp cp949".split()  # noqa: SIM905
# they write everything in ASCII bytes, so being valid UTF-8 says nothing against them
_SEVEN_BIT = ("iso2022", "hz", "utf-7")
# Python's own notations, which no document declares in earnest
_NOT_DECLARED = ("idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined")
_SAMPLE_BYTES = 32_768
_CONTROLS = re.compile(r"[\x01-\x06\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_MAX_CONTROLS_SHARE = 0.05
_SURROGATES = re.compile(r"[\ud800-\udfff]")
# the time of NFC grows with the square of a run's length
_MAX_MARKS = 100
_COMBINING = "".join(chr(code) for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code)))
_MARKS_RUN = re.compile(f"[{_COMBINING}]{{{_MAX_MARKS}}}")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of bytes in whatever encoding: by byte order mark, as UTF-8, as declared, or as guessed.

    Raises:
        BinaryDocumentError: they are not text.
    """
    encoding = encoding_of(data, declared)
    text = data.decode(encoding, errors="replace")
    if ("\0" in text and not encoding.startswith(("utf-16", "utf-32"))) or _is_mostly_control(text):
        raise BinaryDocumentError("It holds bytes that are not text in any encoding.")
    return text


def encoding_of(data: bytes, declared: str | None = None, *, is_whole: bool = True) -> str:
    """The name of the codec for the bytes; `is_whole` is false if a character may be cut off at their end."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    codec = _codec(declared)
    if codec.startswith(_SEVEN_BIT):
        return codec
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=is_whole)
    except UnicodeDecodeError as error:
        if _is_damaged_utf8(data):
            return "utf-8"
        return codec if codec not in ("", "utf-8", "ascii") else _guess(data, error.start)
    return "utf-8"


def _codec(declared: str | None) -> str:
    """Python's name of a declared encoding; empty if there is none of that name."""
    try:
        name = codecs.lookup(declared or "").name
        b"\0\0\0\0".decode(name)
    except (LookupError, ValueError):
        return ""
    # a browser too reads latin-1 as its superset
    return {"iso8859-1": "cp1252"}.get(name, "" if name in _NOT_DECLARED else name)


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether UTF-8 explains the bytes but for a few: a character cut in two, a stray byte."""
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    return sum(char > "\x7f" for char in text) - bad > 4 * bad


def _guess(data: bytes, first: int) -> str:
    """The likeliest legacy encoding, judged from the first byte that is not UTF-8 on."""
    start = max(0, first - 2_000)
    sample = data[start : start + _SAMPLE_BYTES]
    matches = from_bytes(sample, cp_isolation=_LEGACY)
    best = matches.best()
    # the bytes of letters elsewhere are not just quotes, dashes and currencies here
    is_western = not any(char > "\x7f" and char.isalpha() for char in sample.decode("cp1252", "replace"))
    if best is None or is_western:
        return "cp1252"
    equals = [m for m in matches if (m.chaos, m.coherence) == (best.chaos, best.coherence)]
    if any("cp1252" in match.could_be_from_charset for match in equals):
        return "cp1252"
    return best.encoding


def _is_mostly_control(text: str) -> bool:
    sample = text[:_SAMPLE_BYTES]
    return sum(1 for _ in _CONTROLS.finditer(sample)) > _MAX_CONTROLS_SHARE * len(sample)


def stored(text: str, limits: Limits) -> str:
    r"""The text as stored: NFC, lines end in \n, no byte order mark, NUL or lone surrogate; else unchanged.

    Raises:
        DocumentError: it is empty or too large.
    """
    if len(text) > limits.max_chars:
        raise too_large(len(text), "characters", "max_chars", limits.max_chars)
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    text = _SURROGATES.sub("\ufffd", text)
    if not text.strip():
        raise EmptyDocumentError("There is no text in it.")
    if not text.isascii() and _MARKS_RUN.search(text):
        raise UnreadableDocumentError(f"It holds more than {_MAX_MARKS} combining marks in a row.")
    return unicodedata.normalize("NFC", text)
