"""The facts of one open position, and its pay as printed."""

from random import Random
from typing import Any

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.sheet import Said, Sheet
from pipelines.train.synthetic.things import said, skill
from pipelines.train.synthetic.words import WORDS

_MODES = ("onsite", "hybrid", "remote")
_TYPES = ("full_time", "part_time", "contract", "internship")
_STATES = ("TX", "CA", "NY", "MN", "WA", "OH", "NSW", "ON")


class Position:
    """One position as slots; what is empty is not printed."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.rng = sheet, sheet.rng
        rng = self.rng
        # sentences among those that answer nothing
        self._sentences: list[str] = []
        self.title = sheet.put(_title(rng))
        self.company = sheet.put(pools.company(rng)) if rng.random() < 0.85 else ""
        self.page_title = pools.page_title(rng, "job", sheet.show(self.company)) if self.company else ""
        self.mode, mode = self._choice("mode", _MODES)
        self.type, kind = self._choice("type", _TYPES)
        # who works at home works nowhere, or in a whole country
        location = sheet.put(_place(rng)) if rng.random() < (0.35 if mode.value == "remote" else 0.85) else ""
        in_sentence = rng.random() < 0.15
        self.location = "" if in_sentence else location
        if location and in_sentence:
            self._sentences.append(rng.choice(WORDS["job place"]).format(location))
        self.pay, low, high = self._pay()
        names = dict.fromkeys(skill(rng) for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5, 6))))
        self.skills = [sheet.put(name) for name in names]
        self.record: dict[str, Any] = {
            "title": self.title,
            "company": self.company or None,
            "location": location or None,
            "work_mode": mode,
            "employment_type": kind,
            "salary_min": low or None,
            "salary_max": high or None,
            "salary_currency": sheet.sign(),
            "skills": self.skills,
        }

    def _choice(self, list_name: str, values: tuple[str, ...]) -> tuple[str, Said]:
        """A wording and what it says; often nothing is said, or in a sentence further on."""
        value = self.rng.choice(values)
        if self.rng.random() < 0.28:
            return "", Said("", "unspecified", "unspecified")
        if self.rng.random() < 0.4:
            slot = self.sheet.put(said(self.rng, WORDS[f"job said {value}"]))
            self._sentences.append(slot)
            return "", Said(slot, value, "unspecified")
        slot = self.sheet.put(self.rng.choice(WORDS[f"{list_name} {value}"]))
        return slot, Said(slot, value, "unspecified")

    def _pay(self) -> tuple[str, str, str]:
        """How the pay is printed, and the slots of its two ends."""
        rng = self.rng
        form = rng.choice(("range", "range", "range", "one", "to", "from", ""))
        if not form:
            return "", "", ""
        *figures, period = self._figures()
        low, high = (self.sheet.put(figure, solid=True) for figure in figures)
        sign = self.sheet.sign() if rng.random() < 0.9 else ""
        first, second = self._priced(low, sign), self._priced(high, sign)
        if form == "range":
            said = rng.choice(WORDS["pay range"]).format(a=first, b=second, bare=high)
            return f"{said}{period}", low, high
        if form == "one":
            return f"{first}{period}", low, low
        if form == "to":
            return f"{rng.choice(WORDS['pay to'])} {second}{period}", "", high
        return f"{rng.choice(WORDS['pay from'])} {first}{rng.choice((period, '+'))}", low, ""

    def _priced(self, slot: str, sign: str) -> str:
        style = self.sheet.style
        if not sign:
            return slot
        return f"{slot} {sign}" if style.place == "after" else f"{sign}{style.gap}{slot}"

    def _figures(self) -> tuple[str, str, str]:
        """The two ends as printed, and for how long they are paid."""
        rng, style = self.rng, self.sheet.style
        if rng.random() < 0.3:
            cents = rng.randrange(900, 9000, rng.choice((1, 25, 50, 100)))
            more, decimals = cents + 100 * rng.randint(1, 20), 2 if cents % 100 else 0
            return self.sheet.money(cents, decimals), self.sheet.money(more, decimals), _per(rng, "hour")
        low = rng.randint(18, 160)
        high = low + rng.randint(2, 40)
        if rng.random() < 0.25 and len(style.sign) < 4:
            return f"{low}k", f"{high}k", _per(rng, "year")
        if rng.random() < 0.25:
            return style.number(low * 50, 0), style.number(high * 50, 0), _per(rng, "month")
        top = high * 1000 + rng.choice((0, 500))
        return style.number(low * 1000, 0), style.number(top, 0), _per(rng, "year")

    def benefit(self) -> str:
        """Something else that is offered, at times with an amount."""
        amount = self.sheet.money(self.rng.randrange(20_000, 500_000, 5000), 0)
        return self.rng.choice(WORDS["benefit"]).format(amount)

    def intro(self) -> str:
        """Sentences that answer nothing, and those that are still to be said."""
        count = self.rng.choice((1, 1, 1, 2, 3))
        known = WORDS["job intro"] if self.rng.random() < 0.3 else WORDS["job prose"]
        sentences = [*self._sentences, *(said(self.rng, known) for _ in range(count))]
        self._sentences = []
        self.rng.shuffle(sentences)
        return " ".join(sentences)

    def suffix(self) -> str:
        """What stands behind the title without being part of it."""
        return f" {self.rng.choice(WORDS['job suffix'])}" if self.rng.random() < 0.4 else ""


def _per(rng: Random, span: str) -> str:
    return f" {rng.choice(WORDS[f'per {span}'])}" if rng.random() < 0.85 else ""


def _title(rng: Random) -> str:
    pool = WORDS["position"] if rng.random() < 0.7 else pools.pools().jobs
    name = rng.choice(pool).split(",")[0]
    if rng.random() < 0.15:
        name = f"{pools.any_words(rng, 3).title()} {name.split()[-1]}"
    name = f"{rng.choice(WORDS['title kind'])} {name}" if rng.random() < 0.3 else name
    name = f"{rng.choice(WORDS['job level'])} {name}" if rng.random() < 0.3 else name
    return rng.choice((name, name, name, name.upper(), name.lower()))


def _place(rng: Random) -> str:
    town, country = pools.city(rng), rng.choice(WORDS["country"])
    return rng.choice(
        (
            town,
            town,
            f"{town}, {country}",
            f"{town}, {country}",
            f"{town}, {rng.choice(_STATES)}",
            f"{town}, {rng.choice(WORDS['us state'])}",
            f"{town} ({country})",
            country,
            f"{town} and {pools.city(rng)}",
            f"{town}/{pools.city(rng)}",
            pools.spot(rng),
        )
    )
