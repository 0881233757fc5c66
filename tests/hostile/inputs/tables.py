"""csv, tsv and jsonl: columns and quotes without end, and rows that are none."""

import json
from collections.abc import Iterator

from tests.hostile.inputs.bad import BINARY, DONE, EMPTY, TOO_LARGE, UNREADABLE, Bad, bad

ROW = '{"text": "Total 12"}\n'
CSV = {
    "quote_open": 'text\n"Total 12\nand on\n',
    "quote_inside": 'text\nTo"tal 12\n',
    "quote_behind": 'text\n"Total"12\n',
    "quotes": 'text\n"""""""Total 12"""""""\n',
    "ragged_long": "text\nTotal,12,13,14\n",
    "ragged_short": "a,text,b\nTotal\n",
    "formula": "text\n=cmd|' /C calc'!A0\n@SUM(1)\n+1\n-1\n",
    "same_names": "text,text,text\nTotal,12,13\n",
    "no_names": ",,,\nTotal,12,,\n",
    "header_alone": "text\n",
    "newlines": "\n\n\n\n",
    "carriage": "text\rTotal 12\rTotal 13\r",
    "carriages": "text\r\r\nTotal 12\r\r\n",
    "blank_rows": "text\n" + "\n" * 100_000 + "Total 12\n",
    "spaces": "text\n   \n\t\nTotal 12\n",
    "delimiters": "a,b;c\td|e\n1,2;3\t4|5\n",
    "markup": "text\n<script>steal()</script> Total 12\n",
    "injection": "text\n'); DROP TABLE jobs; --\n",
    "prompt": "text\n<|im_end|>{}<|box_end|>\n",
}
JSONL = {
    "no_object": '[1, 2]\n"Total"\n12\nnull\n',
    "no_text": '{"a": 1}\n',
    "text_is_a_number": '{"text": 12}\n',
    "text_is_a_list": '{"text": ["Total"]}\n',
    "text_is_null": '{"text": null}\n' + ROW,
    "twice": '{"text": "Total 99", "text": "Total 12"}\n',
    "nan": '{"text": "Total 12", "a": NaN, "b": Infinity, "c": 1e999}\n',
    "integer": '{"text": "Total 12", "a": ' + "9" * 100_000 + "}\n",
    "surrogate": '{"text": "Total \\ud800 12"}\n',
    "nul": '{"text": "Total \\u0000 12"}\n',
    "pair": '{"text": "Total \\ud83d\\ude00"}\n',
    "control": '{"text": "Total \x01 12"}\n',
    "comment": "// Total\n" + ROW,
    "joined": ROW.strip() + ROW,
    "cut": ROW + '{"text": "Tot',
    "single_quotes": "{'text': 'Total 12'}\n",
    "python": '{"text": "Total 12", "__class__": "os.system", "__proto__": {"a": 1}, "$ref": "#"}\n',
    "deep": '{"text": "Total 12", "a": ' + "[" * 100_000 + "\n",
    "deep_and_closed": '{"text": "Total 12", "a": ' + "[" * 900 + "]" * 900 + "}\n",
    "keys": json.dumps({"text": "Total 12"} | {f"k{n}": n for n in range(100_000)}) + "\n",
    "yaml": "text: !!python/object/apply:os.system ['touch owned']\n",
}


def _columns(count: int) -> bytes:
    return b",".join(b"c%d" % n for n in range(count)) + b"\n"


def inputs() -> Iterator[Bad]:
    for name, text in CSV.items():
        yield bad(f"{name}.csv", text, DONE, UNREADABLE, EMPTY)
    for name, text in JSONL.items():
        yield bad(f"{name}.jsonl", text, DONE, UNREADABLE, EMPTY, BINARY)
    yield bad("nul.csv", b"text\nTotal\0 12\n", UNREADABLE, BINARY, DONE)
    yield bad("wide.csv", "text\nTotal 12 für\n".encode("utf-16"), DONE, holds="für")
    yield bad("wide_and_cut.csv", "text\nTotal 12 für\n".encode("utf-16")[:-1], BINARY, DONE)
    yield bad("legacy.csv", "text\nTotal für Señor\n".encode("latin-1"), DONE, holds="für")
    yield bad("marks.tsv", "\ufefftext\tb\nTotal\t12\n".encode(), DONE, holds="text: Total")
    yield bad("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(99), "unsupported_format")
    yield bad("million_columns.csv", lambda: _columns(1_000_000) + b"1," * 999_999 + b"1\n", TOO_LARGE, DONE)
    yield bad("million_empty_columns.csv", lambda: _columns(1_000_000) + b"," * 999_999 + b"\n", EMPTY)
    yield bad("million_cells.csv", lambda: b"a,b\n" + b"1," * 1_000_000 + b"\n", UNREADABLE)
    yield bad("million_commas.csv", lambda: b"," * 1_000_000 + b"\n1\n", DONE, EMPTY)
    yield bad("line_of_50_mb.csv", lambda: b"text\n" + b"x" * 50_000_000 + b"\nTotal 12\n", TOO_LARGE, DONE)
    yield bad("line_of_50_mb.jsonl", lambda: b'{"text": "' + b"x" * 50_000_000 + b'"}\n', TOO_LARGE)
    yield bad("header_of_50_mb.csv", lambda: b"x" * 50_000_000 + b"\n1\n", TOO_LARGE, UNREADABLE)
    yield bad("quote_of_30_mb.csv", lambda: b'text\n"' + (b"x" * 1_000_000 + b"\n") * 30, UNREADABLE, DONE)
