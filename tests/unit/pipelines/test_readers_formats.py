"""HTML, email, PDF and Word."""

import base64
import io
import zipfile
from pathlib import Path

import docx
import pytest

from pipelines.readers import read
from pipelines.sources.base import File
from tests.cases.files import code_of, encrypted_pdf, pdf, read_of, text_of, word, word_with_body

CASES = Path(__file__).parents[2] / "cases"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>a&nbsp;b &amp; c &#8364;<p>d", "a b & c €\n\nd"),
        ("a<br>b<br/>c <b>d </b> e", "a\nb\nc d e"),
        ("<title>T</title><body><script>x</script><style>y</style><h1>H</h1>z", "T\n\nH\n\nz"),
        ("<table><tr><th>a</th><th>b</th></tr>\n<tr><td>1</td><td>2</td></tr></table>", "a\tb\n1\t2"),
        ("<table><tr><td><p>a </p></td> <td><p>b</p></td></tr></table>", "a\tb"),
        ("<table><tr><td>a<td><td>b<tr><td><td>c", "a\t\tb\nc"),
        ("<ul><li>1<li>2</ul><div>3</div><div>4</div>", "1\n2\n\n3\n4"),
        ("<pre>  x  y\n z</pre>w", "  x  y\n z\n\nw"),
        ("<!-- no --><p hidden>yes", "yes"),
        ("plain words", "plain words"),
        ("<?xml version='1.0' encoding='latin-1'?><html><p>é", "é"),
        ("<b>unclosed <i>tags </b>and</p></td>", "unclosed tags and"),
    ],
)
def test_html_gives_its_visible_text(markup: str, text: str) -> None:
    assert text_of(markup.encode(), "a.html") == text


def test_html_declares_its_encoding() -> None:
    markup = '<meta charset="iso-8859-2"><p>Łódź'
    assert text_of(markup.encode("iso-8859-2"), "a.htm") == "Łódź"


def test_html_without_a_name_is_recognised() -> None:
    assert read_of(b"\n<!DOCTYPE html><p>a", "page").media_type == "text/html"


def test_html_without_visible_text_is_empty() -> None:
    assert code_of(b"<script>alert(1)</script><!-- x -->", "a.html") == "empty_document"


@pytest.mark.parametrize(
    "unit", ["<", "<a ", '<a b="', "<!--", "</", "<div>", "<table><tr><td>", "&", "<![if "]
)
def test_html_that_never_ends_takes_linear_time(unit: str) -> None:
    (found,) = read(File(origin="/a.html", size=None, opener=lambda: io.BytesIO(unit.encode() * 200_000)))
    assert found.text or found.error


HEADERS = "Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?= 5\nFrom: Zoë <z@x.org>\nTo: a@b.org,\n c@d.org\nDate: Mon, 4 Mar 2024\n"
SHOWN = "Subject: Größe 5\nFrom: Zoë <z@x.org>\nTo: a@b.org, c@d.org\nDate: Mon, 4 Mar 2024"


def test_email_gives_headers_and_the_plain_body() -> None:
    body = base64.b64encode("請求書です".encode("iso-2022-jp")).decode()
    message = (
        f"{HEADERS}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n"
        "--m\nContent-Type: multipart/alternative; boundary=q\n\n"
        "--q\nContent-Type: text/html\n\n<p>not this\n"
        f"--q\nContent-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\n{body}\n--q--\n"
        "--m\nContent-Type: text/plain\nContent-Disposition: attachment; filename=x.txt\n\nnor this\n--m--\n"
    )
    assert text_of(message.encode(), "a.eml") == f"{SHOWN}\n\n請求書です"


def test_email_with_only_html_gives_its_visible_text() -> None:
    message = (
        f"{HEADERS}Content-Type: text/html; charset=latin-1\nContent-Transfer-Encoding: quoted-printable\n\n"
    )
    assert text_of(message.encode() + b"<p>M=FCller<p>x=\ny", "a.eml") == f"{SHOWN}\n\nMüller\n\nxy"


def test_email_prefers_html_to_a_blank_plain_part() -> None:
    message = (
        "Subject: s\nContent-Type: multipart/alternative; boundary=q\n\n"
        "--q\nContent-Type: text/plain\n\n \n--q\nContent-Type: text/html\n\n<b>x</b>\n--q--"
    )
    assert text_of(message.encode(), "a.eml") == "Subject: s\n\nx"


@pytest.mark.parametrize(
    "body", ["To: " + "(" * 50_000, "Subject: =?utf-8?b?!?=", "Content-Type: ;;;=\n", "no headers"]
)
def test_email_with_broken_headers_is_read(body: str) -> None:
    assert text_of(f"{body}\n\ntext".encode(), "a.eml").endswith("text")


def test_email_with_an_unknown_charset_is_guessed() -> None:
    message = "Subject: s\nContent-Type: text/plain; charset=x-none\n\nMüller".encode("cp1252")
    assert text_of(message, "a.eml") == "Subject: s\n\nMüller"


