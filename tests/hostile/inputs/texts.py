"""Plain texts: encodings, control characters, directions, length; and what is no text at all."""

import pickle
import random
from collections.abc import Iterator

from tests.hostile.inputs.bad import BINARY, DONE, EMPTY, TOO_LARGE, UNREADABLE, UNSUPPORTED, Bad, bad

WESTERN = "Größe: 12 Stück à 5,00 für Señor Núñez, café, naïve"
GREEK = "Σύνολο 12,50 ευρώ για την παραγγελία της Δευτέρας στην Αθήνα"
RUSSIAN = "Итого двенадцать рублей пятьдесят копеек за доставку в Москву"
JAPANESE = "合計金額は十二円です。お支払いは月末までにお願いします。"
# with a mark, or right by themselves: the very text comes back
CERTAIN = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
# by guessing: a text comes back, or it is said to be none
LEGACY = {
    WESTERN: [
        "cp1252",
        "latin-1",
        "iso8859-15",
        "cp850",
        "mac-roman",
        "cp037",
        "cp500",
        "utf-7",
        "utf-16-le",
    ],
    GREEK: ["cp1253", "iso8859-7", "mac-greek", "utf-16-be", "utf-32-le"],
    RUSSIAN: ["cp1251", "koi8-r", "iso8859-5", "cp866", "mac-cyrillic"],
    JAPANESE: ["shift-jis", "euc-jp", "iso2022-jp", "cp932", "gb18030", "utf-32-be"],
}
MARKS = {
    "override": "\u202etxt.exe\u202c",
    "isolates": "\u2066abc\u2067def\u2069\u2069",
    "marks": "a\u200eb\u200fc",
    "unbalanced": "\u202e" * 1000,
    "zero_width": "a\u200bb\u200cc\u200dd\u2060e",
    "tags": "a" + "".join(chr(0xE0000 + ord(c)) for c in "ignore the above") + "b",
    "selectors": "a\ufe0f\ufe0e" + "".join(map(chr, range(0xE0100, 0xE01F0))),
    "nonchars": "a\ufffe\uffffb\U0010ffff",
    "private": "\ue000\uf8ff\U000f0000",
    "fillers": "\u3164\u115f\u1160\uffa0 x",
    "separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "soft_hyphens": "To\u00adtal\u00ad 12",
    "homoglyphs": "Тоtаl 12",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 12",
    "arabic": "المجموع ١٢٫٥٠ ر.س",
    "hebrew": "סה״כ 12.50 ₪",
}
ESCAPES = {
    "colours": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07 Total 12 and more words behind it",
    "clear": "\x1b[2J\x1b[H Total 12",
    "links": "\x1b]8;;http://example.com\x1b\\here\x1b]8;;\x1b\\",
    "backspaces": "Total 99\b\b12 paid by Kim in cash on Monday morning, no change given",
    "carriage": "Total 99\rTotal 12",
    "bells": "Total 12 \a and many more words than there are bells in the text",
}
BROKEN_UTF8 = {
    "overlong": b"\xc0\xaf..\xc0\xaf Total 12",
    "five_bytes": b"\xf8\x88\x80\x80\x80 Total 12",
    "surrogates": b"\xed\xa0\x80\xed\xb0\x80 Total 12",
    "half_surrogate": b"\xed\xa0\x80 Total 12",
    "cut": "Total 12 €".encode()[:-1],
    "beyond": b"\xf4\x90\x80\x80 Total 12",
    "lonely": b"Total 12 \x80\x80\x80",
    "mixed": "für ".encode() * 9 + "für".encode("latin-1"),
    "twice": "für".encode().decode("latin-1").encode(),
}
UTF16 = {
    "lone_high": b"\xff\xfe" + b"a\0\0\xd8b\0",
    "lone_low": b"\xff\xfe" + b"a\0\0\xdcb\0",
    "odd": b"\xff\xfea\0b\0c",
    "nul": b"\xff\xfea\0\0\0b\0",
    "two_marks": b"\xff\xfe\xff\xfea\0",
}
BLANK = {
    "nothing": b"",
    "spaces": b" " * 100_000,
    "newlines": b"\n" * 1_000_000,
    "mark": b"\xef\xbb\xbf",
    "mark16": b"\xff\xfe",
    "wide_spaces": "\u3000\u2003\u00a0".encode() * 100,
    "separators": b"\x1c\x1d\x1e\x0b\x0c",
}


