"""Printed currencies -> ISO 4217 codes."""

import re
from typing import Final

from schemas.forms import Leaf
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
        pattern = rf"(?<!{LETTER}\s){pattern}"
    before = rf"(?<!{LETTER})" if sign[0].isalpha() or sign in "$£¥" else ""
    after = rf"(?!{LETTER})" if sign[-1].isalpha() else ""
    return before + pattern + after


_SIGNS: Final = "|".join(map(_sign_pattern, sorted(_CODES, key=len, reverse=True)))
CURRENCY: Final = re.compile(rf"{_SIGNS}|(?<!{LETTER})[A-Z]{{3}}(?!{LETTER})")


def code_of(sign: str) -> str | None:
    """The ISO 4217 code of a printed sign, code or name."""
    if sign.upper() in ISO_4217:
        return sign.upper()
    folded = sign.casefold()
    return _CODES.get(sign) or _FOLDED_CODES.get(folded) or _FOLDED_CODES.get(folded.removesuffix("s"))


def read_currency(leaf: Leaf, printed: str) -> str:
    if code := code_of(printed.strip()):
        return code
    signs = {sign[0] for sign in CURRENCY.finditer(printed)}
    # "$ 12 CAD": the code says which dollar
    codes = signs & ISO_4217 or {code for code in map(code_of, signs) if code}
    return only(codes, leaf, printed)
