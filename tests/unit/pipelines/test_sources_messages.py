"""Messages as documents."""

from email.message import EmailMessage

from pipelines.readers.base import Limits
from pipelines.sources import messages


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"] = "March", "Ann <ann@example.org>"
    message.set_content("The bills are attached.")
    message.add_related(b"\x89PNG", "image", "png", filename="logo.png", disposition="inline", cid="<1>")
    message.add_attachment("Total: 12.30", filename="../bill.txt")
    message.add_attachment("text\nfirst\nsecond\n", subtype="csv", filename="table.csv")
    inner = EmailMessage()
    inner["Subject"] = "Older"
    inner.set_content("From before.")
    message.add_attachment(inner)
    return message.as_bytes()


def test_a_message_is_its_body_and_its_attachments() -> None:
    found = list(messages.documents(mail(), "imap://a@h/INBOX/;UID=7", Limits(), ["*"]))
    body, *attached = found
    assert body.text is not None and body.text.startswith("Subject: March\nFrom: Ann <ann@example.org>")
    assert body.parent_origin is None
    origin = "imap://a@h/INBOX/;UID=7"
    assert [
        (one.origin.removeprefix(origin), one.text and one.text.strip().split("\n")[-1]) for one in attached
    ] == [
        ("#attachment=1/bill.txt", "Total: 12.30"),
        ("#attachment=2/table.csv#row=1", "text: first"),
        ("#attachment=2/table.csv#row=2", "text: second"),
        ("#attachment=3/file.eml", "From before."),
    ]
    assert {one.parent_origin for one in attached} == {origin}


def test_patterns_choose_attachments() -> None:
    found = list(messages.documents(mail(), "imap://a@h/INBOX/;UID=7", Limits(), ["*.TXT"]))
    assert [one.origin.rpartition("/")[2] for one in found] == [";UID=7", "bill.txt"]
