"""Forms: labels before, above or below their values."""

from random import Random

from pipelines.train.synthetic.genres.grids import rows_of
from pipelines.train.synthetic.page import Fact, Page, broken, listed

_SEPARATORS = (
    ": ",
    ": ",
    ": ",
    ": ",
    ":",
    " : ",
    " - ",
    "\t",
    " = ",
    "  ",
    ".....",
    " > ",
    ":\t",
    " – ",
    ": ",
)
_BULLETS = ("", "", "", "", "- ", "* ", "• ", "[ ] ", "{n}. ", "{n}) ", "> ")
_TITLES = ("{}", "{}\n", "# {}\n", "*** {} ***", "{}\n-----", "", "== {} ==", "{}:", "<<{}>>", "[{}]")
_ABSENT = ("", "", "-", "n/a", "none", "____", "(not given)", "N/A", "--")


def form(page: Page) -> str:
    """A line a field: the label, a mark, the value."""
    dice = page.dice()
    style = _Style(dice)
    lines = []
    for number, fact in enumerate(page.facts, start=1):
        lines += style.lines(page, fact, number)
    return "\n".join([*style.head(page), *style.spaced(lines)])


class _Style:
    """What all forms of one template share."""

    def __init__(self, dice: Random) -> None:
        self.separator = dice.choice(_SEPARATORS)
        self.bullet = dice.choice(_BULLETS)
        self.bold = dice.choice(("{}", "{}", "{}", "**{}**", "_{}_", "<b>{}</b>"))
        self.title = dice.choice(_TITLES)
        # "before", "above", "below" or "aligned"
        self.place = dice.choices(("before", "above", "below", "aligned", "pairs"), (50, 16, 5, 19, 10))[0]
        self.prints_absent = dice.random() < 0.4
        self.absent = dice.choice(_ABSENT)
        self.items = dice.choice((", ", "; ", " / ", "\n- ", "\n", " | ", ", "))
        self.is_airy = dice.random() < 0.2
        self.indent = dice.choice(("  ", "", "    "))
        self.rows_seed = dice.random()

    def head(self, page: Page) -> list[str]:
        return [self.title.format(page.title)] if self.title else []

    def spaced(self, lines: list[str]) -> list[str]:
        if self.place == "pairs":
            two = [lines[i : i + 2] for i in range(0, len(lines), 2)]
            return ["    ".join(pair) if "\n" not in "".join(pair) else "\n".join(pair) for pair in two]
        return [part for line in lines for part in (line, "")] if self.is_airy else lines

    def lines(self, page: Page, fact: Fact, number: int) -> list[str]:
        if fact.rows:
            return ["\n".join(rows_of(page, fact, Random(self.rows_seed)))]
        if fact.parts:
            inner = [self.line(page, part.label, part.text, "") for part in fact.parts if part.text]
            return [fact.label + self.separator.rstrip(" \t."), *(self.indent + line for line in inner)]
        text = broken(page, fact) or listed(fact.items, self.items)
        if self.items.startswith("\n") and fact.items:
            text = self.items.removesuffix(" ") * (self.items != "\n") + " " * (self.items != "\n") + text
            text = "\n" + text.lstrip("\n")
        if not text:
            return (
                [self.line(page, fact.label, self.absent, self.bullet.format(n=number))]
                if self.prints_absent
                else []
            )
        return [self.line(page, fact.label, text, self.bullet.format(n=number))]

    def line(self, page: Page, label: str, text: str, bullet: str) -> str:
        label = self.bold.format(label)
        if self.place == "above":
            return f"{bullet}{label}\n{text}"
        if self.place == "below":
            return f"{bullet}{text}\n({label})"
        if self.place == "aligned":
            return f"{bullet}{label:<28}{self.separator.strip() or ' '} {text}"
        return f"{bullet}{label}{self.separator}{text}"


def columns(page: Page) -> str:
    """Two blocks side by side, as on printed forms: labels and values left and right."""
    dice = page.dice()
    separator, gap, title = dice.choice((": ", " ", ":  ")), dice.choice((4, 8, 14)), dice.choice(_TITLES)
    stacked = dice.random() < 0.5
    seed = dice.random()
    plain = page.plain()
    left, right = plain[: (len(plain) + 1) // 2], plain[(len(plain) + 1) // 2 :]
    cells = [_cell(fact, separator, stacked=stacked) for fact in left]
    others = [_cell(fact, separator, stacked=stacked) for fact in right]
    width = gap + max((len(page.sheet.show(line)) for cell in cells for line in cell), default=0)
    lines = []
    for number, cell in enumerate(cells):
        other = others[number] if number < len(others) else [""] * len(cell)
        lines += [(page.sheet.pad(a, width) + b).rstrip() for a, b in zip(cell, other, strict=True)]
    for fact in page.others():
        lines += ["", *_below(page, fact, separator, seed)]
    return "\n".join(([title.format(page.title)] if title else []) + lines)


def _cell(fact: Fact, separator: str, *, stacked: bool) -> list[str]:
    return [fact.label, fact.text] if stacked else [f"{fact.label}{separator}{fact.text}"]


def _below(page: Page, fact: Fact, separator: str, seed: float) -> list[str]:
    if fact.rows:
        return rows_of(page, fact, Random(seed))
    if fact.items:
        return [f"{fact.label}{separator}{listed(fact.items)}"]
    return [fact.label, *(f"{part.label}{separator}{part.text}" for part in fact.parts if part.text)]