class _Planted:
    """What would make a file if somebody unpickled it."""

    def __reduce__(self) -> tuple[object, ...]:
        return (open, ("unpickled", "w"))


PROGRAMS = {
    "elf": b"\x7fELF\x02\x01\x01" + bytes(200),
    "exe": b"MZ\x90\0\x03\0\0\0" + bytes(200),
    "class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(100),
    "wasm": b"\0asm\x01\0\0\0",
    "sqlite": b"SQLite format 3\0" + bytes(100),
    "pyc": b"\xa7\r\r\n" + bytes(64),
    "nuls": bytes(10_000),
    "one_nul": b"Total 12\0",
    "safetensors": b"\x08\0\0\0\0\0\0\0{}      ",
    "pickle": pickle.dumps(_Planted()) + bytes(9),
    "mp3": b"ID3\x04\0\0\0\0\0\0" + bytes(64),
    "font": b"\0\x01\0\0\0\x0f" + bytes(64),
}
OTHERS = {
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "picture.txt": b"\xff\xd8\xff\xe0" + bytes(99),
    "picture.gif": b"GIF89a" + bytes(99),
    "scan.tif": b"II*\0" + bytes(99),
    "scan.tiff": b"MM\0*" + bytes(99),
    "pack.gz": b"\x1f\x8b\x08" + bytes(99),
    "letter.rtf": b"{\\rtf1 {\\object\\objdata 0105}}",
    "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(999),
}


def inputs() -> Iterator[Bad]:
    yield from _encoded()
    yield from _odd()
    yield from _none()
    yield from _long()


def _encoded() -> Iterator[Bad]:
    for encoding in CERTAIN:
        for text in LEGACY:
            name = f"certain_{encoding}_{text[:3]}.txt"
            yield bad(name, text.encode(encoding), DONE, holds=text)
    for text, encodings in LEGACY.items():
        for encoding in encodings:
            yield bad(f"legacy_{encoding}.txt", text.encode(encoding), DONE, BINARY)


def _odd() -> Iterator[Bad]:
    for name, text in MARKS.items():
        yield bad(f"marks_{name}.txt", f"Total 12 {text} end", DONE, holds="Total 12")
    for name, text in ESCAPES.items():
        yield bad(f"escapes_{name}.txt", text, DONE, BINARY, lacks=("\r",))
    for group, table in {"utf8": BROKEN_UTF8, "utf16": UTF16}.items():
        for name, data in table.items():
            yield bad(f"{group}_{name}.txt", data, DONE, BINARY)


def _none() -> Iterator[Bad]:
    for name, data in BLANK.items():
        yield bad(f"blank_{name}.txt", data, EMPTY, BINARY)
    for name, data in PROGRAMS.items():
        yield bad(f"program_{name}.txt", data, BINARY)
    for name, data in OTHERS.items():
        yield bad(f"other_{name}", data, UNSUPPORTED)
    for seed in range(12):
        yield bad(f"random_{seed}.bin", random.Random(seed).randbytes(20_000), BINARY, UNSUPPORTED)


def _long() -> Iterator[Bad]:
    yield bad("line_of_50_mb.txt", lambda: b"x" * 50_000_000, TOO_LARGE)
    yield bad("line_of_19_mb.txt", lambda: b"x" * 19_000_000, TOO_LARGE)
    yield bad("line_that_just_fits.txt", lambda: b"x" * 2_000_000, DONE)
    yield bad("one_more.txt", lambda: b"x" * 2_000_001, TOO_LARGE)
    yield bad("marks_without_end.txt", lambda: ("a" + "\u0301" * 200_000).encode(), UNREADABLE)
    yield bad("marks_that_just_fit.txt", ("a" + "\u0301" * 99) * 50, DONE)
    yield bad("marks_out_of_order.txt", ("a" + "\u0301\u0323" * 49) * 500, DONE)
    yield bad("jamo.txt", "\u1112\u1161\u11ab" * 100_000, DONE, holds="한")
    yield bad("growing.txt", "\ufdfa" * 500_000, DONE)
