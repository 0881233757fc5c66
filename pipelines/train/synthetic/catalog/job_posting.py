"""Job advertisements: forms, web pages, headlines with bullets, two lines in a newspaper."""

from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.catalog.position import Position
from pipelines.train.synthetic.page import listed
from pipelines.train.synthetic.sheet import Draft, Sheet
from pipelines.train.synthetic.words import WORDS

_NAMES = (
    ("Job", "Position", "Title", "Role"),
    ("Company", "Employer", "Who", "Firm"),
    ("Location", "Where", "Place of work"),
    ("Work mode", "Work", "Mode"),
    ("Type", "Employment", "Contract"),
    ("Pay", "Salary", "Compensation"),
)


def _wanted(post: Position, dice: Random) -> list[str]:
    """The skills as bullets or in a sentence, with some that are none between."""
    rng = post.rng
    bullet, in_words, in_frames = (
        dice.choice(("- ", "* ", "• ", "", "+ ")),
        dice.random() < 0.5,
        dice.random() < 0.4,
    )
    others = [rng.choice(WORDS["no skill"])] if rng.random() < 0.4 else []
    if not in_words:
        frames = WORDS["job bullet"] if in_frames else ("{}",)
        skills = [rng.choice(frames).format(skill) for skill in post.skills]
        return [bullet + each for each in (*skills, *others)]
    split = rng.randint(1, len(post.skills))
    must, nice = post.skills[:split], post.skills[split:]
    lines = [rng.choice(WORDS["job must"]).format(listed([*must, *others], ", ", " and "))]
    return [*lines, rng.choice(WORDS["job plus"]).format(listed(nice, ", ", " or "))] if nice else lines


def labelled(sheet: Sheet, dice: Random) -> Draft:
    """A form: Job, Where, Who, Type, Pay."""
    post = Position(sheet)
    joint, bold = dice.choice((": ", ": ", " - ", ":\n", " | ", "\t")), dice.choice(("{}", "{}", "**{}**"))
    names, upper, order = [dice.choice(each) for each in _NAMES], dice.random() < 0.25, dice.random()
    wanted = dice.choice(WORDS["job wanted"])
    values = (post.title + post.suffix(), post.company, post.location, post.mode, post.type, post.pay)
    pairs = [
        (name.upper() if upper else name, value) for name, value in zip(names, values, strict=True) if value
    ]
    if order < 0.4:
        Random(order).shuffle(pairs)
    head = [f"{bold.format(name)}{joint}{value}" for name, value in pairs]
    offer = [post.benefit()] if post.rng.random() < 0.4 else []
    return "\n".join([*head, f"{wanted}:", *_wanted(post, dice), *offer, post.intro()]), post.record


def page(sheet: Sheet, dice: Random) -> Draft:
    """A web page: headline, one line of facts, sections."""
    post = Position(sheet)
    headline = dice.choice(("# {}", "{}", "{}\n", "## {}", "{}\n====="))
    joint, section = (
        dice.choice((" · ", " - ", " | ", ", ", "\n", " — ")),
        dice.choice(("## {}", "{}", "**{}**", "{}:")),
    )
    wanted, offered = dice.choice(WORDS["job wanted"]), dice.choice(WORDS["job offered"])
    offer_first = dice.random() < 0.3
    keeps_order, pay_on_top, bullet = dice.random() < 0.6, dice.random() < 0.3, dice.choice(("- ", "", "* "))
    employer_first = post.company and dice.random() < 0.3
    company = f"**{post.company}**" if post.company and dice.random() < 0.15 else post.company
    # employer and town are often a line of their own
    pair = dice.choice(
        ("{}, {}", "{} — {}", "{} · {}", "{} | {}", "{} - {}", "{} ({})", "{}\n{}", "{} in {}")
    )
    is_pair = dice.random() < 0.45 and company and post.location and not employer_first
    facts = [post.mode, post.type] if is_pair else [company, post.location, post.mode, post.type]
    facts = [each for each in facts if each]
    if not keeps_order:
        post.rng.shuffle(facts)
    pay = [post.pay] if post.pay else []
    offer = [bullet + each for each in (*([] if pay_on_top else pay), post.benefit(), post.benefit())]
    head = [headline.format(post.title + post.suffix())]
    # pages have a title besides their headline
    head = [dice.choice((post.title, post.page_title)), "", *head] if dice.random() < 0.25 else head
    if employer_first:
        facts.remove(company)
        named = dice.choice((dice.choice(WORDS["department"]), pools.any_words(dice, 3).title()))
        department = [named] if dice.random() < 0.5 else []
        head = [post.company, *department, *dice.choice(([""], [])), *head]
    head += [pair.format(company, post.location)] if is_pair else []
    top = [*head, joint.join(facts), *(pay if pay_on_top else []), ""]
    parts = [[section.format(wanted), *_wanted(post, dice)], [section.format(offered), *offer]]
    gap = dice.choice(([""], [""], []))
    lines = [line for part in (parts[::-1] if offer_first else parts) for line in (*part, *gap)]
    return "\n".join([*top, post.intro(), *gap, *lines, post.intro()]), post.record


def words(sheet: Sheet, dice: Random) -> Draft:
    """Running text, short or long."""
    post = Position(sheet)
    rng, sheet.width = post.rng, dice.choice((None, 70, 90))
    seeks, pay, place = (dice.choice(WORDS[f"job {kind}"]) for kind in ("seeks", "pay", "where"))
    intro_first, stands_alone = dice.random() < 0.4, sheet.width is None and dice.random() < 0.4
    title = f"\n\n{dice.choice(('    ', '', '  '))}{post.title}\n\n" if stands_alone else post.title
    where = f" {place.format(post.location)}".replace(" ,", ",") if post.location else ""
    facts = listed([each for each in (post.mode, post.type) if each], ", ", " and ")
    parts = [seeks.format(who=post.company or "We", title=title, where=where)]
    parts += [post.intro()] if intro_first else []
    parts += [f"{facts}."] if facts else []
    parts += [pay.format(post.pay)] if post.pay else []
    phone = [f"Call {pools.phone(rng)}"] if rng.random() < 0.3 else []
    return "\n".join([" ".join(parts), *_wanted(post, dice), post.intro(), *phone]), post.record


GENRES = {"job_labelled": labelled, "job_page": page, "job_words": words}
