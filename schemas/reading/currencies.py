"""Printed currencies -> ISO 4217 codes."""

import re
from collections.abc import Iterator
from typing import Final

from schemas.forms import Leaf
from schemas.locate import Span, collapse
from schemas.reading.common import LETTER, only

ISO_4217: Final = frozenset(
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
    "USD": "$|US$|U.S.$|USD$|dollar|US dollar|U.S. dollar|United States dollar|American dollar",
    "EUR": "€|euro",
    "GBP": "£|pound|pound sterling|pounds sterling|sterling|British pound",
    "JPY": "¥|円|JP¥|yen|Japanese yen",
    "CNY": "元|RMB|CN¥|yuan|renminbi|Chinese yuan",
    "MYR": "RM|ringgit|Malaysian ringgit",
    "SGD": "S$|SG$|Singapore dollar|Singaporean dollar",
    "AUD": "A$|AU$|Australian dollar",
    "CAD": "C$|CA$|CDN$|Canadian dollar",
    "NZD": "NZ$|New Zealand dollar",
    "HKD": "HK$|Hong Kong dollar",
    "TWD": "NT$|Taiwan dollar|New Taiwan dollar",
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
    "BBD": "Barbados dollar",
    "BMD": "Bermuda dollar",
    "BND": "Brunei dollar",
    "BZD": "Belize dollar",
    "FJD": "Fiji dollar",
    "JMD": "Jamaican dollar|Jamaica dollar",
    "KYD": "Cayman Islands dollar",
    "NAD": "Namibia dollar",
    "SBD": "Solomon Islands dollar",
    "TTD": "Trinidad and Tobago dollar",
    "XCD": "East Caribbean dollar|Eastern Caribbean dollar",
    "EGP": "Egyptian pound",
    "GIP": "Gibraltar pound",
    "LBP": "Lebanese pound",
    "PKR": "Pakistani rupee|Pakistan rupee",
    "LKR": "Sri Lankan rupee|Sri Lanka rupee",
    "NPR": "Nepalese rupee",
    "MUR": "Mauritian rupee|Mauritius rupee",
    "SCR": "Seychelles rupee",
}
_CODES: Final = {sign: code for code, signs in _PRINTED.items() for sign in signs.split("|")}
_FOLDED_CODES: Final = {sign.casefold(): code for sign, code in _CODES.items()}
# English words in capitals and abbreviations, which are money only beside it
_AMBIGUOUS: Final = frozenset("ALL BAM BOB COP CUP GEL MAD MOP PEN RON SOS TOP TRY Fr. Ft R SR".split())  # noqa: SIM905
_MONEY_BEFORE: Final = re.compile(
    r"(?:\d[kKmM]?[ ]?|(?i:\b(?:currency|ccy|amounts?|prices?|total|paid|payable))\W{0,3}(?i:in\s|is\s)?)\Z"
)
_MONEY_AFTER: Final = re.compile(r"[ \t]*[-(]?\.?\d")


def _sign_pattern(sign: str) -> str:
    """How a sign is searched for where no letter stands before it."""
    is_word = sign.isascii() and (len(sign) > 3 or sign.islower())
    # with a set in front the search need not try each word everywhere
    pattern = (
        rf"[{sign[0].lower()}{sign[0].upper()}](?i:{re.escape(sign[1:])}s?)" if is_word else re.escape(sign)
    )
    if sign in ("dollar", "pound", "rupee"):
        # of which country: "Rhodesian dollars" must not read as US dollars
        pattern = rf"(?<!an\s)(?<!ese\s)(?<!ish\s){pattern}"
    return pattern.replace(r"\ ", r"\s{1,2}") + (rf"(?!{LETTER})" if sign[-1].isalpha() else "")


def _pattern(signs: list[str]) -> str:
    return "|".join(map(_sign_pattern, sorted(signs, key=len, reverse=True)))


_BOUND: Final = _pattern([sign for sign in _CODES if sign[0].isalpha() or sign[0] in "$£¥"])
_FREE: Final = "".join(sign for sign in _CODES if not (sign[0].isalpha() or sign[0] in "$£¥"))
CURRENCY: Final = re.compile(rf"(?<!{LETTER})(?:{_BOUND}|[A-Z]{{3}}(?!{LETTER}))|[{_FREE}]")


def find_currencies(text: str) -> Iterator[Span]:
    """Where signs, codes and names of money are printed."""
    for sign in CURRENCY.finditer(text):
        if code_of(sign[0]) and (sign[0] not in _AMBIGUOUS or _is_money(text, *sign.span())):
            yield sign.span()


def _is_money(text: str, start: int, end: int) -> bool:
    """Whether an amount, brackets or a word for money stand beside a span."""
    if text[start - 1 : start] + text[end : end + 1] in ("()", "[]"):
        return True
    return bool(_MONEY_BEFORE.search(text, max(0, start - 16), start) or _MONEY_AFTER.match(text, end))


def code_of(sign: str) -> str | None:
    """The ISO 4217 code of a printed sign, code or name."""
    if sign.upper() in ISO_4217:
        return sign.upper()
    folded = collapse(sign).casefold()
    return _CODES.get(sign) or _FOLDED_CODES.get(folded) or _FOLDED_CODES.get(folded.removesuffix("s"))


def read_currency(leaf: Leaf, printed: str) -> str:
    if code := code_of(printed.strip()):
        return code
    signs = {sign[0] for sign in CURRENCY.finditer(printed)}
    # "$ 12 CAD": the code says which dollar
    codes = signs & ISO_4217 or {code for code in map(code_of, signs) if code}
    return only(codes, leaf, printed)
