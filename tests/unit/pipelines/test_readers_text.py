"""Plain text: encodings, what is binary, and the text as stored."""

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers import Limits
from pipelines.readers.text import decode, stored
from schemas.errors import EmptyDocumentError
from tests.cases.files import code_of, read_of, text_of

GERMAN = "Rechnung über 1.234,50 für die Bäckerei Müller, Größe 5, Köln"
CHINESE = "发票号码：12345。购买方：北京某某科技有限公司。金额合计：壹仟贰佰元整。"
JAPANESE = "請求書番号は一二三です。お支払い期限は三月末日までです。よろしくお願いします。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-32"),
        (GERMAN, "latin-1"),
        (GERMAN, "cp1252"),
        ("“Quoted” – 12 €", "cp1252"),
        ("Total: £12.00", "cp1252"),
        ("Café", "cp1252"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        ("Счёт от 3 марта 2024 года. Покупатель: ООО Ромашка.", "cp1251"),
        ("청구서 번호 12345. 구매자: 서울 주식회사. 합계 금액은 천 원입니다.", "cp949"),
    ],
)
def test_encoding_is_detected(text: str, encoding: str) -> None:
    assert text_of(text.encode(encoding), "a.txt") == text


def test_big_endian_mark() -> None:
    assert text_of(b"\xfe\xff" + GERMAN.encode("utf-16-be"), "a.txt") == GERMAN


def test_legacy_byte_after_much_ascii_is_found() -> None:
    text = "Invoice total due\n" * 20_000 + "café Müller"
    assert text_of(text.encode("cp1252"), "a.txt") == text


def test_a_stray_byte_does_not_make_utf8_something_else() -> None:
    assert text_of(GERMAN.encode() + b"\xff", "a.txt") == GERMAN + "\ufffd"


def test_declared_encodings_that_python_alone_knows_are_ignored() -> None:
    for declared in ("idna", "unicode_escape", "zip", "no-such", "a\0b", ""):
        assert decode("Müller".encode("cp1252"), declared) == "Müller"


def test_declared_encoding_beats_guessing_but_not_utf8() -> None:
    assert decode("Łódź".encode("cp1250"), "windows-1250") == "Łódź"
    assert decode("Łódź".encode(), "windows-1250") == "Łódź"
    assert decode("請求".encode("iso-2022-jp"), "iso-2022-jp") == "請求"


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02\x03" * 50, b"text\x00text", bytes(range(1, 32)) * 9, b"\x01"]
)
@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.dat", "README"])
def test_binary(data: bytes, name: str) -> None:
    assert code_of(data, name) == "binary_document"


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xff\xfe", "\u3000\xa0".encode()])
def test_empty(data: bytes) -> None:
    assert code_of(data, "a.txt") == "empty_document"


def test_special_tokens_of_the_model_are_ordinary_characters() -> None:
    text = "<|im_start|>a<|im_end|><|box_end|>"
    assert text_of(text.encode(), "a.txt") == text


def test_markdown_and_unknown_names_are_kept_as_they_are() -> None:
    text = "# Title\n\n* a <b>b</b>  \n"
    assert read_of(text.encode(), "a.md").media_type == "text/markdown"
    for name in ("a.md", "a.log", "noextension", "a.json"):
        assert text_of(text.encode(), name) == text


def test_stored_text_is_normalised() -> None:
    assert stored("\ufeffe\u0301\r\nb\rc\0\ud800", Limits()) == "é\nb\nc\ufffd"


def test_too_many_characters_and_bytes_name_the_limit() -> None:
    found = read_of(b"12345", "a.txt", max_chars=4)
    assert found.error is not None
    assert "5 characters" in str(found.error)
    assert "GLEANER_MAX_CHARS" in str(found.error)
    assert code_of(b"12345", "a.txt", max_bytes=4) == "document_too_large"
    assert read_of(b"12345", "a.txt", max_bytes=5, max_chars=5).text == "12345"


def test_endless_combining_marks_are_refused_at_once() -> None:
    assert code_of(("a" + "\u0323\u0301" * 900_000).encode(), "a.txt") == "unreadable_document"


def test_content_hash_is_that_of_the_text() -> None:
    found = read_of("Müller".encode("cp1252"), "a.txt")
    assert found.content_hash == hashlib.sha256("Müller".encode()).hexdigest()


def test_failed_bytes_and_a_text_that_reads_the_same_have_different_hashes() -> None:
    assert read_of(b"not a PDF", "a.pdf").content_hash != read_of(b"not a PDF", "a.txt").content_hash
    assert read_of(b"", "a.txt").content_hash == read_of(b"", "b.txt").content_hash


@given(st.text(st.characters(), max_size=200))
def test_stored_text_can_be_stored_and_is_stable(text: str) -> None:
    try:
        result = stored(text, Limits())
    except EmptyDocumentError:
        assert not text.replace("\0", "").strip().strip("\ufeff").strip()
        return
    result.encode()
    assert unicodedata.is_normalized("NFC", result)
    assert not {"\0", "\r"} & set(result)
    assert stored(result, Limits()) == result


@given(st.text(max_size=100).filter(lambda text: text.strip("\ufeff\0 ")))
def test_utf8_text_without_controls_survives(text: str) -> None:
    clean = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs"))
    assert decode(clean.encode()) == clean.removeprefix("\ufeff")
