"""PDFs: cut, locked, cyclic, swollen, and with more pages than anybody reads."""

import functools
import zlib
from collections.abc import Iterator, Mapping

from tests.cases import files
from tests.hostile.inputs.bad import (
    ADDRESS,
    DONE,
    EMPTY,
    ENCRYPTED,
    SECRET_FILE,
    TOO_LARGE,
    UNREADABLE,
    Bad,
    bad,
)

TEXT = b"BT /F1 12 Tf 72 720 Td (Total 12) Tj ET"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"


def stream(data: bytes, entries: bytes = b"", length: int | None = None) -> bytes:
    """A stream object; its length may lie."""
    size = len(data) if length is None else length
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (size, entries, data)


def build(objects: Mapping[int, bytes], trailer: bytes = b"") -> bytes:
    """A PDF of objects by number; the first is the catalog."""
    out, offsets = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size, start = max(objects) + 1, len(out)
    lines = [
        b"%010d 00000 n \n" % offsets[n] if n in offsets else b"%010d 65535 f \n" % 0 for n in range(size)
    ]
    out += b"xref\n0 %d\n%s" % (size, b"".join(lines))
    return bytes(out) + b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (
        size,
        trailer,
        start,
    )


def page(content: bytes = b"", catalog: bytes = CATALOG, trailer: bytes = b"", **objects: bytes) -> bytes:
    """A page of this content stream, with other objects in the place of the usual ones, as `o3=...`."""
    usual = {
        1: catalog,
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: PAGE,
        4: content or stream(TEXT),
        5: FONT,
    }
    return build(usual | {int(name[1:]): body for name, body in objects.items()}, trailer)


def pages(count: int) -> bytes:
    """A page again and again."""
    kids = b" ".join(b"%d 0 R" % number for number in range(6, 6 + count))
    objects = {1: CATALOG, 2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count)}
    objects |= {4: stream(TEXT), 5: FONT}
    return build(objects | dict.fromkeys(range(6, 6 + count), PAGE))


def packed(megabytes: int, times: int = 1) -> bytes:
    """A content stream that unpacks to so much white space, packed as often."""
    data = TEXT + b" " * (megabytes << 20)
    for _ in range(times):
        data = zlib.compress(data, 9)
    return stream(data, b"/Filter [%s]" % (b"/FlateDecode " * times))


def form_calls(count: int) -> dict[str, bytes]:
    """Forms of which each draws the next twice."""
    forms = {}
    for number in range(6, 6 + count):
        resources = b"/Resources << /XObject << /A %d 0 R >> >>" % (number + 1)
        forms[f"o{number}"] = stream(b"/A Do /A Do", b"/Type /XObject /Subtype /Form " + resources)
    return forms


