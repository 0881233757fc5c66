"""Values as documents print them, by the specs of `domains.txt`."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pipelines.train.synthetic import pools
from pipelines.train.synthetic.printing import draw_cents, draw_date, draw_moment
from pipelines.train.synthetic.sheet import Sheet
from pipelines.train.synthetic.things import skill, thing
from pipelines.train.synthetic.words import WORDS
from schemas.forms import Kind

_KINDS = {
    "date": Kind.DATE,
    "moment": Kind.DATETIME,
    "money": Kind.DECIMAL,
    "number": Kind.DECIMAL,
    "qty": Kind.DECIMAL,
    "percent": Kind.DECIMAL,
    "rating": Kind.DECIMAL,
    "int": Kind.INTEGER,
    "year": Kind.INTEGER,
    "currency": Kind.CURRENCY,
    "choice": Kind.CHOICE,
    "bool": Kind.BOOLEAN,
}


def kind_of(spec: str) -> Kind:
    """What a field of a spec holds, unless its schema says it is a text."""
    return _KINDS.get(spec.split()[0], Kind.TEXT)


@dataclass(frozen=True)
class Drawn:
    """A value on a sheet: how the document shows it, and the part that the record holds."""

    text: str
    slot: str


def draw_value(spec: str, sheet: Sheet, *, with_unit: bool = False) -> Drawn:
    """A value put on the sheet; `with_unit` makes "12 kg" or "$5" the value, and not the number alone."""
    name, _, limits = spec.partition(" ")
    if name in _MEASURED:
        before, number, after = _MEASURED[name](sheet, limits)
        if with_unit and name != "percent":
            slot = sheet.put(sheet.show(f"{before}{number}{after}"), solid=True)
            return Drawn(slot, slot)
        slot = sheet.put(number, solid=True)
        return Drawn(f"{before}{slot}{after}", slot)
    if name == "int":
        low, high = map(int, (limits or "1-99").split("-"))
        slot = sheet.put(sheet.style.number(_skewed(sheet.rng, low, high), 0), solid=True)
    elif name == "currency":
        slot = sheet.sign()
    else:
        slot = sheet.put(_TEXTS[name](sheet), solid=name == "year")
    return Drawn(slot, slot)


def _skewed(rng: Random, low: int, high: int) -> int:
    """Small numbers as often as large ones."""
    return low + int((high - low) ** rng.random()) if high - low > 50 else rng.randint(low, high)


def _money(sheet: Sheet, _: str) -> tuple[str, str, str]:
    rng, style = sheet.rng, sheet.style
    cents = draw_cents(rng)
    is_whole = cents % 100 == 0 and rng.random() < 0.4
    amount = sheet.money(cents, 0 if is_whole else 2)
    before, _, after = style.beside("\0", sheet.sign()).partition("\0")
    return before, amount, after


def _quantity(sheet: Sheet, units: str) -> tuple[str, str, str]:
    rng = sheet.rng
    decimals = rng.choice((0, 0, 1, 2))
    unit = rng.choice(units.split() or WORDS["unit"])
    return "", sheet.style.number(int(10 ** rng.uniform(0.5, 4.5)), decimals), f" {unit}"


def _number(sheet: Sheet, _: str) -> tuple[str, str, str]:
    decimals = sheet.rng.choice((0, 1, 1, 2, 3))
    return "", sheet.style.number(int(10 ** sheet.rng.uniform(0.5, 5)), decimals), ""


def _percent(sheet: Sheet, _: str) -> tuple[str, str, str]:
    decimals = sheet.rng.choice((0, 0, 1, 2))
    return (
        "",
        sheet.style.number(sheet.rng.randint(1, 100 * 10**decimals), decimals),
        sheet.rng.choice(("%", "%", " %")),
    )


def _rating(sheet: Sheet, _: str) -> tuple[str, str, str]:
    return (
        "",
        sheet.style.number(sheet.rng.randint(10, 50), 1),
        sheet.rng.choice(("", "/5", " of 5", " stars")),
    )


_MEASURED: dict[str, Callable[[Sheet, str], tuple[str, str, str]]] = {
    "money": _money,
    "qty": _quantity,
    "number": _number,
    "percent": _percent,
    "rating": _rating,
}


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def letters(rng: Random, count: int) -> str:
    return "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=count))


def code(rng: Random) -> str:
    """A number that somebody gave something."""
    form = rng.choice(_CODES)
    parts = (_CODE_PARTS[mark](rng) if mark in _CODE_PARTS else mark for mark in form)
    return "".join(parts)


# A letter, a digit, a year, a few digits, a shortened word; what else stands in them stands for itself
_CODES = (
    *(
        "AA-00000",
        "A00",
        "AAA000000",
        "Y-N",
        "AAA/Y/0000",
        "000-A",
        "#N",
        "00.000.000",
        "AA 000 000",
        "A00AA0",
        "W_0000",
    ),
    *(
        "N",
        "N",
        "000N",
        "AA0000000",
        "Y/000",
        "0000-000-A",
        "A-N",
        "AAA-Y-00",
        "AA-Y-000",
        "Y-000",
        "AA-00-000",
    ),
)
_CODE_PARTS: dict[str, Callable[[Random], str]] = {
    "A": lambda rng: letters(rng, 1),
    "0": lambda rng: digits(rng, 1),
    "Y": lambda rng: str(rng.randint(2001, 2025)),
    "N": lambda rng: str(rng.randint(1, 9)) + digits(rng, rng.randint(1, 9)),
    "W": lambda rng: rng.choice(WORDS["noun"])[:3].upper(),
}


def _plate(rng: Random) -> str:
    return rng.choice(
        (
            f"{letters(rng, 2)}{digits(rng, 2)} {letters(rng, 3)}",
            f"{letters(rng, 3)} {digits(rng, 4)}",
            f"{letters(rng, 1)}-{letters(rng, 2)} {digits(rng, 3)}",
            f"{digits(rng, 2)}-{letters(rng, 3)}-{digits(rng, 1)}",
        )
    )


def _bank(rng: Random) -> str:
    groups = [digits(rng, 4) for _ in range(4)]
    return rng.choice(
        (f"{letters(rng, 2)}{digits(rng, 2)} {' '.join(groups)}", digits(rng, 10), "-".join(groups[:3]))
    )


def _isbn(rng: Random) -> str:
    return f"978-{digits(rng, 1)}-{digits(rng, 4)}-{digits(rng, 4)}-{digits(rng, 1)}"


def _project(rng: Random) -> str:
    return rng.choice(
        (pools.coined(rng), f"{rng.choice(WORDS['adjective'])} {rng.choice(WORDS['noun'])}".title())
    )


_TEXTS: dict[str, Callable[[Sheet], str]] = {
    "date": lambda sheet: sheet.style.date(draw_date(sheet.rng)),
    "moment": lambda sheet: sheet.style.moment(draw_moment(sheet.rng)),
    "clock": lambda sheet: sheet.style.time(draw_moment(sheet.rng)),
    "party": lambda sheet: (pools.person if sheet.rng.random() < 0.45 else pools.company)(sheet.rng),
    "person": lambda sheet: pools.person(sheet.rng),
    "company": lambda sheet: pools.company(sheet.rng),
    "address": lambda sheet: pools.address(sheet.rng),
    "city": lambda sheet: pools.city(sheet.rng),
    "email": lambda sheet: pools.email(sheet.rng),
    "phone": lambda sheet: pools.phone(sheet.rng),
    "url": lambda sheet: f"www.{pools.coined(sheet.rng).lower()}.example",
    "code": lambda sheet: code(sheet.rng),
    "position": lambda sheet: sheet.rng.choice((*WORDS["position"], *pools.pools().jobs[:300])),
    "plate": lambda sheet: _plate(sheet.rng),
    "bank": lambda sheet: _bank(sheet.rng),
    "isbn": lambda sheet: _isbn(sheet.rng),
    "ip": lambda sheet: ".".join(str(sheet.rng.randint(1, 254)) for _ in range(4)),
    "seat": lambda sheet: f"{sheet.rng.randint(1, 48)}{sheet.rng.choice('ABCDEF')}",
    "year": lambda sheet: str(sheet.rng.randint(1890, 2025)),
    "projectname": lambda sheet: _project(sheet.rng),
}


def _listed(name: str) -> Callable[[Sheet], str]:
    return lambda sheet: sheet.rng.choice(WORDS[name])


def _alike(name: str) -> Callable[[Sheet], str]:
    return lambda sheet: thing(sheet.rng, WORDS[name])


_TEXTS |= {name: _listed(name) for name in WORDS if name not in _TEXTS}
_TEXTS |= {name: _alike(name) for name in ("product", "service", "dish", "task", "topic", "crop", "device")}
_TEXTS["skill"] = lambda sheet: skill(sheet.rng)
