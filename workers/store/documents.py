"""Documents: each text is stored once, by its hash."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from workers.store.models import Document
from workers.store.session import Exclusive, in_chunks, insert_into, wait_for_turn


@dataclass(frozen=True, kw_only=True)
class NewDocument:
    """A document to store: it has a text, or the error that kept it from being read."""

    content_hash: str
    origin: str
    media_type: str
    text: str | None
    error_code: str | None = None
    error: str | None = None


def put_documents(conn: Connection, documents: Sequence[NewDocument]) -> list[int]:
    """Store what is not stored yet; the ids, in the order given.

    A document that could not be read before and can be now gets its text.
    """
    if not documents:
        return []
    wait_for_turn(conn, Exclusive.ENQUEUE)
    by_hash: dict[str, NewDocument] = {}
    for document in documents:
        by_hash.setdefault(document.content_hash, document)
    insert = insert_into(conn, Document)
    insert = insert.on_conflict_do_update(
        index_elements=["content_hash"],
        set_={
            name: insert.excluded[name] for name in ("media_type", "text", "num_chars", "error_code", "error")
        },
        where=Document.text.is_(None) & insert.excluded.text.is_not(None),
    )
    conn.execute(insert, [_row(document) for document in by_hash.values()])
    ids: dict[str, int] = {}
    for hashes in in_chunks(by_hash):
        query = select(Document.content_hash, Document.id).where(Document.content_hash.in_(hashes))
        ids.update({row.content_hash: row.id for row in conn.execute(query)})
    return [ids[document.content_hash] for document in documents]


def _row(document: NewDocument) -> dict[str, object]:
    return {
        "content_hash": document.content_hash,
        "origin": document.origin,
        "media_type": document.media_type,
        "text": document.text,
        "num_chars": len(document.text or ""),
        "error_code": document.error_code,
        "error": document.error,
    }
