"""The model copies, code converts: printed text to values, and values to where they are printed.

What can be read in two ways is refused, never guessed, but for what a field declares (`day_first`,
`decimal_comma`) and the custom that a plain "$" is the US dollar.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Hashable
from datetime import UTC, date, datetime, time, timezone
from decimal import Decimal
from typing import Final, TypeVar

from dateutil import parser as dateutil

from schemas.errors import ConversionError
from schemas.forms import Kind, Leaf
from schemas.locate import collapse

Value = str | date | datetime | Decimal | int | float
T = TypeVar("T", bound=Hashable)

_EXPECTED: Final = {
    Kind.TEXT: ("a text", "Acme Ltd"),
    Kind.DATE: ("a date", "2018-12-25, 25/12/2018, 25 Dec 2018"),
    Kind.DATETIME: ("a date and time", "2018-12-25T14:33:00, 25/12/2018 2:33 PM"),
    Kind.DECIMAL: ("a number", "RM 1,234.50, 1.234,50 EUR, (12.00), 85k"),
    Kind.INTEGER: ("a whole number", "12, 1,200 pcs"),
    Kind.FLOAT: ("a number", "12.5 kg, -0.75"),
    Kind.CURRENCY: ("a currency", "EUR, €, US$, RM"),
}

_LETTER = r"[^\W\d_]"


def read(leaf: Leaf, printed: str) -> Value:
    """The value of a verbatim or inferred leaf as the record holds it.

    Raises:
        ConversionError: the text does not read as the leaf's kind, or reads in two ways.
    """
    return _READERS[leaf.kind](leaf, printed)


def unit_of(printed: str) -> str | None:
    """What is printed beside the only number: "RM" of "RM 1,234.50", "kg" of "12 kg"."""
    plain = plain_digits(printed)
    numbers = list(NUMBER.finditer(plain))
    if len(numbers) != 1:
        return None
    end = numbers[0].end("body") if _is_length(numbers[0], plain) else numbers[0].end()
    before, after = plain[: numbers[0].start("body")], plain[end:]
    signs: list[str] = [sign for side in (before, after) for sign in CURRENCY.findall(side) if _code(sign)]
    if signs:
        return next((sign for sign in signs if sign in _ISO_4217), signs[0])
    # "Qty:" is a label, not a unit
    label = "" if before.rstrip().endswith(":") else before
    return collapse(after.strip(_AROUND)) or collapse(label.strip(_AROUND)) or None


def _refuse(leaf: Leaf, printed: str, reason: str) -> ConversionError:
    expected, example = _EXPECTED[leaf.kind]
    return ConversionError(
        f"{printed!r} does not read as {expected}: {reason}.",
        hint=f"What reads: {example}.",
        printed=printed,
        expected=expected,
    )


def _only(values: set[T], leaf: Leaf, printed: str) -> T:
    if len(values) != 1:
        raise _refuse(leaf, printed, "there are several in it" if values else "there is none in it")
    return values.pop()


_PLAIN: Final = str.maketrans("−–‐‑﹣－’‘ʼ´`．，（）٫٬", "------'''''.,().'")


def plain_digits(text: str) -> str:
    """Digits, blanks, minus and separators of every script as ASCII; no offset moves."""
    if text.isascii():
        return text.replace("`", "'")
    return "".join(map(_plain_char, text.translate(_PLAIN)))


def _plain_char(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    return str(unicodedata.decimal(char, char))


def _text(leaf: Leaf, printed: str) -> str:
    if not printed.strip():
        raise _refuse(leaf, printed, "there is only white space")
    return collapse(printed)


_ISO_4217: Final = frozenset(
    """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP
    LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB
    PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
    THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW
    ZWG""".split()  # noqa: SIM905
)

# Words are found in any case and with a plural s. "kr" and "peso" are many currencies and not here.
_PRINTED: Final = {
    "USD": "$|US$|U.S.$|USD$|dollar|US dollar|U.S. dollar|United States dollar",
    "EUR": "€|euro",
    "GBP": "£|pound|pound sterling|sterling|British pound",
    "JPY": "¥|円|JP¥|yen|Japanese yen",
    "CNY": "元|RMB|CN¥|yuan|renminbi|Chinese yuan",
    "MYR": "RM|ringgit|Malaysian ringgit",
    "SGD": "S$|SG$|Singapore dollar",
    "AUD": "A$|AU$|Australian dollar",
    "CAD": "C$|CA$|CDN$|Canadian dollar",
    "NZD": "NZ$|New Zealand dollar",
    "HKD": "HK$|Hong Kong dollar",
    "TWD": "NT$",
    "MXN": "MX$|Mex$|Mexican peso",
    "BRL": "R$",
    "INR": "₹|Rs|Rs.|RS|rupee|Indian rupee",
    "IDR": "Rp|Rp.|rupiah",
    "PHP": "₱|Philippine peso",
    "THB": "฿|baht",
    "VND": "₫",
    "KRW": "₩",
    "CHF": "Fr.|SFr.|Swiss franc",
    "PLN": "zł|złoty|zloty",
    "CZK": "Kč",
    "HUF": "Ft|forint",
    "SEK": "Swedish krona|Swedish kronor",
    "NOK": "Norwegian krone|Norwegian kroner",
    "DKK": "Danish krone|Danish kroner",
    "RUB": "₽|ruble|rouble",
    "UAH": "₴|hryvnia",
    "TRY": "₺|Turkish lira",
    "ILS": "₪|shekel",
    "NGN": "₦|naira",
    "ZAR": "R|rand",
    "AED": "Dhs|Dhs.|dirham",
    "SAR": "SR|riyal",
}
_CODES: Final = {sign: code for code, signs in _PRINTED.items() for sign in signs.split("|")}
_FOLDED_CODES: Final = {sign.casefold(): code for sign, code in _CODES.items()}


def _sign_pattern(sign: str) -> str:
    is_word = len(sign) > 3 and sign.isascii()
    pattern = rf"(?i:{re.escape(sign)}s?)" if is_word else re.escape(sign)
    if sign in ("dollar", "pound", "rupee"):
        # of which country: "Jamaican dollars" must not read as US dollars
        pattern = rf"(?<!{_LETTER}\s){pattern}"
    before = rf"(?<!{_LETTER})" if sign[0].isalpha() or sign in "$£¥" else ""
    after = rf"(?!{_LETTER})" if sign[-1].isalpha() else ""
    return before + pattern + after


_SIGNS: Final = "|".join(map(_sign_pattern, sorted(_CODES, key=len, reverse=True)))
CURRENCY: Final = re.compile(rf"{_SIGNS}|(?<!{_LETTER})[A-Z]{{3}}(?!{_LETTER})")


def _code(sign: str) -> str | None:
    """The ISO 4217 code of a printed sign, code or name."""
    if sign.upper() in _ISO_4217:
        return sign.upper()
    folded = sign.casefold()
    return _CODES.get(sign) or _FOLDED_CODES.get(folded) or _FOLDED_CODES.get(folded.removesuffix("s"))


def _currency(leaf: Leaf, printed: str) -> str:
    if code := _code(printed.strip()):
        return code
    signs = {sign[0] for sign in CURRENCY.finditer(printed)}
    # "$ 12 CAD": the code says which dollar
    codes = signs & _ISO_4217 or {code for code in map(_code, signs) if code}
    return _only(codes, leaf, printed)


_POWERS: Final = {
    "": 0,
    "k": 3,
    "m": 6,
    "thousand": 3,
    "lakh": 5,
    "million": 6,
    "mio": 6,
    "crore": 7,
    "billion": 9,
    "bn": 9,
}
NUMBER: Final = re.compile(
    rf"""(?P<minus>(?:(?<![\w)])-|\A\s*-\s)(?:(?:{CURRENCY.pattern})\s?)?)?
    (?P<body>\d{{1,3}}(?P<gap>[ '])\d{{3}}(?:(?P=gap)\d{{3}})*(?:[.,]\d+)?(?![.,']?\d)
        |\d+(?:[.,]\d+)*
        |(?<![\w.,])\.\d+)
    (?:(?P<suffix>[kKmM])(?![^\W_])
        |\s?(?P<word>(?i:thousand|million|mio|billion|bn|lakh|crore))s?(?![^\W_]))?
    (?P<trailing>-(?!\w))?""",
    re.VERBOSE,
)
_GROUPED: Final = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}")
_AROUND: Final = " \t\n()[]-+:;,./"
_INT64: Final = 2**63


def _decimal(leaf: Leaf, printed: str) -> Decimal:
    plain = plain_digits(printed)
    numbers = list(NUMBER.finditer(plain))
    if len(numbers) != 1:
        raise _refuse(leaf, printed, f"there are {len(numbers)} numbers in it")
    number = numbers[0]
    digits = _digits(number["body"], decimal_comma=leaf.decimal_comma)
    if digits is None:
        raise _refuse(leaf, printed, "its separators do not group the digits")
    power = 0 if _is_length(number, plain) else _POWERS[(number["suffix"] or number["word"] or "").lower()]
    value = Decimal(format(Decimal(f"{digits}E{power}"), "f"))
    return value.copy_negate() if _is_negative(number, plain) else value


def _is_length(number: re.Match[str], plain: str) -> bool:
    """Whether a small m is metres: it is millions only of money, as in "$5m"."""
    return number["suffix"] == "m" and not CURRENCY.search(plain)


def _digits(body: str, *, decimal_comma: bool) -> str | None:
    """The digits of a printed number with a dot for its fraction; None if they are grouped like no number."""
    body = body.replace(" ", "").replace("'", "")
    last = max(body.rfind("."), body.rfind(","))
    if last < 0:
        return body
    mark, head, tail = body[last], body[:last], body[last + 1 :]
    other = "," if mark == "." else "."
    if other not in head and mark not in head:
        thousands = mark == ("." if decimal_comma else ",") and _GROUPED.fullmatch(f"{head},{tail}")
        return head + tail if thousands else f"{head}.{tail}"
    if other in head and mark in head:
        return None
    whole, fraction = (head, tail) if other in head else (body, "")
    if not _GROUPED.fullmatch(whole.replace(other if fraction else mark, ",")):
        return None
    return re.sub("[.,]", "", whole) + (f".{fraction}" if fraction else "")


def _is_negative(number: re.Match[str], plain: str) -> bool:
    if number["minus"] or number["trailing"]:
        return True
    # brackets around all but a currency: "(12.00)", "RM (12.00)", but not "four (4)"
    around = CURRENCY.sub("", f"{plain[: number.start()]}#{plain[number.end() :]}")
    return "".join(around.split()) == "(#)"


def _integer(leaf: Leaf, printed: str) -> int:
    value = _decimal(leaf, printed)
    if abs(value) >= _INT64:
        raise _refuse(leaf, printed, "it does not fit 64 bits")
    if value != int(value):
        raise _refuse(leaf, printed, "it has a fraction")
    return int(value)


def _float(leaf: Leaf, printed: str) -> float:
    value = float(_decimal(leaf, printed))
    if not math.isfinite(value):
        raise _refuse(leaf, printed, "it is too large")
    return value


_MONTH: Final = (
    rf"(?<!{_LETTER})(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    rf"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?!{_LETTER})"
)
_DAY: Final = r"\d{1,2}(?:\s?(?:st|nd|rd|th))?"
_GAP: Final = r"[\s.,/'-]"
DATE: Final = re.compile(
    rf"""(?<!\d)(?<!\d[-/.])(?:
    \d{{4}}\s?(?P<a>[-/.])\s?\d{{1,2}}\s?(?P=a)\s?\d{{1,2}}
    |\d{{1,2}}\s?(?P<b>[-/.])\s?\d{{1,2}}\s?(?P=b)\s?(?:\d{{4}}|\d\d)
    |\d{{1,2}}\ \d{{1,2}}\ \d{{4}}
    |\d{{8}}
    |{_DAY}(?:\s+day)?(?:\s+of)?{_GAP}{{0,3}}{_MONTH}{_GAP}{{0,3}}(?:\d{{4}}|\d\d(?!,?\s\d{{4}}))
    |{_MONTH}{_GAP}{{0,3}}{_DAY}{_GAP}{{1,3}}(?:\d{{4}}|\d\d)
    |\d{{4}}{_GAP}{{0,3}}{_MONTH}{_GAP}{{0,3}}{_DAY}
    )(?!\d|:\d|[-/.]\d)""",
    re.IGNORECASE | re.VERBOSE,
)
TIME: Final = re.compile(
    r"""(?<![\d:])(?:
    \d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,6})?(?:\s?[+-]\d\d:?\d\d)?)?(?:\s?[ap](?:m\b|\.m\b\.?))?
    |\d{1,2}\s?[ap](?:m\b|\.m\b\.?)
    )(?P<utc>\s?(?:Z|UTC|GMT)\b)?(?![\d:])""",
    re.IGNORECASE | re.VERBOSE,
)
BEFORE_TIME: Final = re.compile(r"[T\s,-]{0,3}(?:at\s)?")


class _ParserInfo(dateutil.parserinfo):
    JUMP = [*dateutil.parserinfo.JUMP, "day"]  # noqa: RUF012  as the library declares it

    def convertyear(self, year: int, century_specified: bool = False) -> int:
        # the library's pivot moves with today's date; this is the one of POSIX
        if year >= 100 or century_specified:
            return year
        return year + (2000 if year < 69 else 1900)


_INFO: Final = _ParserInfo()


def _date(leaf: Leaf, printed: str) -> date:
    found = [
        _parse_date(match[0], day_first=leaf.day_first) for match in DATE.finditer(plain_digits(printed))
    ]
    days = {day for day in found if day}
    if found and not days:
        raise _refuse(leaf, printed, "the calendar has no such day")
    return _only(days, leaf, printed)


def _parse_date(printed: str, *, day_first: bool) -> date | None:
    """A date of which day, month and year are printed: the library would fill what is missing."""
    tidy = re.sub(r"(?<=\d)\s?([-/.])\s?(?=\d)", r"\1", printed)
    # day_first would read 2018-12-05 as the twelfth of May
    day_first = day_first and not re.match(r"\d{4}", tidy)
    try:
        return dateutil.parse(tidy, _INFO, dayfirst=day_first, default=datetime(2000, 1, 1)).date()
    except (ValueError, OverflowError, TypeError):
        return None


def _datetime(leaf: Leaf, printed: str) -> datetime:
    day = _date(leaf, printed)
    found = [_parse_time(match, day) for match in TIME.finditer(plain_digits(printed))]
    if not found:
        return datetime.combine(day, time.min)
    return _only({moment for moment in found if moment}, leaf, printed)


def _parse_time(match: re.Match[str], day: date) -> datetime | None:
    clock = match[0].removesuffix(match["utc"] or "").replace(",", ".")
    clock = re.sub(r"([ap])\.?m\.?", r"\1m", clock, flags=re.IGNORECASE)
    try:
        moment = dateutil.parse(clock, default=datetime.combine(day, time.min))
        offset = moment.utcoffset()
        zone = UTC if match["utc"] else offset if offset is None else timezone(offset)
        return moment.replace(tzinfo=zone)
    except (ValueError, OverflowError, TypeError):
        return None


_READERS: Final[dict[Kind, Callable[[Leaf, str], Value]]] = {
    Kind.TEXT: _text,
    Kind.INFERRED: lambda _, printed: printed.strip(),
    Kind.CURRENCY: _currency,
    Kind.DECIMAL: _decimal,
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
}
