"""The roster: worker processes as they report themselves, and how many results came too late."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from workers.store.models import CheckpointRow, Worker
from workers.store.types import db_time

# reported this often; silent for longer than SILENT_S, it is shown as lost
REPORT_S = 10.0
SILENT_S = 45.0
FORGET_S = 7 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a worker says of itself; the counts are since its start."""

    in_hand: int
    num_documents: int
    num_fenced: int
    documents_per_s: float


def sign_on(
    conn: Connection, name: str, *, checkpoint_id: int, device: str, version: str, concurrency: int
) -> None:
    """Enter a worker, and forget those that are gone for a week."""
    conn.execute(delete(Worker).where(Worker.seen_at < db_time(-FORGET_S)))
    row = {
        "name": name,
        "checkpoint_id": checkpoint_id,
        "device": device,
        "version": version,
        "concurrency": concurrency,
    }
    counts = {"in_hand": 0, "num_documents": 0, "num_fenced": 0, "documents_per_s": 0.0}
    conn.execute(insert(Worker), row | counts)


def report(conn: Connection, name: str, said: Report) -> None:
    """Note that the worker is alive, and what it did."""
    conn.execute(update(Worker).where(Worker.name == name).values(seen_at=db_time(), **vars(said)))


def sign_off(conn: Connection, name: str, said: Report) -> None:
    """Note that the worker stopped by itself."""
    report(conn, name, said)
    conn.execute(update(Worker).where(Worker.name == name).values(ended_at=db_time()))


def list_workers(conn: Connection, *, ended: bool = False) -> Sequence[Row[Any]]:
    """Workers that have not said that they ended (`ended`: those too).

    One is silent (`is_silent`) if it has not reported for SILENT_S: killed, hanging or cut off from the database.
    """
    silent = Worker.seen_at < db_time(-SILENT_S)
    query = (
        select(Worker.__table__, CheckpointRow.name.label("checkpoint"), silent.label("is_silent"))
        .join(CheckpointRow, CheckpointRow.id == Worker.checkpoint_id)
        .order_by(Worker.name)
    )
    return conn.execute(query if ended else query.where(Worker.ended_at.is_(None))).all()


def state(worker: Row[Any]) -> str:
    """alive, silent or ended."""
    if worker.ended_at is not None:
        return "ended"
    return "silent" if worker.is_silent else "alive"
