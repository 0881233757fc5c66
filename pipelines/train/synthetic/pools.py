"""Names, firms and addresses: pools drawn once a process from Faker with a fixed seed, and put together anew."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from faker import Faker

from pipelines.train.synthetic.words import WORDS

# not it_IT: its towns come in another order in every process
_LOCALES = ("en_US", "en_GB", "en_IN", "de_DE", "fr_FR", "es_ES", "sv_SE", "nl_NL", "pl_PL", "en_AU")
_SEED = 20240501
# of each kind and locale; English weighs more
_SIZE = {"en_US": 900, "en_GB": 600, "en_IN": 300, "en_AU": 300}


@dataclass(frozen=True)
class Pools:
    """What names and addresses are made of, each in the order Faker gave it."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    # (street, town, postcode) lines as a locale writes them
    places: tuple[tuple[str, str, str], ...]
    jobs: tuple[str, ...]


@lru_cache(maxsize=1)
def pools() -> Pools:
    """The pools of this process; the same in every one."""
    first: dict[str, None] = {}
    last: dict[str, None] = {}
    places: dict[tuple[str, str, str], None] = {}
    for locale in _LOCALES:
        fake = Faker(locale)
        fake.seed_instance(_SEED)
        size = _SIZE.get(locale, 150)
        first |= _drawn(size, fake.first_name)
        last |= _drawn(size, fake.last_name)
        places |= dict.fromkeys(_place(fake) for _ in range(size))
    fake = Faker("en_GB")
    fake.seed_instance(_SEED)
    return Pools(
        first=tuple(first),
        last=tuple(last),
        places=tuple(places),
        jobs=tuple(_drawn(500, fake.job)),
    )


def _drawn(size: int, draw: Callable[[], str]) -> dict[str, None]:
    return dict.fromkeys(unicodedata.normalize("NFC", draw()) for _ in range(size))


def _place(fake: Faker) -> tuple[str, str, str]:
    parts = (fake.street_name(), fake.city(), fake.postcode())
    street, town, code = (unicodedata.normalize("NFC", part).strip() for part in parts)
    return street, town, code


_START = [
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gl",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "sh",
    "sk",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
    "z",
]
_MIDDLE = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ai", "ea", "ee", "ou"]
_END = [
    "b",
    "d",
    "ck",
    "l",
    "ll",
    "m",
    "n",
    "nd",
    "r",
    "rn",
    "rt",
    "s",
    "st",
    "t",
    "th",
    "v",
    "x",
    "nt",
    "lm",
    "sk",
]


def coined(rng: Random, parts: int = 0) -> str:
    """A word that no list holds: copying must not depend on having seen it."""
    count = parts or rng.choice((1, 2, 2, 3))
    syllables = [rng.choice(_START) + rng.choice(_MIDDLE) for _ in range(count)]
    return ("".join(syllables) + rng.choice(_END)).capitalize()


@lru_cache(maxsize=1)
def all_words() -> tuple[str, ...]:
    """Every word of all lists, in lower case and once."""
    phrases = (*(each for words in WORDS.values() for each in words), *pools().jobs)
    return tuple(sorted({word.lower() for phrase in phrases for word in re.findall(r"[A-Za-z]{3,}", phrase)}))


def person(rng: Random) -> str:
    """A full name, at times with a middle initial, initials only, or two last names."""
    pool = pools()
    first, last = rng.choice(pool.first), rng.choice(pool.last)
    if rng.random() < 0.12:
        last = coined(rng)
    form = rng.random()
    if form < 0.74:
        return f"{first} {last}"
    if form < 0.82:
        return f"{first} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
    if form < 0.88:
        return f"{first[0]}. {last}"
    if form < 0.94:
        return f"{first} {last}-{rng.choice(pool.last)}".replace("  ", " ")
    return f"{first} {rng.choice(pool.first)} {last}"


_SUFFIXES = [
    "Ltd",
    "Ltd.",
    "Limited",
    "Inc.",
    "Inc",
    "LLC",
    "GmbH",
    "B.V.",
    "S.A.",
    "plc",
    "AG",
    "Pty Ltd",
    "Pty. Ltd.",
    "Pte Ltd",
    "Sdn Bhd",
    "Co.",
    "Corp.",
    "LLP",
    "AS",
    "Oy",
    "S.r.l.",
    "SARL",
    "KG",
    "Corporation",
    "& Co",
    "Company",
    "Group",
    "Holdings",
    "Partners",
    "N.V.",
    "L.P.",
    "Incorporated",
    "Kft.",
    "sp. z o.o.",
]


_BODIES = (
    "Institute",
    "University",
    "Museum",
    "Association",
    "Society",
    "Hospital",
    "Council",
    "Foundation",
    "Academy",
    "Trust",
    "Cooperative",
    "Chamber",
    "Library",
    "Club",
    "School",
    "Union",
)


def company(rng: Random, *, suffix: bool | None = None) -> str:
    """A firm: owners, a coined name or two plain words, with a trade and a legal form as it comes."""
    has_suffix = rng.random() < 0.55 if suffix is None else suffix
    name = _firm(rng)
    if not has_suffix:
        return name
    return f"{name}{rng.choice((' ', ' ', ' ', ', '))}{rng.choice(_SUFFIXES)}"


def _firm(rng: Random) -> str:
    return rng.choice(_FIRMS)(rng)


def _last(rng: Random) -> str:
    return rng.choice(pools().last)


