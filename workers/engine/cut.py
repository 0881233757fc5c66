"""Text into tokens, a word at a time: most words of a guess were cut before.

A tokenizer cuts a text into words before it looks for tokens, and HRM-Text's does so as below. Where another one's
words are others, drafts are worse than they might be, and nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from workers.engine.tokenizer import PlainTokenizer

# tokens of the answer that are cut again together with what is behind them, which may change how text is cut
_CONTEXT = 4
_MOST_WORDS = 1 << 16
# the tokenizer's own pattern, as `re` writes it: a mark with letters, one digit, marks, white space
_WORD = re.compile(
    r"(?i:'(?:s|t|re|ve|m|ll|d))|(?:[^\r\n\w]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Cutter:
    """Cuts the texts of all rows, and remembers the words."""

    def __init__(self, tokenizer: PlainTokenizer) -> None:
        self.token_bytes = tokenizer.token_bytes
        self._tokens_of = lru_cache(_MOST_WORDS)(tokenizer.encode)

    def behind(self, answer: Sequence[int], parts: Iterable[bytes]) -> Iterator[int]:
        """The tokens behind an answer that would write these parts; they are taken one by one, as they are needed."""
        tail = self._open_word(answer)
        before = b"".join(map(self.token_bytes, tail))
        pieces = _pieces(before, parts)
        first = next(pieces)
        tokens = self._cut(first)
        yield from tokens[len(tail) :] if tokens[: len(tail)] == tail else self._cut(first[len(before) :])
        for piece in pieces:
            yield from self._cut(piece)

    def _cut(self, text: bytes) -> list[int]:
        # what begins or ends in the middle of a character is no text
        words = _WORD.findall(text.decode("utf-8", "ignore"))
        return [token for word in words for token in self._tokens_of(word)]

    def _open_word(self, answer: Sequence[int]) -> list[int]:
        """The last tokens, those of the word that may not be at its end."""
        tail = list(answer[-_CONTEXT:])
        blank = (n for n in range(len(tail) - 1, -1, -1) if self.token_bytes(tail[n]).startswith(b" "))
        return tail[next(blank, 0) :]


def _pieces(begun: bytes, parts: Iterable[bytes]) -> Iterator[bytes]:
    """A text that comes in parts, behind what is begun, cut before blanks, where no token reaches over."""
    text, least = begun, max(1, len(begun))
    for part in parts:
        text += part
        end = text.rfind(b" ", least)
        if end > 0:
            yield text[:end]
            text, least = text[end:], 1
    yield text
