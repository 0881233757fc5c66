"""What is bought, done, known or said, put together from parts: there must be too many to be learned by heart."""

import re
from collections.abc import Callable
from random import Random

from pipelines.train.synthetic.pools import any_words, city, coined, company, person, pools
from pipelines.train.synthetic.words import WORDS


def thing(rng: Random, heads: tuple[str, ...]) -> str:
    """One of `heads`, or a like name that no list holds; often with a make, a measure, a purpose or a comma."""
    name = _head(rng, heads)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        name = _more(rng, name)
    return name


def skill(rng: Random) -> str:
    """Something that somebody knows or holds."""
    form = rng.random()
    if form < 0.25:
        return rng.choice(WORDS["skill"])
    if form < 0.5:
        return _named_skill(rng)
    if form < 0.6:
        name = any_words(rng, 4)
        return rng.choice((name, name, name.title(), name.capitalize()))
    if form < 0.63:
        # in one word, as programs are called
        return any_words(rng, 2).title().replace(" ", "")
    if form < 0.69:
        return coined(rng) + rng.choice(
            ("", "", ".js", "SQL", " Pro", " Cloud", rng.choice(WORDS["noun"]).title())
        )
    if form < 0.75:
        return "".join(rng.choices("ABCDEFGHIKLMNOPRSTUVWX", k=rng.randint(2, 5)))
    what = rng.choice(
        WORDS[rng.choice(("device", "material", "crop", "animal", "noun", "language", "subject"))]
    )
    return rng.choice(WORDS["skill frame"]).format(what, n=rng.randint(1, 5))


def _named_skill(rng: Random) -> str:
    """A skill of two to four words: "forklift license", "cold-formed brass", "Leeds QR safety course"."""
    what = rng.choice(WORDS[rng.choice(("noun", "material", "device", "trade", "crop"))]).lower()
    if rng.random() < 0.3:
        return f"{rng.choice(WORDS['skill how'])} {what}{rng.choice(('', 's'))}"
    letters = "".join(rng.choices("ABCDEFGHIKLMNOPRSTUVWX", k=rng.randint(2, 4)))
    first = rng.choice((what, what, letters, f"{letters}{rng.randint(1, 9)}", rng.choice(WORDS["skill how"])))
    place = f"{rng.choice((city(rng), rng.choice(WORDS['nationality'])))} " if rng.random() < 0.2 else ""
    return f"{place}{first} {rng.choice(WORDS['skill end'])}"


_DRAWN: dict[str, Callable[[Random], str]] = {
    "city": city,
    "person": person,
    "company": company,
    "number": lambda rng: str(rng.choice((rng.randint(2, 12), rng.randint(2, 400)))),
    "month": lambda rng: rng.choice(WORDS["thing month"]),
    "year": lambda rng: str(rng.randint(1950, 2024)),
}


def said(rng: Random, frames: tuple[str, ...]) -> str:
    """One of `frames` with a word of its list for each `{list}`; other braces stay."""

    def word(name: re.Match[str]) -> str:
        draw = _DRAWN.get(name[1])
        if draw or name[1] not in WORDS:
            return draw(rng) if draw else name[0]
        return rng.choice(WORDS[name[1]])

    made = re.sub(r"\{([a-z]+)\}", word, rng.choice(frames))
    return made[0].upper() + made[1:]


def clause(rng: Random) -> str:
    """The heading and text of a clause, with `{R}` and `{D}` for the two sides of an agreement."""
    subject, verb, done, condition = (
        rng.choice(WORDS[f"clause {part}"]) for part in ("subject", "verb", "object", "condition")
    )
    joint = "" if condition == "." else ", "
    return f"{rng.choice(WORDS['clause head'])}|{said(rng, (f'{subject} {verb} {done}{joint}{condition}',))}"


