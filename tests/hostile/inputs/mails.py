"""Emails: MIME without end or sense, and attachments that want to be somewhere else."""

from base64 import b64encode
from collections.abc import Iterator

from tests.hostile.inputs.bad import BINARY, DONE, EMPTY, TOO_LARGE, UNREADABLE, Bad, bad

HEAD = b"Subject: Total 12\nFrom: Kim <kim@example.com>\n"


def _nested(levels: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(levels))
    return HEAD + head + b"Content-Type: text/plain\n\nTotal 12\n"


def _letters(levels: int) -> bytes:
    return HEAD + b"Content-Type: message/rfc822\n\n" * levels + b"\nTotal 12\n"


def _parts(count: int) -> bytes:
    part = b"--b\nContent-Type: text/csv\n\n1\n"
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + part * count + b"--b--\n"


def _part(kind: str, body: bytes, more: str = "") -> bytes:
    return HEAD + f"Content-Type: {kind}\n{more}\n".encode() + body


HEADERS = {
    "folded": b"Subject:\n" + b" Total\n" * 1000,
    "word_cut": b"Subject: =?utf-8?b?VG90YWw",
    "word_wrong": b"Subject: =?utf-8?b?!!!?= Total 12",
    "word_bogus": b"Subject: =?bogus?q?Total=2012?=",
    "word_x": b"Subject: =?utf-8?x?Total?=",
    "word_python": b"Subject: =?unicode-escape?q?=5Cu0000?= Total",
    "word_newline": b"Subject: =?utf-8?q?Total=0D=0ABcc:_eve@example.com?=",
    "words": b"Subject: " + b"=?utf-8?q?a?= " * 5000,
    "binary": b"Subject: \x00\x01\xff\xfe Total",
    "carriage": b"Subject: Total\rBcc: eve@example.com\r",
    "no_colon": b"Subject Total 12\nTo Kim",
    "only_colons": b":" * 10_000,
    "twice": b"Subject: Total 12\nSubject: Total 99",
    "mbox": b"From kim@example.com Mon Jan  1\nSubject: Total 12",
    "date": b"Date: 99/99/9999 99:99:99 +9999\nSubject: Total 12",
    "charset": b"Content-Type: text/plain; charset*0*=utf-8''%00%00; charset*1=x\nSubject: Total",
}


def inputs() -> Iterator[Bad]:
    for levels in (10, 50, 200, 1000, 5000):
        yield bad(f"nested_{levels}.eml", lambda n=levels: _nested(n), DONE, UNREADABLE)
        yield bad(f"letters_{levels}.eml", lambda n=levels: _letters(n), DONE, UNREADABLE)
    for name, headers in HEADERS.items():
        yield bad(f"header_{name}.eml", headers + b"\n\nTotal 12 for Kim", DONE, BINARY)
    for count in (1000, 19_000, 100_000):
        yield bad(f"parts_{count}.eml", lambda n=count: _parts(n), DONE, UNREADABLE)
    yield from _bodies()
    yield bad(
        "header_of_5_mb.eml", lambda: b"Content-Type: text/plain; " + b"a=b; " * 1_000_000, UNREADABLE, DONE
    )
    yield bad("subject_of_5_mb.eml", lambda: b"Subject: " + b"Total " * 800_000 + b"\n\nx", DONE, UNREADABLE)
    yield bad(
        "recipients.eml",
        lambda: HEAD + b"To: " + b"a@b.example, " * 200_000 + b"\n\nTotal 12",
        DONE,
        UNREADABLE,
    )
    yield bad("body_of_15_mb.eml", lambda: HEAD + b"\n" + b"x" * 15_000_000, TOO_LARGE)


def _bodies() -> Iterator[Bad]:
    base64, quoted = (f"Content-Transfer-Encoding: {name}\n" for name in ("base64", "quoted-printable"))
    bodies = {
        "base64_wrong": _part("text/plain", b"!!!not base64!!!", base64),
        "base64_binary": _part("text/plain", b64encode(bytes(range(256)) * 9), base64),
        "quoted_cut": _part("text/plain", b"Total =12 =\n=\n=ZZ =", quoted),
        "uuencode": _part(
            "text/plain", b"begin 644 ../../etc/x\n#86)C\nend", "Content-Transfer-Encoding: x-uu\n"
        ),
        "bogus_encoding": _part("text/plain", b"Total 12", "Content-Transfer-Encoding: ../../x\n"),
        "bogus_charset": _part("text/plain; charset=../../etc/passwd", b"Total 12"),
        "no_boundary": _part("multipart/mixed", b"--\nTotal 12"),
        "empty_boundary": _part('multipart/mixed; boundary=""', b"--\n\nTotal 12\n----"),
        "odd_boundary": _part('multipart/mixed; boundary="(a+)+$"', b"--(a+)+$\n\nTotal 12\n--(a+)+$--"),
        "cyclic_parts": _part(
            "multipart/related; boundary=b; start='<a>'", b"--b\nContent-ID: <a>\n\ncid:a\n--b--"
        ),
        "external": _part("message/external-body; access-type=local-file; name=/etc/passwd", b"\nTotal 12"),
        "attachment": _part(
            "text/plain", b"Total 12", "Content-Disposition: attachment; filename=../../evil.sh\n"
        ),
        "winmail": _part("application/ms-tnef; name=winmail.dat", bytes(100)),
        "script": _part("text/html", b"<p>Total 12<script>steal()</script>"),
    }
    for name, data in bodies.items():
        yield bad(f"body_{name}.eml", data, DONE, EMPTY, BINARY, UNREADABLE, lacks=("steal()",))
