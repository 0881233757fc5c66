"""Texts by their likeness to another: BM25 over words, with any digits alike, so that layouts match and not values.

As in S. Robertson and H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with Lucene's
inverse document frequency, which is never negative.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log

# how soon more of a word adds no more, and how much long texts are discounted: the usual values
_K1, _B = 1.2, 0.75
_DIGITS = re.compile(r"\d+")
# the shape of a number, date or time, or a word
_WORD = re.compile(r"0(?:[.,:/-]0)*|[^\W0]+")


def words(text: str) -> list[str]:
    """The words of a text in lower case; a run of digits is 0, so that `Due: 12/05/2019` is due and 0/0/0."""
    return _WORD.findall(_DIGITS.sub("0", text.casefold()))


class Ranking:
    """An index of texts, to be asked which are like another."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words(text)) for text in texts]
        self._numbers = range(len(counts))
        mean_length = sum(map(Counter.total, counts)) / max(1, len(counts))
        num_texts = Counter(word for count in counts for word in count)
        # word -> the texts it stands in, and what it adds to their scores
        self._weights: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, count in enumerate(counts):
            damping = _K1 * (1 - _B + _B * count.total() / (mean_length or 1))
            for word, times in count.items():
                rarity = log(1 + (len(counts) - num_texts[word] + 0.5) / (num_texts[word] + 0.5))
                self._weights[word].append((number, rarity * times * (_K1 + 1) / (times + damping)))

    def order(self, text: str) -> list[int]:
        """The numbers of all texts, the most like first, and equally like ones as they were given."""
        scores = [0.0] * len(self._numbers)
        # not a set, whose order differs between processes and the sums of floats with it
        for word in dict.fromkeys(words(text)):
            for number, weight in self._weights.get(word, ()):
                scores[number] += weight
        return sorted(self._numbers, key=scores.__getitem__, reverse=True)
