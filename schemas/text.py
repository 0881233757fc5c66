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


# Thai to Khmer, CJK, Hangul: scripts that write words without blanks between them
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f"
_MARKS = "\u0300-\u036f"
# a sign that joins two letters to one word, as in "event-driven" and "O'Neil", but not "Tanner's"
_JOINT = rf"(?:-|['’](?![sS](?![^\W\d_])))(?=(?![{_UNSPACED}])[^\W\d_])"
_WORD = re.compile(
    rf"""[{_UNSPACED}]
    |(?:(?![{_UNSPACED}])[^\W\d_][{_MARKS}]*|(?<=(?![{_UNSPACED}])[^\W\d_]|[{_MARKS}]){_JOINT})+?
        (?:(?<=[a-z])(?=[A-Z][a-z])|(?=[{_UNSPACED}])|(?![^\W\d_{_MARKS}]|{_JOINT}))
    |\d+
    |[\s\S]""",
    re.VERBOSE,
)


def words(text: str) -> list[str]:
    """The parts of a text at whose edges a value may begin and end; joined they are the text.

    Runs of letters and of digits, and every other character by itself but a hyphen or apostrophe within a word.
    "AcmeLtd" and "No12" are glued often enough that a capital that begins a word and a digit make an edge too.
    """
    return _WORD.findall(text)
