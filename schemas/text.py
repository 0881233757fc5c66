"""The one spelling in which texts are stored, shown to the model and searched."""

import re
import unicodedata

_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?")


def clean(text: str) -> str:
    """NFC with `\\n` line ends, without NULs and byte order marks; lone surrogates become U+FFFD.

    NFC because the tokenizer normalises to it: what the model sees and what is stored are the same.
    """
    text = _SURROGATES.sub("\ufffd", text).replace("\x00", "").removeprefix("\ufeff")
    return unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", text))
