"""Names of files that a shell, a terminal, a database or a template would stumble over; their texts are good."""

from collections.abc import Iterator

from tests.hostile.inputs.bad import DONE, Bad, bad

NAMES = [
    "new\nline.txt",
    "car\rriage.txt",
    "tab\t.txt",
    "bell\a\x1b[31m.txt",
    "..%2f..%2fetc%2fpasswd.txt",
    "..\\..\\etc\\passwd.txt",
    "...txt.txt",
    "-rf.txt",
    "--out=evil.txt",
    "$(touch owned).txt",
    "`touch owned`.txt",
    "; touch owned;.txt",
    "| touch owned.txt",
    "'); DROP TABLE jobs; --.txt",
    '"quoted".txt',
    "[red]markup[bold].txt",
    "{format!r} %s %n.txt",
    "*?[a-z].txt",
    "a#row=1.txt",
    "http:__evil.example_x.txt",
    "CON.txt",
    " spaces .txt",
    "gpj\u202etxt.txt",
    "Grüße 🦊.txt",
    "e\u0301.txt",
    "\udcff\udcfe.txt",
    "x" * 240 + ".txt",
    "no_suffix",
    ".txt.",
    "~.txt",
]


def inputs() -> Iterator[Bad]:
    for number, name in enumerate(NAMES):
        # a text each: the same would be one document
        yield bad(name, f"Parcel for Kim{number}.", DONE, holds=f"Kim{number}")
