"""How one document prints dates, times, numbers and money."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SHORT = [month[:3] for month in MONTHS]
_DAY_FIRST = [
    "{d:02}/{m:02}/{y}",
    "{d:02}-{m:02}-{y}",
    "{d:02}.{m:02}.{y}",
    "{d}/{m}/{y}",
    "{d}.{m}.{y}",
    "{d:02}/{m:02}/{s:02}",
    "{d:02}-{m:02}-{s:02}",
    "{d:02}.{m:02}.{s:02}",
]
_MONTH_FIRST = ["{m:02}/{d:02}/{y}", "{m}/{d}/{y}", "{m:02}-{d:02}-{y}", "{m:02}/{d:02}/{s:02}"]
_NAMED = [
    "{d} {M} {y}",
    "{d} {b} {y}",
    "{M} {d}, {y}",
    "{b} {d}, {y}",
    "{d:02} {b} {y}",
    "{d:02}-{b}-{y}",
    "{d:02}-{b}-{s:02}",
    "{d}{o} {M} {y}",
    "{d}{o} of {M} {y}",
    "{M} {d}{o}, {y}",
    "{d}. {M} {y}",
    "{b}. {d}, {y}",
    "{d:02} {B} {y}",
    "{d:02} {B} {s:02}",
    "{d}{o} day of {M}, {y}",
    "{d:02}{B}{y}",
    "{M} {d} {y}",
]
_ISO = ["{y}-{m:02}-{d:02}", "{y}-{m:02}-{d:02}", "{y}/{m:02}/{d:02}", "{y}.{m:02}.{d:02}", "{y}{m:02}{d:02}"]
_CLOCKS = [
    "{H:02}:{M:02}",
    "{H:02}:{M:02}:{S:02}",
    "{h}:{M:02} {P}",
    "{h}:{M:02}{p}",
    "{h:02}:{M:02}:{S:02} {P}",
]
_JOINTS = (" ", " ", ", ", "  ", " at ", "T")
# a sign stands here as often as it is drawn
_CURRENCIES = (
    *("$", "$", "$", "$", "$", "$", "$", "$", "USD", "USD", "USD", "USD", "US$", "US$", "€", "€", "€", "€"),
    *("€", "€", "€", "€", "EUR", "EUR", "EUR", "EUR", "EUR", "£", "£", "£", "£", "£", "£", "£", "GBP", "GBP"),
    *("RM", "RM", "RM", "RM", "RM", "MYR", "SGD", "SGD", "S$", "AUD", "AUD", "A$", "CAD", "CAD", "C$", "NZD"),
    *("CHF", "CHF", "CHF", "SEK", "NOK", "DKK", "PLN", "zł", "CZK", "Kč", "¥", "¥", "JPY", "₹", "₹", "INR"),
    *("Rs.", "HK$", "THB", "฿", "IDR", "Rp.", "ZAR", "R$", "BRL", "MXN", "AED", "KES", "₩"),
)
_WORDS = ("euros", "US dollars", "ringgit", "yen", "Swiss francs", "euro")
# of these the code after the number is custom
_AFTER = frozenset({"zł", "Kč", "SEK", "NOK", "DKK", "PLN", "CZK"})


@dataclass(frozen=True, kw_only=True)
class Region:
    """How the documents of one schema read: a setting of the schema."""

    day_first: bool
    decimal_comma: bool


def draw_region(rng: Random) -> Region:
    decimal_comma = rng.random() < 0.15
    return Region(decimal_comma=decimal_comma, day_first=decimal_comma or rng.random() < 0.5)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one document prints values; drawn anew for each, kept within it."""

    day: str
    clock: str
    joint: str
    point: str
    group: str
    # printed currency and where it stands: "before", "after", or "" for not at all
    sign: str
    place: str
    gap: str

    def date(self, day: date) -> str:
        number = day.day
        ordinal = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        month = _SHORT[day.month - 1]
        return self.day.format(
            d=number,
            m=day.month,
            y=day.year,
            s=day.year % 100,
            o=ordinal,
            M=MONTHS[day.month - 1],
            b=month,
            B=month.upper(),
        )

    def time(self, moment: datetime) -> str:
        hour = moment.hour % 12 or 12
        half = "AM" if moment.hour < 12 else "PM"
        return self.clock.format(
            H=moment.hour, h=hour, M=moment.minute, S=moment.second, P=half, p=half.lower()
        )

    def moment(self, moment: datetime) -> str:
        return f"{self.date(moment)}{self.joint}{self.time(moment)}"

    def number(self, value: int, decimals: int) -> str:
        """`value` in units of the last printed decimal: 123450 with two decimals is 1,234.50."""
        whole, fraction = divmod(abs(value), 10**decimals)
        text = f"{whole:,}".replace(",", self.group) if whole >= 1000 else str(whole)
        minus = "-" if value < 0 else ""
        return f"{minus}{text}{self.point}{fraction:0{decimals}}" if decimals else minus + text

    def beside(self, amount: str, sign: str) -> str:
        """An amount with its currency where this document prints it."""
        if self.place == "before":
            return f"{sign}{self.gap}{amount}"
        return f"{amount} {sign}" if self.place == "after" else amount


def draw_style(rng: Random, region: Region) -> Style:
    sign = rng.choice(_CURRENCIES)
    place = rng.choice(("before", "before", "before", "before", "after", ""))
    if sign in _AFTER:
        place = rng.choice(("after", ""))
    if rng.random() < 0.04:
        sign, place = rng.choice(_WORDS), "after"
    comma = region.decimal_comma if rng.random() < 0.9 else False
    point = "," if comma else "."
    groups = (".", ".", "", " ", "'") if comma else (",", ",", ",", ",", "", "", " ", "'")
    # a comma would be read as the decimal point
    group = rng.choice(groups if comma or not region.decimal_comma else groups[4:])
    clock = rng.choice(_CLOCKS)
    day = _draw_day(rng, region)
    return Style(
        day=day,
        clock=clock,
        # 20240512T10:30 would be one run of digits
        joint=" "
        if day.startswith("{y}{m")
        else rng.choice(_JOINTS)
        if day.startswith("{y}")
        else rng.choice(_JOINTS[:5]),
        point=point,
        group=group,
        sign=sign,
        place=place,
        gap=" " if len(sign) == 3 and sign.isalpha() and rng.random() < 0.8 else rng.choice(("", "", " ")),
    )


def _draw_day(rng: Random, region: Region) -> str:
    kind = rng.random()
    if kind < 0.42:
        return rng.choice(_DAY_FIRST if region.day_first else _MONTH_FIRST)
    return rng.choice(_NAMED) if kind < 0.85 else rng.choice(_ISO)


_FIRST_DAY = date(1996, 1, 1)


def draw_date(rng: Random, *, first: date = _FIRST_DAY, days: int = 11_000) -> date:
    return first + timedelta(days=rng.randrange(days))


def draw_moment(rng: Random) -> datetime:
    day = draw_date(rng)
    return datetime(day.year, day.month, day.day) + timedelta(seconds=rng.randrange(6 * 3600, 23 * 3600))


def clock(second: int) -> str:
    """A second of the day as 14:05:09."""
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def draw_cents(rng: Random) -> int:
    """An amount of money in cents: few digits as often as many, round ones among them."""
    cents = int(10 ** rng.uniform(2.3, rng.choice((4.2, 5.3, 7)))) + rng.randrange(100)
    return cents // 100 * 100 if rng.random() < 0.25 else cents