def _word(rng: Random, name: str) -> str:
    """One of a list, as a part of a name."""
    word = rng.choice(WORDS[name])
    return word if name in ("trade", "country") else word.title()


def any_words(rng: Random, most: int = 5) -> str:
    """Two words of any kind or more, so that where a name ends is seen from what is around it alone."""
    return " ".join(rng.choice(all_words()) for _ in range(rng.randint(2, most)))


def _any_name(rng: Random) -> str:
    name = any_words(rng).title()
    return name.replace(" ", " & ", 1) if rng.random() < 0.2 else name


_FIRMS: tuple[Callable[[Random], str], ...] = (
    lambda rng: f"{_last(rng)} & {_last(rng)}",
    lambda rng: f"{_last(rng)} {_word(rng, 'trade')}",
    lambda rng: f"{coined(rng)} {_word(rng, 'trade')}",
    lambda rng: f"{_word(rng, 'adjective')} {_word(rng, 'noun')} {_word(rng, 'trade')}",
    lambda rng: f"The {_word(rng, 'adjective')} {_word(rng, 'noun')}",
    lambda rng: f"{_word(rng, 'noun')} & {_word(rng, 'noun')} {_word(rng, 'trade')}",
    lambda rng: coined(rng) + rng.choice(("", "", " Labs", " Works", "tec", ".io")),
    lambda rng: f"{_last(rng)}, {_last(rng)} & {rng.choice(('Sons', 'Daughters'))}",
    lambda rng: f"{city(rng)} {_word(rng, 'trade')}",
    lambda rng: f"{_word(rng, 'noun')} {_word(rng, 'noun')} {_word(rng, 'trade')} {_word(rng, 'trade')}",
    lambda rng: f"{rng.choice(_BODIES)} of {city(rng)}",
    lambda rng: f"The {_word(rng, 'noun')} {rng.choice(_BODIES)} for {_word(rng, 'trade')}",
    lambda rng: f"{_word(rng, 'adjective')} {_word(rng, 'noun')} {rng.choice(_BODIES)}",
    lambda rng: f"{coined(rng)} {_word(rng, 'trade')} ({_word(rng, 'country')})",
    _any_name,
    lambda rng: f"{_any_name(rng)} {rng.choice(_BODIES)}",
    lambda rng: f"{_last(rng)} {_any_name(rng)}",
    lambda rng: f"{spot(rng)} {rng.choice(WORDS['body'])}",
    lambda rng: f"{spot(rng)} {_word(rng, 'trade')}",
)


def spot(rng: Random) -> str:
    """A name of a place, as estates and firms have: Alder Creek."""
    first = rng.choice((_word(rng, "noun"), _word(rng, "crop"), _last(rng), coined(rng)))
    return f"{first} {rng.choice(WORDS['landform'])}"


def page_title(rng: Random, kind: str, firm: str) -> str:
    """What a page is called that prints the firm's name in full further on: without its legal form."""
    form = next((each for each in _SUFFIXES if firm.endswith(f" {each}")), "")
    return rng.choice(WORDS[f"{kind} page"]).format(firm.removesuffix(form).rstrip(", "))


def city(rng: Random) -> str:
    return rng.choice(pools().places)[1]


def address(rng: Random) -> str:
    """A postal address on one line; lines are broken later, where a layout wants them."""
    street, town, code = rng.choice(pools().places)
    number = rng.randint(1, 240)
    first = rng.choice(
        (f"{number} {street}", f"{number} {street}", f"{street} {number}", f"{number}, {street}")
    )
    if rng.random() < 0.2:
        unit = rng.choice(("Unit", "Suite", "Flat", "Level", "Apt", "Shop"))
        first = rng.choice((f"{unit} {rng.randint(1, 60)}, {first}", f"{first}, {unit} {rng.randint(1, 60)}"))
    end = rng.choice((f"{town} {code}", f"{code} {town}", f"{town}, {code}"))
    country = f", {rng.choice(WORDS['country'])}" if rng.random() < 0.15 else ""
    return f"{first}, {end}{country}"


_MAIL_HOSTS = ["example.com", "example.org", "example.net", "mail.example", "post.example"]


def email(rng: Random, name: str = "") -> str:
    """An address at a host that nobody owns, often made of the name."""
    ascii_name = unicodedata.normalize("NFKD", name or person(rng)).encode("ascii", "ignore").decode()
    parts = [part for part in ascii_name.lower().replace(".", " ").replace("'", "").split() if part]
    first, last = (parts[0], parts[-1]) if parts else ("info", "office")
    local = rng.choice(
        (
            f"{first}.{last}",
            f"{first[0]}.{last}",
            f"{first}{last[0]}",
            f"{last}{rng.randint(1, 99)}",
            f"{first}_{last}",
        )
    )
    host = rng.choice(_MAIL_HOSTS)
    if rng.random() < 0.5:
        host = f"{coined(rng).lower()}.example"
    return f"{local}@{host}"


def phone(rng: Random) -> str:
    digits = "".join(rng.choice("0123456789") for _ in range(10))
    return rng.choice(
        (
            f"+{rng.randint(1, 99)} {digits[:3]} {digits[3:6]} {digits[6:]}",
            f"({digits[:3]}) {digits[3:6]}-{digits[6:]}",
            f"0{digits[:3]} {digits[3:]}",
            f"0{digits[:2]}-{digits[2:6]} {digits[6:]}",
            f"{digits[:3]}-{digits[3:6]}-{digits[6:]}",
            f"0{digits}",
        )
    )
