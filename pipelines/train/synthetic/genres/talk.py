"""Talk and machines: chats, questions and answers, logs, data formats."""

import json

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.draw import row_text
from pipelines.train.synthetic.page import Fact, Page, cased, listed
from pipelines.train.synthetic.printing import clock
from pipelines.train.synthetic.words import WORDS

_QUESTIONS = (
    "{}?",
    "what is the {}?",
    "can I have the {} please",
    "and the {}?",
    "{} ?",
    "Could you tell me the {}?",
)
_SMALL_TALK = (
    "ok",
    "thanks",
    "one moment",
    "sure",
    "let me check...",
    "hm",
    "got it",
    "right",
    ":)",
    "still there?",
    "yes",
    "no problem",
)


def _answer(fact: Fact) -> str:
    if fact.rows:
        return listed([row_text(fact, row) for row in fact.rows], "; ")
    return fact.text or listed(
        fact.items or [f"{part.label}: {part.text}" for part in fact.parts if part.text]
    )


def chat(page: Page) -> str:
    """Two people, one of whom asks and the other answers, or one who tells."""
    dice = page.dice()
    frame = dice.choice(
        (
            "{who}: {text}",
            "[{time}] {who}: {text}",
            "{time} - {who}: {text}",
            "<{who}> {text}",
            "{who} ({time})\n{text}",
            "**{who}** {text}",
        )
    )
    asks = dice.random() < 0.65
    roles = dice.choice(
        (("agent", "customer"), ("Support", "Visitor"), ("", ""), ("A", "B"), ("bot", "user"))
    )
    rng = page.rng
    names = roles if roles[0] else (pools.person(rng).split()[0], pools.person(rng).split()[0])
    minute = rng.randint(0, 1200)
    lines = []
    for asker, text in _turns(page, asks=asks):
        minute += rng.choice((0, 0, 1, 2))
        time = f"{minute // 60:02}:{minute % 60:02}"
        lines.append(frame.format(who=names[0 if asker else 1], time=time, text=text))
    return "\n".join(lines)


def _turns(page: Page, *, asks: bool) -> list[tuple[bool, str]]:
    """(whether the one who asks speaks, what is said)."""
    rng = page.rng
    turns = [
        (True, rng.choice(WORDS["greeting"])),
        (False, f"{rng.choice(WORDS['greeting'])} {page.title.lower()}"),
    ]
    for fact in page.facts:
        if fact.is_absent:
            if rng.random() < 0.4:
                turns += [
                    (True, rng.choice(_QUESTIONS).format(fact.label)),
                    (False, rng.choice(("no idea", "I don't know", "none", "not yet"))),
                ]
            continue
        if asks:
            turns += [(True, rng.choice(_QUESTIONS).format(fact.label)), (False, _answer(fact))]
        else:
            turns.append((rng.random() < 0.15, fact.said or f"{fact.label}: {_answer(fact)}"))
        if rng.random() < 0.2:
            turns.append((rng.random() < 0.5, rng.choice(_SMALL_TALK)))
    return turns


def log(page: Page) -> str:
    """Lines of a log, each with a time, a level and what happened, or one line of keys and values."""
    dice = page.dice()
    stamp = dice.choice(("{time} ", "[{time}] ", "<{time}> ", "", "{time} host7 "))
    level = dice.choice(("", "INFO ", "[info] ", "NOTICE: ", "(1) "))
    pair = dice.choice(("{key}={value}", '{key}="{value}"', "{key}: {value}", "{key} -> {value}"))
    per_line = dice.choice((1, 2, 3, 50))
    joint = dice.choice((" ", ", ", "; ", " | "))
    rng = page.rng
    pairs = [
        pair.format(key=cased(fact.label, "snake"), value=_answer(fact))
        for fact in page.facts
        if not fact.is_absent
    ]
    lines = [joint.join(pairs[i : i + per_line]) for i in range(0, len(pairs), per_line)]
    second = rng.randint(0, 80_000)
    out = []
    for line in lines:
        second += rng.randint(0, 40)
        out.append(stamp.format(time=clock(second)) + level + line)
    return "\n".join([*([page.title.lower()] if dice.random() < 0.3 else []), *out])


def data(page: Page) -> str:
    """JSON, YAML, XML or an ini file."""
    dice = page.dice()
    kind = dice.choice(("json", "yaml", "xml", "ini", "json"))
    case = dice.choice(("snake", "lower", "as it is"))
    pairs = [(cased(fact.label, case), fact) for fact in page.facts if not fact.is_absent]
    if kind == "json":
        return json.dumps(
            {key: _plain(fact) for key, fact in pairs}, ensure_ascii=False, indent=dice.choice((None, 1, 2))
        )
    if kind == "xml":
        tag = page.title.split()[0].lower()
        inner = [_xml(cased(fact.label, "snake"), _plain(fact)) for _, fact in pairs]
        return "\n".join([f"<{tag}>", *inner, f"</{tag}>"])
    lines = [line for key, fact in pairs for line in _yaml(key, fact, " = " if kind == "ini" else ": ")]
    return "\n".join([f"[{page.title.lower()}]", *lines] if kind == "ini" else lines)


def _plain(fact: Fact) -> object:
    if fact.rows:
        return [
            {label: text for label, text in zip(fact.header, row, strict=True) if text} for row in fact.rows
        ]
    return fact.text or fact.items or {part.label: part.text for part in fact.parts if part.text}


def _xml(tag: str, value: object) -> str:
    if isinstance(value, list):
        return "\n".join(_xml(tag, item) for item in value)
    if isinstance(value, dict):
        return f"<{tag}>{''.join(_xml(cased(key, 'snake'), item) for key, item in value.items())}</{tag}>"
    return f"<{tag}>{value}</{tag}>"


def _yaml(key: str, fact: Fact, mark: str) -> list[str]:
    if fact.text:
        return [f"{key}{mark}{fact.text}"]
    if fact.items:
        return [f"{key}{mark.rstrip()}", *(f"  - {item}" for item in fact.items)]
    if fact.rows:
        return [f"{key}{mark.rstrip()}", *(f"  - {row_text(fact, row)}" for row in fact.rows)]
    return [
        f"{key}{mark.rstrip()}",
        *(f"  {part.label}{mark}{part.text}" for part in fact.parts if part.text),
    ]


def bare(page: Page) -> str:
    """Values without labels: what they are is known from where they stand."""
    dice = page.dice()
    joint = dice.choice(("\n", "\n", " | ", "; ", "\t", " / ", " · ", "\n\n"))
    absent = dice.choice(("-", "n/a", "?", "none"))
    title = dice.choice(("", "{}", "{} #"))
    cells = [_bare(fact, absent) for fact in page.facts]
    return "\n".join([*([title.format(page.title)] if title else []), joint.join(cells)])


def _bare(fact: Fact, absent: str) -> str:
    if fact.is_absent:
        return absent
    if fact.rows:
        return "\n".join("  ".join(cell or "-" for cell in row) for row in fact.rows)
    return fact.text or listed(fact.items or [part.text for part in fact.parts if part.text])