def _head(rng: Random, heads: tuple[str, ...]) -> str:
    form = rng.random()
    if form < 0.5:
        return rng.choice(heads)
    if form < 0.62:
        return f"{rng.choice(WORDS['noun'])} {rng.choice(WORDS['thing doing'])}"
    if form < 0.74:
        return f"{rng.choice(WORDS['material'])} {rng.choice(WORDS['noun'])}"
    if form < 0.82:
        return f"{coined(rng).lower()} {rng.choice(WORDS['noun'])}"
    if form < 0.9:
        return f"{rng.choice(WORDS['adjective'])} {rng.choice(heads)}"
    return rng.choice(
        (rng.choice(WORDS["noun"]), rng.choice(WORDS["thing role"]), rng.choice(WORDS["thing doing"]))
    )


def _measure(rng: Random) -> str:
    unit = rng.choice(WORDS["unit"])
    form = rng.random()
    if form < 0.4:
        return f"{rng.randint(2, 900)}{rng.choice((' ', ''))}{unit}"
    if form < 0.7:
        return f"{rng.randint(2, 400)}{rng.choice((' x ', 'x'))}{rng.randint(2, 400)} {rng.choice(('mm', 'cm', 'm'))}"
    return f"{rng.randint(1, 40)}.{rng.randint(1, 9)} {unit}"


# what may stand before a name, behind a comma, and behind it
_BEFORE: tuple[Callable[[Random], str], ...] = (
    coined,
    _measure,
    lambda rng: rng.choice(WORDS["colour"]),
    lambda rng: rng.choice(WORDS["material"]),
    lambda rng: rng.choice(WORDS["nationality"]),
    lambda rng: rng.choice(WORDS["device"]),
)
_BEHIND_COMMA: tuple[Callable[[Random], str], ...] = (
    city,
    _measure,
    lambda rng: rng.choice(WORDS["colour"]),
    lambda rng: rng.choice(WORDS["material"]),
    lambda rng: rng.choice(WORDS["noun"]),
    lambda rng: rng.choice(WORDS["thing packed"]).format(rng.choice((2, 3, 4, 6, 10, 12, 24, 50))),
    lambda rng: f"per {rng.choice(WORDS['thing per'])}",
    lambda rng: rng.choice(WORDS["thing how"]),
    lambda rng: rng.choice(WORDS["thing side"]),
    lambda rng: f"{rng.choice(pools().last)} {rng.choice(('site', 'house', 'office', 'works', 'store'))}",
)
_BEHIND: tuple[Callable[[Random], str], ...] = (
    _measure,
    lambda rng: f"for {rng.choice(WORDS['room'])}",
    lambda rng: f"for {rng.choice(WORDS['event'])}",
    lambda rng: f"for {person(rng)}",
    lambda rng: f"with {rng.choice(WORDS['material'])} {rng.choice(WORDS['noun'])}",
    lambda rng: f"and {rng.choice(WORDS['noun'])}",
    lambda rng: f"and {rng.choice(WORDS['thing doing'])}",
    lambda rng: f"no. {rng.randint(1, 99)}",
    lambda rng: f"({rng.choice(WORDS['thing how'])})",
    lambda rng: f"({rng.choice(WORDS['thing packed']).format(rng.randint(2, 50))})",
    lambda rng: f"- {rng.choice(WORDS['thing month'])}",
    lambda rng: f"{rng.choice(WORDS['thing month'])} {rng.randint(2004, 2025)}",
    lambda rng: f"{rng.choice('ABCDEFGHKLMNPRSTX')}{rng.choice(('', '-'))}{rng.randint(2, 900)}",
)


def _more(rng: Random, name: str) -> str:
    form = rng.random()
    if form < 0.2:
        return f"{rng.choice(_BEFORE)(rng)} {name}"
    if form < 0.6:
        return f"{name}, {rng.choice(_BEHIND_COMMA)(rng)}"
    return f"{name} {rng.choice(_BEHIND)(rng)}"
