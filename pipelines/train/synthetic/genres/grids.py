"""Rows and columns, as tables of many styles."""

from random import Random

from pipelines.train.synthetic.page import Fact, Page
from pipelines.train.synthetic.sheet import Sheet

STYLES = (
    "aligned",
    "aligned",
    "aligned",
    "markdown",
    "markdown",
    "pipes",
    "tabs",
    "commas",
    "semicolons",
    "slashes",
    "cells",
    "records",
)


def grid(
    sheet: Sheet, header: list[str], rows: list[list[str]], style: str, *, with_header: bool = True
) -> list[str]:
    """The lines of a table; cells that are empty stay empty."""
    cells = [header, *rows] if with_header else rows
    if style == "commas" and any("," in sheet.show(cell) for row in cells for cell in row):
        style = "semicolons"
    if style == "aligned":
        return _aligned(sheet, cells)
    if style == "markdown":
        rule = "|" + "---|" * len(header)
        lines = [f"| {' | '.join(row)} |" for row in ([header, *rows])]
        return [lines[0], rule, *lines[1:]]
    if style == "cells":
        # as a PDF gives up a table
        return [cell for row in cells for cell in row if cell]
    if style == "records":
        return [
            "; ".join(f"{label}: {cell}" for label, cell in zip(header, row, strict=True) if cell)
            for row in rows
        ]
    joint = {"pipes": " | ", "tabs": "\t", "commas": ", ", "semicolons": ";", "slashes": " / "}[style]
    return [joint.join(row) for row in cells]


def _aligned(sheet: Sheet, cells: list[list[str]]) -> list[str]:
    """Columns two blanks apart, numbers to the right."""
    widths = [max(len(sheet.show(row[i])) for row in cells) for i in range(len(cells[0]))]
    to_right = [all(_is_number(sheet.show(row[i])) for row in cells[1:]) for i in range(len(cells[0]))]
    return [
        "  ".join(
            sheet.pad(cell, width, right=right)
            for cell, width, right in zip(row, widths, to_right, strict=True)
        ).rstrip()
        for row in cells
    ]


def _is_number(text: str) -> bool:
    return not any(char.isalpha() for char in text)


def rows_of(page: Page, fact: Fact, dice: Random) -> list[str]:
    """The rows of a fact under its label, in the style of the template."""
    style, heading, has_header = (
        dice.choice(STYLES),
        dice.choice(("", "{}:", "{}", "== {} ==")),
        dice.random() < 0.8,
    )
    # without their columns, cells beside a blank one could be of any
    if style == "cells" and not all(all(row) for row in fact.rows):
        style = "pipes"
    lines = grid(page.sheet, fact.header, fact.rows, style, with_header=has_header)
    return ([heading.format(fact.label)] if heading else []) + lines


def table(page: Page) -> str:
    """A document that is a table: of labels and values, or a header above one row."""
    dice = page.dice()
    style = dice.choice(STYLES[:-2])
    is_wide = dice.random() < 0.25
    names = dice.choice((("Field", "Value"), ("Item", "Details"), ("Property", ""), ("", "")))
    title = dice.choice(("{}", "# {}", "{}\n", "## {}\n", "**{}**", "", "{}\n====="))
    prints_absent = dice.random() < 0.5
    absent = dice.choice(("-", "n/a", "", "—"))
    row_dice = Random(dice.random())
    facts = [fact for fact in page.facts if fact.is_plain or (prints_absent and fact.is_absent)]
    pairs = [(fact.label, fact.text or absent) for fact in facts] or [("Page", "1")]
    for fact in page.others():
        pairs += _inner_pairs(fact)
    if is_wide and len(pairs) < 9:
        lines = grid(page.sheet, [label for label, _ in pairs], [[text for _, text in pairs]], style)
    else:
        lines = grid(
            page.sheet, list(names), [list(pair) for pair in pairs], style, with_header=bool(names[0])
        )
    below = [line for fact in page.others() if fact.rows for line in ("", *rows_of(page, fact, row_dice))]
    above = [title.format(page.title)] if title else []
    return "\n".join([*above, *lines, *below])


def _inner_pairs(fact: Fact) -> list[tuple[str, str]]:
    if fact.items:
        return [(fact.label, ", ".join(fact.items))]
    return [(f"{fact.label} {part.label.lower()}", part.text) for part in fact.parts if part.text]