DRAWS = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /XObject << /A 6 0 R >> >> >>"
CYCLES = {
    "kids": lambda: page(o2=b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"),
    "kids_of_kids": lambda: page(
        o2=b"<< /Type /Pages /Kids [6 0 R] /Count 1 >>",
        o6=b"<< /Type /Pages /Kids [2 0 R] /Count 1 /Parent 2 0 R >>",
    ),
    "parent": lambda: page(o3=PAGE.replace(b"/Parent 2 0 R", b"/Parent 3 0 R")),
    "contents": lambda: page(content=b"[4 0 R 4 0 R]"),
    "indirect": lambda: page(content=b"4 0 R"),
    "length": lambda: page(content=b"<< /Length 4 0 R >>\nstream\nx\nendstream"),
    "previous": lambda: page(trailer=b"/Prev 9"),
    "previous_itself": lambda: (whole := page(trailer=b"/Prev 0000000")).replace(
        b"/Prev 0000000", b"/Prev %07d" % whole.rindex(b"xref\n0")
    ),
    "form": lambda: page(
        content=stream(b"/A Do"), o3=DRAWS, o6=stream(b"/A Do", b"/Subtype /Form " + DRAWS[47:-3])
    ),
    "forms": lambda: page(content=stream(b"/A Do"), o3=DRAWS, **form_calls(40)),
    "catalog": lambda: page(catalog=b"1 0 R"),
    "outlines": lambda: page(
        catalog=b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>", o6=b"<< /First 6 0 R /Next 6 0 R >>"
    ),
    "names": lambda: page(
        catalog=b"<< /Type /Catalog /Pages 2 0 R /Names << /Dests 6 0 R >> >>", o6=b"<< /Kids [6 0 R] >>"
    ),
}
LIES = {
    "count": lambda: page(o2=b"<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>"),
    "count_below_zero": lambda: page(o2=b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>"),
    "no_kids": lambda: page(o2=b"<< /Type /Pages /Kids [] /Count 0 >>"),
    "kids_elsewhere": lambda: page(o2=b"<< /Type /Pages /Kids [99 0 R] /Count 1 >>"),
    "length_beyond": lambda: page(content=stream(TEXT, length=10**9)),
    "length_below_zero": lambda: page(content=stream(TEXT, length=-5)),
    "no_end": lambda: page(content=stream(TEXT).replace(b"endstream", b"")),
    "filter": lambda: page(content=stream(TEXT, b"/Filter /Bogus")),
    "flate": lambda: page(content=stream(b"not packed", b"/Filter /FlateDecode")),
    "predictor": lambda: page(
        content=stream(
            zlib.compress(TEXT), b"/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 1000000000 >>"
        )
    ),
    "no_pages": lambda: page(catalog=b"<< /Type /Catalog >>"),
    "no_catalog": lambda: page(catalog=b"null"),
    "size": lambda: page().replace(b"/Size 6", b"/Size 999999999999"),
    "start": lambda: page().replace(b"startxref\n", b"startxref\n9999999999"),
    "start_below_zero": lambda: page().replace(b"startxref\n", b"startxref\n-"),
    "entries": lambda: page().replace(b"xref\n0 6", b"xref\n0 999999999"),
    "box": lambda: page(o3=PAGE.replace(b"/Type", b"/MediaBox [0 0 1e308 1e308] /Type")),
    "font_size": lambda: page(content=stream(TEXT.replace(b"12 Tf", b"1e999 Tf"))),
    "font": lambda: page(o5=b"<< /Type /Font /Subtype /Type0 /DescendantFonts [5 0 R] /ToUnicode 5 0 R >>"),
    "garbage_before": lambda: b"x" * 1000 + page(),
    "garbage_behind": lambda: page() + bytes(100_000),
}
DEEP = {
    "arrays": lambda: page(content=stream(b"[" * 200_000)),
    "dictionaries": lambda: page(content=stream(b"<<" * 100_000)),
    "strings": lambda: page(content=stream(b"(" * 200_000)),
    "objects": lambda: page(o6=b"[" * 200_000),
    "states": lambda: page(content=stream(b"q " * 200_000 + TEXT)),
    "blocks": lambda: page(content=stream(b"BT " * 100_000 + TEXT)),
    "marks": lambda: page(content=stream(b"/P BMC " * 100_000 + TEXT)),
    "picture": lambda: page(content=stream(b"BI /W 1 /H 1 ID " + b"x" * 1_000_000)),
    "texts": lambda: page(content=stream(b"BT /F1 1 Tf " + b"(x) Tj " * 100_000 + b"ET")),
    "matrices": lambda: page(content=stream(b"1 0 0 1 1e300 1e300 cm " * 50_000 + TEXT)),
}
ACTIONS = {
    "script": b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>",
    "launch": b"/OpenAction << /S /Launch /F (/bin/sh) >>",
    "address": b"/OpenAction << /S /URI /URI (http://%s/) >>" % ADDRESS.encode(),
    "remote": b"/OpenAction << /S /GoToR /F (file://%s) >>" % SECRET_FILE.encode(),
    "form": b"/AcroForm << /XFA (<!DOCTYPE x SYSTEM 'http://%s/'>) >>" % ADDRESS.encode(),
}


@functools.cache
def _whole() -> bytes:
    return files.pdf("Total 12", "page 2")


def inputs() -> Iterator[Bad]:
    for percent in (1, 5, 10, 25, 40, 50, 60, 75, 90, 95, 99):
        cut = functools.partial(lambda part: _whole()[: len(_whole()) * part // 100], percent)
        yield bad(f"cut_{percent}.pdf", cut, UNREADABLE, DONE, EMPTY)
    for group, table in {"cyclic": CYCLES, "lies": LIES, "deep": DEEP}.items():
        for name, make in table.items():
            yield bad(f"{group}_{name}.pdf", make, DONE, EMPTY, UNREADABLE, TOO_LARGE)
    for name, entry in ACTIONS.items():
        catalog = CATALOG.replace(b"/Type", entry + b" /Type")
        yield bad(f"action_{name}.pdf", page(catalog=catalog), DONE, holds="Total 12")
    yield bad("locked.pdf", lambda: files.encrypted_pdf("x", user_password="pw"), ENCRYPTED)
    yield bad("locked_oddly.pdf", page(trailer=b"/Encrypt << /Filter /Bogus >>"), UNREADABLE, ENCRYPTED)
    yield bad("locked_by_itself.pdf", page(trailer=b"/Encrypt 1 0 R"), UNREADABLE, ENCRYPTED)
    for count in (501, 10_000):
        yield bad(f"pages_{count}.pdf", functools.partial(pages, count), TOO_LARGE)
    yield bad("pages_500.pdf", functools.partial(pages, 500), DONE, holds="Total 12")
    for megabytes, times in ((50, 1), (200, 1), (500, 2), (500, 3)):
        bomb = functools.partial(lambda size, often: page(content=packed(size, often)), megabytes, times)
        yield bad(f"packed_{megabytes}_mb_{times}.pdf", bomb, DONE, EMPTY, UNREADABLE, TOO_LARGE)
    yield bad("header_alone.pdf", b"%PDF-1.7\n", UNREADABLE)
    yield bad("header_again.pdf", b"%PDF-1.7\n" * 100_000, UNREADABLE)
    yield bad("objects_alone.pdf", lambda: b"%PDF-1.7\n" + b"1 0 obj\n" * 200_000, UNREADABLE)
