"""HTML to its visible text."""

import re

from lxml import etree  # type: ignore[import-untyped]

from pipelines.readers.base import Limits
from pipelines.readers.text import decode

_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg"})
_LINES = frozenset(
    """address article aside body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form head header legend li main nav option optgroup search section select summary tbody textarea tfoot
    thead title tr""".split()  # noqa: SIM905
)
_PARAGRAPHS = frozenset("blockquote h1 h2 h3 h4 h5 h6 hr menu ol p pre table ul".split())  # noqa: SIM905
_CELLS = frozenset({"td", "th"})
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)


def text_of(data: bytes, limits: Limits) -> str:
    """The visible text: blocks as lines, cells separated by tabs, scripts and styles left out."""
    declared = _CHARSET.search(data[:4096])
    return visible(decode(data, declared and declared[1].decode("ascii", "replace")))


def visible(markup: str) -> str:
    """The visible text of markup, however broken."""
    if not markup.strip():
        return ""
    # libxml2 takes linear time where html.parser of Python 3.11 takes quadratic, as for "<a " repeated
    parser = etree.HTMLParser(target=_Page(), encoding="utf-8", huge_tree=True, no_network=True)
    parser.feed(markup.replace("\0", "").encode("utf-8", errors="replace"))
    return _tidied(str(parser.close()))


class _Page:
    """Collects text while the parser reports elements; it closes what the author left open."""

    def __init__(self) -> None:
        # text, "\t" before each cell, and between lines as many "\n" as their elements ask for
        self._pieces = ["\n\n"]
        self._num_skipped = 0
        self._num_pre = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._num_skipped += tag in _SKIPPED
        self._num_pre += tag == "pre"
        if tag in _CELLS:
            self._pieces.append("\t")
        elif tag == "br":
            self._pieces.append("\n")
        else:
            self._break(tag)

    def end(self, tag: str) -> None:
        self._num_skipped -= tag in _SKIPPED
        self._num_pre -= tag == "pre"
        if tag in _CELLS and self._pieces[-1] in ("\n", "\n\n"):
            # a paragraph in the cell has ended, but the row goes on
            self._pieces.pop()
        self._break(tag)

    def data(self, text: str) -> None:
        if self._num_skipped:
            return
        if not self._num_pre:
            text = re.sub(r"\s+", " ", text)
            text = text.lstrip(" ") if self._pieces[-1].endswith((" ", "\t", "\n")) else text
        if text:
            self._pieces.append(text)

    def comment(self, text: str) -> None:
        """Not visible."""

    def close(self) -> str:
        return "".join(self._pieces)

    def _break(self, tag: str) -> None:
        wanted = "\n\n" if tag in _PARAGRAPHS else "\n" if tag in _LINES else ""
        last = self._pieces[-1]
        if last in ("\n", "\n\n"):
            self._pieces[-1] = max(last, wanted)
        elif wanted and last != "\t":
            self._pieces.append(wanted)


def _tidied(text: str) -> str:
    """Without white space at the ends of cells and lines, and with at most one blank line in a row."""
    lines = (re.sub(r"(?<! ) +\t", "\t", line).strip("\t").rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
