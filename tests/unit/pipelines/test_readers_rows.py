"""csv, tsv and jsonl: each row is a document."""

import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers import Limits, read
from pipelines.sources.base import File
from tests.cases.files import code_of, pdf, reads_of


def found(data: bytes, name: str, **options: object) -> list[tuple[str, str]]:
    """Row and its text, or row and the code of its error."""
    rows = reads_of(data, name, **options)  # type: ignore[arg-type]
    return [
        (r.origin.removeprefix(f"/inbox/{name}"), r.text or (r.error.code if r.error else "")) for r in rows
    ]


def test_csv_row_is_column_value_lines() -> None:
    data = b'name,total,note\nACME,12.00,"two\nlines"\n\nBob,,\n'
    assert found(data, "a.csv") == [
        ("#row=1", "name: ACME\ntotal: 12.00\nnote: two\nlines"),
        ("#row=2", "name: Bob"),
    ]


def test_csv_text_column() -> None:
    data = 'id;text\n1;"a; ""b"""\n2;ü\n'.encode("utf-8-sig")
    assert found(data, "a.csv", text_column="text") == [("#row=1", 'a; "b"'), ("#row=2", "ü")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiter_is_found(delimiter: str) -> None:
    data = delimiter.join(["a", "b", "c"]) + "\n" + delimiter.join(["1", "2", "3"])
    assert found(data.encode(), "a.csv") == [("#row=1", "a: 1\nb: 2\nc: 3")]


def test_tsv_has_tabs_whatever_else_is_in_it() -> None:
    assert found(b"a,b,c,d\ttext\n1\t2, 3", "a.tsv", text_column="text") == [("#row=1", "2, 3")]


def test_bad_csv_rows_fail_alone() -> None:
    data = b"id,text\n1,ok\n2\n3,a,b\n4,\n5,fine,\n"
    assert found(data, "a.csv", text_column="text") == [
        ("#row=1", "ok"),
        ("#row=2", "unreadable_document"),
        ("#row=3", "unreadable_document"),
        ("#row=4", "empty_document"),
        ("#row=5", "fine"),
    ]


def test_csv_without_the_column_fails_as_a_file_and_names_those_it_has() -> None:
    (only,) = reads_of(b"id,body\n1,x\n2,y\n", "a.csv", text_column="text")
    assert only.origin == "/inbox/a.csv"
    assert "'id', 'body'" in str(only.error)
    assert "--text-column" in str(only.error)


def test_jsonl_rows() -> None:
    lines = [
        '{"text": "a"}',
        "",
        '{"body": "b"}',
        "{",
        "[1]",
        '{"text": 7}',
        '{"text": null}',
        '{"text": "\\ud800z"}',
    ]
    assert found("\n".join(lines).encode(), "a.jsonl") == [
        ("#row=1", "a"),
        ("#row=2", "unreadable_document"),
        ("#row=3", "unreadable_document"),
        ("#row=4", "unreadable_document"),
        ("#row=5", "unreadable_document"),
        ("#row=6", "empty_document"),
        ("#row=7", "\ufffdz"),
    ]


def test_jsonl_missing_column_names_those_there_are() -> None:
    (only,) = reads_of(b'{"body": "b", "id": 1}', "a.ndjson")
    assert "'body', 'id'" in str(only.error)
    assert found(b'{"body": "b", "id": 1}', "a.ndjson", text_column="body") == [("#row=1", "b")]


def test_jsonl_nested_without_end_fails_alone() -> None:
    data = b"[" * 200_000 + b'\n{"text": "a"}\n' + b'{"text": ' + b"1" * 9_000 + b"}"
    assert [text for _, text in found(data, "a.jsonl")] == ["unreadable_document", "a", "unreadable_document"]


def test_failed_rows_of_one_file_have_different_hashes() -> None:
    hashes = [r.content_hash for r in reads_of(b"{\n{\n{\n", "a.jsonl")]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings(encoding: str) -> None:
    text = "Bäckerei Müller, Köln"
    data = f'text\n"{text}"\n'.encode(encoding)
    assert found(data, "a.csv", text_column="text") == [("#row=1", text)]
    assert found(json.dumps({"text": text}, ensure_ascii=False).encode(encoding), "a.jsonl") == [
        ("#row=1", text)
    ]


def test_a_legacy_byte_far_behind_the_head_is_decoded_with_its_row() -> None:
    data = b"text\n" + b"plain line\n" * 20_000 + "Müller\n".encode("cp1252") + "Köln\n".encode()
    rows = found(data, "a.csv")
    assert [text for _, text in rows[-2:]] == ["text: Müller", "text: Köln"]


def test_too_long_a_row_fails_alone() -> None:
    data = b"text\n" + b"x" * 400_000 + b"\nok\n" + b"y" * 300 + b"\n"
    assert found(data, "a.csv", text_column="text", max_bytes=200_000, max_chars=200) == [
        ("#row=1", "document_too_large"),
        ("#row=2", "ok"),
        ("#row=3", "document_too_large"),
    ]


def test_a_field_may_be_as_long_as_a_document() -> None:
    assert found(b"text\n" + b"x" * 500_000, "a.csv", text_column="text") == [("#row=1", "x" * 500_000)]


def test_a_quote_that_is_never_closed_is_no_row() -> None:
    assert found(b'text\n"a ""b"" c"\n"open\nx\ny\n', "a.csv") == [
        ("#row=1", 'text: a "b" c'),
        ("#row=2", "unreadable_document"),
    ]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a,b\n"])
def test_no_rows(data: bytes) -> None:
    assert code_of(data, "a.csv") == "empty_document"


def test_content_comes_before_the_name() -> None:
    assert reads_of(pdf("a pdf"), "a.csv")[0].media_type == "application/pdf"
    assert code_of(b"a,b\n\x00\x01,2", "a.csv") == "binary_document"


class _Endless(io.RawIOBase):
    """A csv file of a gigabyte that breaks off when it was read to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._rest = b"text\n"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left <= 0:
            raise OSError("connection lost")
        self._rest = self._rest or b"a row of text\n"
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        self._left -= len(chunk)
        return len(chunk)


def test_rows_are_streamed_and_what_breaks_off_is_said() -> None:
    file = File(origin="/big.csv", size=10**9, opener=lambda: _Endless(200_000))  # type: ignore[arg-type, return-value]
    rows: Iterator = read(file, text_column="text", limits=Limits(max_bytes=1_000_000))
    assert next(rows).text == "a row of text"
    *_, last = rows
    assert last.origin == "/big.csv"
    assert "connection lost" in str(last.error)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip), min_size=1
    )
)
def test_every_jsonl_row_comes_back(texts: list[str]) -> None:
    data = "\n".join(json.dumps({"text": text}) for text in texts).encode()
    rows = reads_of(data, "a.jsonl")
    assert [row.origin for row in rows] == [f"/inbox/a.jsonl#row={i}" for i in range(1, len(texts) + 1)]
    assert all(
        row.text is not None for row in rows if row.error is None or row.error.code != "empty_document"
    )
