"""Non-disclosure agreements, whole or one window of them: what a window does not print, it lacks."""

from dataclasses import dataclass
from importlib.resources import files
from random import Random
from typing import Any

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.page import listed
from pipelines.train.synthetic.printing import draw_date
from pipelines.train.synthetic.sheet import Draft, Sheet
from pipelines.train.synthetic.things import clause, said, thing
from pipelines.train.synthetic.words import WORDS

_PACKAGE = "pipelines.train.synthetic"
# heading and text
_CLAUSES = files(_PACKAGE).joinpath("clauses.txt").read_text(encoding="utf-8").splitlines()
_FRAMES = (
    *("{n}. {head}. {text}", "{n}. {text}", "{n}.\n{head}. {text}", "Section {n}. {head}. {text}"),
    *(
        "## {n}. {head}\n\n{text}",
        "({n}) {text}",
        "{n}. {HEAD}\n{text}",
        "Article {n} - {head}\n{n}.1 {text}",
        "{text}",
    ),
)
_SPANS = tuple(zip(WORDS["span"], map(int, WORDS["span number"]), strict=True))
_ROLES = (
    ("the Receiving Party", "the Disclosing Party"),
    ("the Recipient", "the Discloser"),
    ("Recipient", "Owner"),
    ("the Executive", "the Company"),
    ("Employee", "the Company"),
    ("you", "us"),
    ("the Contractor", "the Client"),
    ("the Undersigned", "the Company"),
    ("each of us", "the other"),
)


@dataclass(frozen=True)
class _Section:
    """A part of the agreement, and the parties it names in full."""

    text: str
    parties: tuple[str, ...] = ()


def _length(rng: Random, other_units: float = 0.0) -> str:
    """A printed span of time: two (2) years, 18 months; the share `other_units` of them in days or weeks."""
    word, value = rng.choice(_SPANS)
    unit = (
        ("year" if value < 8 or rng.random() < 0.4 else "month")
        if value < 12
        else rng.choice(("month", "month", "year"))
    )
    if rng.random() < other_units:
        unit = rng.choice(("day", "week"))
    unit += "s" if value > 1 else ""
    return rng.choice(
        (
            f"{word} ({value}) {unit}",
            f"{word} {unit}",
            f"{value} {unit}",
            f"{word} ({value}) {unit}",
            f"{word.capitalize()} {unit}",
            f"{word}-{unit.removesuffix('s')}" if rng.random() < 0.2 else f"{word} {unit}",
        )
    )


def _called(name: str, *, short: bool) -> str:
    """A name as the text goes on to call it: by its first word, or without its last."""
    words = name.split()
    return words[0].strip(",").title() if short or len(words) < 3 else " ".join(words[:-1]).strip(",")