def test_email_nested_without_end_fails() -> None:
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(3_000))
    assert code_of(nested.encode(), "a.eml") == "unreadable_document"
    assert code_of(b"Content-Type: text/plain; " + b"a=b; " * 100_000, "a.eml") == "unreadable_document"


def test_pdf_gives_its_text_layer() -> None:
    found = read_of(pdf("Total RM 12.00", "second page"), "scan.bin")
    assert found.media_type == "application/pdf"
    assert found.text is not None
    assert found.text.split() == ["Total", "RM", "12.00", "second", "page"]


def test_pdf_without_text_layer_asks_for_ocr() -> None:
    found = read_of(pdf("", ""), "a.pdf")
    assert found.error is not None
    assert found.error.code == "empty_document"
    assert "OCR" in found.error.hint


def test_pdf_with_a_password_is_encrypted() -> None:
    assert code_of(encrypted_pdf("secret", user_password="pw"), "a.pdf") == "encrypted_document"
    # made by pypdf with AES-256, for which pypdf needs a package that Gleaner does not
    assert code_of((CASES / "aes256.pdf").read_bytes(), "a.pdf") == "encrypted_document"


def test_pdf_that_only_restricts_printing_is_read() -> None:
    assert text_of(encrypted_pdf("open", user_password=""), "a.pdf").strip() == "open"


def test_pdf_limits() -> None:
    assert code_of(pdf("a", "b", "c"), "a.pdf", max_pages=2) == "document_too_large"
    assert code_of(pdf("a" * 20, "b" * 20), "a.pdf", max_chars=15) == "document_too_large"


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7", b"%PDF-1.4\n%%EOF", pdf("x")[:300], b"no PDF at all", b"%PDF-" + b"<<" * 5_000]
)
def test_broken_pdf_fails(data: bytes) -> None:
    assert code_of(data, "a.pdf") in ("unreadable_document", "empty_document")


def test_word_gives_paragraphs_and_tables_in_order() -> None:
    data = word(["First", "Café\ttab"], [["a", "b"], ["1", "2\n3"]], "last")
    assert text_of(data, "a.docx") == "First\nCafé\ttab\na\tb\n1\t2 3\nlast"
    assert read_of(data, "download").media_type.endswith("wordprocessingml.document")


def test_word_keeps_insertions_and_content_controls_and_drops_deletions() -> None:
    body = (
        "<w:p><w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        "<w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>text</w:t><w:br/><w:t>line</w:t></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr>'
        "<w:p><w:r><w:t>wide</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    assert text_of(word_with_body(body), "a.docx") == "new text\nline\ncontrol\nwide"


def test_word_headers_and_footers_stand_around_the_body() -> None:
    document = docx.Document(io.BytesIO(word(["body"])))
    document.sections[0].header.paragraphs[0].text = "ACME Ltd"
    document.sections[0].footer.paragraphs[0].text = "VAT 12"
    buffer = io.BytesIO()
    document.save(buffer)
    assert text_of(buffer.getvalue(), "a.docx") == "ACME Ltd\nbody\nVAT 12"


def test_word_expands_no_entities() -> None:
    laughs = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    local = '<!ENTITY file SYSTEM "file:///etc/passwd">'
    doctype = f'<!DOCTYPE x [<!ENTITY a0 "lol">{laughs}{local}]>'
    data = word_with_body("<w:p><w:r><w:t>safe</w:t><w:t>&a11;&file;</w:t></w:r></w:p>", doctype)
    found = read_of(data, "a.docx")
    assert (found.text, found.error and found.error.code) in (("safe", None), (None, "unreadable_document"))


def test_word_zip_bomb_is_refused_unopened() -> None:
    bomb = word_with_body("<w:p/>" * 2_000_000)
    assert len(bomb) < 200_000
    found = read_of(bomb, "a.docx", max_bytes=1_000_000)
    assert found.error is not None
    assert found.error.code == "document_too_large"
    assert "max_bytes" in str(found.error)


@pytest.mark.parametrize("data", [b"PK\x03\x04 word/ broken", word(["x"])[:2_000], b"not a zip"])
def test_broken_word_file_fails(data: bytes) -> None:
    assert code_of(data, "a.docx") == "unreadable_document"


def test_empty_word_file() -> None:
    assert code_of(word(), "a.docx") == "empty_document"


def test_other_formats_are_named() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    for data in (
        buffer.getvalue(),
        b"\x89PNG\r\n\x1a\n\0\0",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
        b"{\\rtf1 x}",
    ):
        found = read_of(data, "a.txt")
        assert found.error is not None
        assert found.error.code == "unsupported_format"
        assert ".docx" in str(found.error)


def test_office_file_with_a_password() -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    assert code_of(data, "a.docx") == "encrypted_document"
