"""What scanning, printing and careless typing do to a text, outside its values."""

from random import Random

from pipelines.train.synthetic.sheet import SLOT
from pipelines.train.synthetic.words import WORDS

# read wrongly, as OCR does
_MISREAD = {
    "o": "0",
    "l": "1",
    "I": "l",
    "O": "0",
    "S": "5",
    "e": "c",
    "m": "rn",
    "B": "8",
    "i": "j",
    "t": "l",
    "a": "o",
}
_LITTER = ("", "", ".", "~", "|", "_", "'", "•", "* * *", "----------", "==========", "\\", ":", "..", "°")


def spoil(text: str, rng: Random) -> str:
    """A text as it may arrive: most are left as they are, some are scanned badly."""
    fate = rng.random()
    if fate < 0.5:
        return text
    lines = text.split("\n")
    if fate < 0.75:
        lines = _framed(lines, rng)
    if fate > 0.6:
        rate = rng.choice((0.002, 0.01, 0.03))
        lines = [_misread(line, rng, rate) for line in lines]
    if fate > 0.9:
        lines = _littered(lines, rng)
    text = "\n".join(lines)
    return text.replace(": ", rng.choice((":", ":", " : ", ":  "))) if fate > 0.85 else text


def _framed(lines: list[str], rng: Random) -> list[str]:
    """Lines above and below that belong to the paper."""
    if rng.random() < 0.6:
        lines = [rng.choice(WORDS["header"]), *lines]
    return [*lines, rng.choice(WORDS["filler"])] if rng.random() < 0.6 else lines


def _misread(line: str, rng: Random, rate: float) -> str:
    """Letters read wrongly, blanks lost between words."""
    if rng.random() > rate * len(line):
        return line
    at = rng.randrange(len(line))
    char = line[at]
    if char == " ":
        around = line[max(0, at - 1) : at + 2]
        return line if SLOT.search(around) or not line.strip() else line[:at] + line[at + 1 :]
    return line[:at] + _MISREAD.get(char, char) + line[at + 1 :]


def _littered(lines: list[str], rng: Random) -> list[str]:
    for _ in range(rng.randint(1, 3)):
        lines.insert(rng.randint(0, len(lines)), rng.choice(_LITTER))
    return lines