class _Agreement:
    """The facts of one agreement as slots, in the words of its template."""

    def __init__(self, sheet: Sheet, dice: Random) -> None:
        self.sheet, self.rng, self.dice = sheet, sheet.rng, dice
        rng = self.rng
        self.receiver, self.discloser = dice.choice(_ROLES)
        self.names = self._names()
        if rng.random() < 0.4:
            # clauses call them by a part of their name
            short = dice.random() < 0.6
            self.receiver, self.discloser = (_called(name, short=short) for name in rng.sample(self.names, 2))
        self.parties = tuple(sheet.put(name) for name in self.names)
        self.date = sheet.put(sheet.style.date(draw_date(rng)))
        self.law = sheet.put(rng.choice(WORDS["us state"] if rng.random() < 0.75 else WORDS["other law"]))
        self.term = sheet.put(_length(rng)) if rng.random() < 0.7 else ""
        # the day stands above, or below where it is signed
        self.dated_above = dice.random() < 0.8
        self.signs_dates = self.dated_above and dice.random() < 0.4
        self.is_bold = dice.random() < 0.12

    def _names(self) -> list[str]:
        rng = self.rng
        count = rng.choice((2, 2, 2, 2, 3, 3, 4))
        names = [pools.company(rng, suffix=rng.random() < 0.85) for _ in range(count)]
        if rng.random() < 0.35:
            names[-1] = pools.person(rng)
        names = [rng.sample(names, count), names][self.dice.random() < 0.5]
        return [name.upper() for name in names] if self.dice.random() < 0.2 else names

    def preamble(self) -> _Section:
        """Who makes the agreement and, mostly, when."""
        rng, dice = self.rng, self.dice
        title = dice.choice(WORDS["nda title"])
        described = [self._described(slot, number) for number, slot in enumerate(self.parties)]
        joint = dice.choice((" and ", " and ", ", and ", "\nand\n", "\n", "; and\n", ";\nAND\n", ",\nand\n"))
        if joint in ("\n", "; and\n"):
            mark = dice.choice(("({}) ", "{}. ", "{}) ", "- "))
            described = [mark.format(number) + each for number, each in enumerate(described, start=1)]
        comma = {"\n": "\n", "\nand\n": "\n", "; and\n": ";\n"}.get(joint, ", ")
        # three of them may be parted as two are
        who = listed(described, joint if joint.count("\n") > 1 and dice.random() < 0.5 else comma, joint)
        opening = dice.choice(WORDS["nda dated" if self.dated_above else "nda undated"])
        exhibit = f"EX-{rng.randint(2, 99)}.{rng.randint(1, 40)}\n" if rng.random() < 0.25 else ""
        other = self.sheet.style.date(draw_date(rng))
        text = opening.format(date=self.date, who=who, title=title.title(), other=other)
        return _Section(f"{exhibit}{title}\n{text}", self.parties)

    def _described(self, slot: str, number: int) -> str:
        rng = self.rng
        alias = rng.choice((rng.choice(WORDS["nda alias"]), _called(self.names[number], short=True)))
        tail = f' ("{alias}")' if rng.random() < 0.5 else f' (the "{alias}")' if rng.random() < 0.4 else ""
        if self.names[number].split()[-1].isalpha() and rng.random() < 0.2:
            return f"{slot} of {pools.city(rng)}{tail}"
        kind, law = rng.choice(WORDS["firm kind"]), rng.choice(WORDS[rng.choice(("us state", "other law"))])
        kind = rng.choice((f"a {law} {kind}", f"a {kind} {rng.choice(WORDS['nda made under'])} {law}"))
        place = rng.choice((f"at {pools.address(rng)}", f"in {pools.city(rng)}, {law}"))
        seat = f"{rng.choice(('having', 'with'))} its {rng.choice(WORDS['nda seat'])} {place}"
        place = rng.choice(
            (
                "",
                "",
                f", {kind}",
                f", {seat}",
                f", {kind} {seat}",
                f", {kind}, {seat}",
                f", {pools.address(rng)}",
            )
        )
        name = f"**{slot}**" if self.is_bold else slot
        return f"{name}{place}{tail}"

    def recitals(self) -> _Section:
        """Why the parties speak, with days that are not the day of the agreement."""
        rng = self.rng
        other = self.sheet.style.date(draw_date(rng))
        return _Section(
            "\n".join(
                each.format(other=other, length=_length(rng, 0.2))
                for each in rng.sample(WORDS["nda recital"], rng.randint(1, 3))
            )
        )

    def law_clause(self) -> str:
        rng = self.rng
        text = rng.choice(WORDS["nda law"]).format(law=self.law, country=rng.choice(WORDS["country"]))
        if rng.random() < 0.4:
            text += f" {rng.choice(WORDS['nda court']).format(rng.choice((pools.city(rng), self.law)))}"
        return f"{rng.choice(WORDS['nda law head'])}|{text}"

    def term_clause(self) -> str:
        frames = WORDS["nda term" if self.term else "nda endless"]
        return f"{self.rng.choice(WORDS['nda term head'])}|{self.rng.choice(frames).replace('{term}', self.term)}"

    def other_term_clause(self) -> str:
        """A span of time that is not that of the duty of confidence."""
        text = self.rng.choice(WORDS["nda other term"]).replace("{term}", _length(self.rng, 0.35))
        return f"{self.rng.choice(WORDS['nda other term head'])}|{text}"

    def clauses(self, count: int) -> list[_Section]:
        """Numbered clauses, those of law and term among them."""
        rng = self.rng
        frame = self.dice.choice(_FRAMES)
        chosen = [
            clause(rng) if rng.random() < 0.5 else each
            for each in rng.sample(_CLAUSES, min(count, len(_CLAUSES)))
        ]
        chosen += [self.other_term_clause()] if rng.random() < 0.5 else []
        rng.shuffle(chosen)
        chosen.insert(rng.randint(0, len(chosen)), self.term_clause())
        chosen.insert(rng.randint(len(chosen) // 2, len(chosen)), self.law_clause())
        first = 1 if count > 4 else rng.randint(1, 15)
        out = []
        for number, each in enumerate(chosen, start=first):
            head, _, text = each.partition("|")
            text = text.format(R=self.receiver, D=self.discloser)
            text = text[0].upper() + text[1:]
            out.append(_Section(frame.format(n=number, head=head, HEAD=head.upper(), text=text)))
        return out

    def definitions(self) -> _Section:
        """Words that are written like names."""
        rng, dice = self.rng, self.dice
        mark, quoted = dice.choice(("", "", "(a) ", "- ", "1.1 ")), dice.choice(('"{}"', "“{}”"))
        verbs = ("means", "is", "includes")
        lines = [
            said(rng, (f"{mark}{{}} {{}} {meaning};",)).format(
                quoted.format(rng.choice(WORDS["nda defined"])),
                rng.choice(verbs),
                R=self.receiver,
                D=self.discloser,
            )
            for meaning in rng.sample(WORDS["nda meaning"], rng.randint(2, 5))
        ]
        return _Section("\n".join(["In this Agreement", *lines]))

    def notices(self) -> _Section:
        """Whom to write to: people and firms that are no parties."""
        rng = self.rng
        lines = [
            said(rng, WORDS["nda notice"]).format(
                R=self.receiver,
                D=self.discloser,
                address=pools.address(rng),
                email=pools.email(rng),
                phone=pools.phone(rng),
                firm=pools.company(rng),
            )
            for _ in range(rng.randint(1, 3))
        ]
        return _Section("\n".join([rng.choice(WORDS["nda notice head"]), *lines]))

    def exhibit(self) -> _Section:
        """A list behind the agreement: people, things and spans of time that answer nothing."""
        rng, bullet = self.rng, self.dice.choice(("", "- ", "* ", "• "))
        title = rng.choice(WORDS["nda exhibit"]).format(n=rng.choice("123AB"))
        lines = [bullet + self._listed() for _ in range(rng.randint(2, 6))]
        return _Section("\n".join([title, rng.choice(WORDS["nda exhibit head"]), *lines]))

    def _listed(self) -> str:
        rng = self.rng
        frame = rng.choice(WORDS["nda exhibit item"]).replace("{thing}", thing(rng, WORDS["service"]))
        text = said(rng, (frame,))
        return text.format(length=_length(rng), date=self.sheet.style.date(draw_date(rng)))

    def signatures(self) -> _Section:
        """Where it is signed: names once more, often in capitals."""
        dice = self.dice
        opening = dice.choice(WORDS["nda witness"])
        signed = f"Signed this {self.date}." if not self.dated_above else ""
        capitals = dice.random() < 0.5
        slots = tuple(self.sheet.put(name.upper() if capitals else name) for name in self.names)
        blocks = [self._block(slot) for slot in slots]
        return _Section("\n".join(part for part in (opening, signed, *blocks) if part), slots)

    def _block(self, slot: str) -> str:
        rng = self.rng
        if rng.random() < 0.25:
            return slot
        person = pools.person(rng)
        title = f"{rng.choice(('Title', 'Its', 'Name and title'))}: {rng.choice(WORDS['position'])}"
        lines = [slot, f"By: {rng.choice(('/s/ ', '', '____ '))}{person}", title]
        lines[2:2] = [f"Name: {person}"] if rng.random() < 0.3 else []
        # the day of a signature is not the day of the agreement
        lines += [f"Date: {self.sheet.style.date(draw_date(rng))}"] if self.signs_dates else []
        return "\n".join(lines)


def _window(sections: list[_Section], rng: Random, room: int) -> list[_Section]:
    """Neighbouring sections of at most `room` characters, from the beginning, the middle or the end."""
    total = sum(len(section.text) for section in sections)
    if total <= room:
        return sections
    is_end = rng.random() < 0.25
    start = 0 if is_end or rng.random() < 0.4 else rng.randrange(len(sections))
    out: list[_Section] = []
    for section in sections[::-1] if is_end else sections[start:]:
        if out and sum(len(each.text) for each in out) + len(section.text) > room:
            break
        out.append(section)
    out = out[::-1] if is_end else out
    if rng.random() < 0.4 and not out[0].parties:
        # windows begin in the middle of a sentence
        text = out[0].text
        out[0] = _Section(text[text.find(" ", rng.randrange(len(text))) + 1 :])
    return out


def agreement(sheet: Sheet, dice: Random) -> Draft:
    """An agreement, cut to what a window holds."""
    rng = sheet.rng
    made = _Agreement(sheet, dice)
    sheet.width = dice.choice((None, None, 90, 100, 110, 72))
    # all lengths alike often, and as long as may be
    room = int(300 * (max(sheet.room, 400) / 300) ** (1.0 if rng.random() < 0.3 else rng.random() ** 0.7))
    count = min(45, max(1, room // 230)) if rng.random() < 0.8 else 45
    before = [part() for part in (made.recitals, made.definitions) if rng.random() < 0.5]
    after = [part() for part, share in ((made.signatures, 0.7), (made.exhibit, 0.35)) if rng.random() < share]
    clauses = made.clauses(count)
    if rng.random() < 0.3:
        clauses.insert(len(clauses) // 2, made.notices())
    sections = [made.preamble(), *before, *clauses, *after]
    shown = _window(sections, rng, room)
    # a full name counts where it is first printed
    parties = next((section.parties for section in shown if section.parties), ())
    joint = dice.choice(("\n", "\n\n", "\n"))
    page = f"{joint}{rng.randint(1, 9)}\n" if rng.random() < 0.1 else joint
    text = page.join(section.text for section in shown)
    record: dict[str, Any] = {
        "effective_date": made.date,
        "jurisdiction": made.law,
        "term": made.term or None,
        "parties": list(parties),
    }
    return text, record


GENRES = {"nda_a": agreement, "nda_b": agreement}
