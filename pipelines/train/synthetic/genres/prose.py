"""Running text: letters, e-mails, notes and clauses."""

from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.draw import row_text
from pipelines.train.synthetic.genres.grids import rows_of
from pipelines.train.synthetic.page import Fact, Page, listed
from pipelines.train.synthetic.words import WORDS

_LISTS = (
    "{label}: {items}.",
    "The {spoken} are {items}.",
    "{label} – {items}.",
    "As to {spoken}: {items}.",
    "We note {items} ({spoken}).",
)
_GROUPS = ("{label}: {items}.", "The {spoken}: {items}.")


def sentences(page: Page, facts: list[Fact]) -> list[str]:
    """The facts said in sentences, often two or three in one, with others between them."""
    rng = page.rng
    out: list[str] = []
    said: list[str] = []
    for fact in facts:
        if fact.is_plain:
            said.append(fact.said)
        elif not fact.is_absent:
            out.append(_said_at_length(page, fact))
        if said and (len(said) == 3 or rng.random() < 0.6):
            out.append(_sentence(said, rng))
            said = []
        if rng.random() < 0.15:
            out.append(rng.choice(WORDS["filler"]))
    return [*out, _sentence(said, rng)] if said else out


def _sentence(parts: list[str], rng: Random) -> str:
    text = listed(parts, rng.choice((", ", ", ", "; ")), rng.choice((", and ", " and ", "; ")))
    return f"{text[0].upper()}{text[1:]}{rng.choice(('.', '.', '.', '.', '', '!'))}"


def _said_at_length(page: Page, fact: Fact) -> str:
    """A list, a group or rows in a sentence."""
    rng = page.rng
    if fact.rows:
        parts = [row_text(fact, row) for row in fact.rows]
    else:
        parts = fact.items or [f"{part.label.lower()} {part.text}" for part in fact.parts if part.text]
    items = listed(parts, "; " if fact.rows else ", ", rng.choice(("", " and ", ", and ")))
    if fact.concept.phrases and rng.random() < 0.6:
        said = rng.choice(fact.concept.phrases).replace("{}", items)
        return f"{said[0].upper()}{said[1:]}."
    return rng.choice(_LISTS if fact.items else _GROUPS).format(
        label=fact.label, spoken=fact.label.lower(), items=items
    )


def _paragraphs(page: Page, lines: list[str], size: int) -> str:
    groups = [lines[i : i + size] for i in range(0, len(lines), size)]
    return "\n\n".join(" ".join(group) for group in groups)


def _set_width(page: Page, dice: Random) -> None:
    page.sheet.width = dice.choice((None, None, 60, 72, 80, 100))


def _table_or_words(page: Page, dice: Random) -> tuple[list[Fact], list[str]]:
    """What is said in sentences, and the lines of tables if the template has any."""
    has_tables, seed = dice.random() < 0.5, dice.random()
    if not has_tables:
        return page.facts, []
    lines = [line for fact in page.facts if fact.rows for line in ("", *rows_of(page, fact, Random(seed)))]
    return [fact for fact in page.facts if not fact.rows], lines


def letter(page: Page) -> str:
    """A letter with its head, a greeting, paragraphs and a name below."""
    dice = page.dice()
    _set_width(page, dice)
    has_head, has_subject, size = dice.random() < 0.6, dice.random() < 0.6, dice.choice((2, 3, 5, 9))
    facts, below = _table_or_words(page, dice)
    rng = page.rng
    head = [pools.company(rng), pools.address(rng), ""] if has_head else []
    subject = (
        [rng.choice(("Re: {}", "{}", "Subject: {}", "Your {}")).format(page.title), ""] if has_subject else []
    )
    body = _paragraphs(page, sentences(page, facts), size)
    end = ["", rng.choice(WORDS["closing"]), pools.person(rng)]
    return "\n".join([*head, *subject, rng.choice(WORDS["greeting"]), "", body, *below, *end])


def mail(page: Page) -> str:
    """An e-mail with headers, and at times an older one quoted below."""
    dice = page.dice()
    _set_width(page, dice)
    headers = dice.choice(
        (
            ("From", "To", "Subject"),
            ("Subject", "From", "Date"),
            ("From", "Subject"),
            ("Date", "From", "To", "Subject"),
        )
    )
    size, quotes = dice.choice((2, 3, 6)), dice.random() < 0.25
    facts, below = _table_or_words(page, dice)
    rng = page.rng
    sender = pools.person(rng)
    values = _headers(page, sender)
    head = [f"{name}: {values[name]}" for name in headers]
    body = _paragraphs(page, sentences(page, facts), size)
    quoted = ["", f"> {rng.choice(WORDS['filler'])}", f"> {rng.choice(WORDS['closing'])}"] if quotes else []
    return "\n".join(
        [
            *head,
            "",
            rng.choice(WORDS["greeting"]),
            "",
            body,
            *below,
            "",
            rng.choice(WORDS["closing"]),
            sender,
            *quoted,
        ]
    )


def _headers(page: Page, sender: str) -> dict[str, str]:
    rng = page.rng
    day = f"{rng.randint(1, 28)} {rng.choice(('Jan', 'Apr', 'Oct'))} {rng.randint(2001, 2025)}"
    return {
        "From": f"{sender} <{pools.email(rng, sender)}>",
        "To": pools.email(rng),
        "Subject": rng.choice(("{}", "Re: {}", "FW: {}", "{} - please check")).format(page.title),
        "Date": f"{rng.choice(WORDS['weekday'])[:3]}, {day}",
    }


def note(page: Page) -> str:
    """A few plain sentences."""
    dice = page.dice()
    _set_width(page, dice)
    opening, size = dice.choice(("", "", "{}: ", "{}\n", "{} - ", "Note on {}. ")), dice.choice((3, 6, 20))
    facts, below = _table_or_words(page, dice)
    body = _paragraphs(page, sentences(page, facts), size)
    return "\n".join([opening.format(page.title) + body, *below])


_FRAMES = (
    "{n}. {label}. {said}.",
    "{n}. {label}\n{said}.",
    "§ {n} {label}\n(1) {said}.",
    "Clause {n}: {said}.",
    "({n}) {said};",
    "Article {n} - {label}. {said}.",
    "{n}.1 {said}.",
)
_SHALLS = (
    "The parties agree that {}",
    "It is agreed that {}",
    "For the purposes hereof, {}",
    "{}",
    "Unless otherwise agreed in writing, {}",
    "{}, and no other arrangement shall be binding",
)
_BOILERPLATE = (
    "Amendments must be made in writing",
    "Should a provision be invalid, the others remain in force",
    "Each party bears its own costs",
    "This document replaces all earlier arrangements",
    "Notices are to be sent by registered mail",
    "Copies have the same force as the original",
)


def clauses(page: Page) -> str:
    """A contract: numbered clauses, some of which say nothing that is asked for."""
    dice = page.dice()
    _set_width(page, dice)
    frame, title = dice.choice(_FRAMES), dice.choice(("{}", "{}\n", "# {}", "THIS {} is made as follows:"))
    rng = page.rng
    lines = [title.format(page.title.upper())]
    number = 0
    for fact in page.facts:
        if fact.is_absent:
            continue
        said = (
            rng.choice(_SHALLS).format(fact.said)
            if fact.is_plain
            else _said_at_length(page, fact).rstrip(".")
        )
        number += 1
        lines.append(frame.format(n=number, label=fact.label, said=said[0].upper() + said[1:]))
        if rng.random() < 0.25:
            number += 1
            lines.append(frame.format(n=number, label="General", said=rng.choice(_BOILERPLATE)))
    return "\n".join(lines)
