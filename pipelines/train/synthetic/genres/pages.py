"""Web pages, advertisements, printed slips and memos."""

from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.genres.grids import rows_of
from pipelines.train.synthetic.genres.prose import sentences
from pipelines.train.synthetic.page import Fact, Page, broken, listed
from pipelines.train.synthetic.words import WORDS


def _lines(page: Page, fact: Fact, frame: str, seed: float) -> list[str]:
    if fact.rows:
        return rows_of(page, fact, Random(seed))
    if fact.parts:
        inner = [frame.format(label=part.label, text=part.text) for part in fact.parts if part.text]
        return [fact.label, *inner]
    text = broken(page, fact) or listed(fact.items)
    return [frame.format(label=fact.label, text=text)] if text else []


def web(page: Page) -> str:
    """What is left of a web page: navigation, headings, facts, cookies."""
    dice = page.dice()
    frame = dice.choice(
        (
            "{label}\n{text}",
            "{label}: {text}",
            "{label} {text}",
            "* {label}: {text}",
            "{label} | {text}",
            "{label} » {text}",
        )
    )
    has_nav, has_cookies, in_words = dice.random() < 0.7, dice.random() < 0.4, dice.choice((0.0, 0.3, 0.6))
    nav_joint, seed = dice.choice((" | ", "\n", " ", " > ")), dice.random()
    rng = page.rng
    nav = [nav_joint.join(rng.sample(WORDS["nav"], rng.randint(3, 7)))] if has_nav else []
    number = int(len(page.facts) * in_words)
    told, listed_facts = page.facts[:number], page.facts[number:]
    body = [" ".join(sentences(page, told))] if told else []
    for fact in listed_facts:
        body += _lines(page, fact, frame, seed)
    cookies = (
        ["We use cookies. Accept all | Settings", f"© {rng.randint(2005, 2025)} {pools.company(rng)}"]
        if has_cookies
        else []
    )
    return "\n".join([*nav, page.title, *body, *cookies])


def advert(page: Page) -> str:
    """An advertisement: a headline, some praise, bullets."""
    dice = page.dice()
    headline = dice.choice(("*** {} ***", "{}!", "# {}", "{}", ">> {} <<", "NEW: {}"))
    bullet = dice.choice(("- ", "* ", "• ", "✔ ", "", "+ "))
    labels = dice.random() < 0.7
    seed = dice.random()
    rng = page.rng
    praise = rng.choice(WORDS["filler"])
    frame = bullet + ("{label}: {text}" if labels else "{text} ({label})")
    lines = []
    for fact in page.facts:
        in_words = fact.is_plain and rng.random() < 0.3
        lines += [f"{bullet}{fact.said}"] if in_words else _lines(page, fact, frame, seed)
    return "\n".join([headline.format(page.title), praise, *lines, "", rng.choice(WORDS["closing"])])


def slip(page: Page) -> str:
    """A narrow printed slip: a centred head, dots or blanks between label and value."""
    dice = page.dice()
    width = dice.choice((32, 38, 42, 48))
    fill = dice.choice((" ", ".", " ", "_"))
    rule = dice.choice(("-", "=", "*", "")) * width
    to_right, seed = dice.random() < 0.75, dice.random()
    head = [line.center(width).rstrip() for line in (pools.company(page.rng), page.title)]
    lines = []
    for fact in page.facts:
        if fact.is_plain:
            room = max(2, width - len(fact.label) - len(page.sheet.show(fact.text)) - 2)
            lines.append(
                f"{fact.label} {fill * room} {fact.text}" if to_right else f"{fact.label} {fact.text}"
            )
        elif not fact.is_absent:
            lines += _lines(page, fact, "{label} {text}", seed)
    foot = page.rng.choice(WORDS["filler"]).center(width).rstrip()
    return "\n".join([*head, *([rule] if rule else []), *lines, *([rule] if rule else []), foot])


def memo(page: Page) -> str:
    """Half form, half words: some facts in a head, the others told below."""
    dice = page.dice()
    separator, share = dice.choice((": ", " - ", ":\t")), dice.choice((0.3, 0.5, 0.7))
    page.sheet.width = dice.choice((None, 70, 90))
    seed = dice.random()
    number = round(len(page.facts) * share)
    head = [
        line
        for fact in page.facts[:number]
        for line in _lines(page, fact, f"{{label}}{separator}{{text}}", seed)
    ]
    told = sentences(page, page.facts[number:])
    return "\n".join([page.title.upper(), *head, "", *told])
