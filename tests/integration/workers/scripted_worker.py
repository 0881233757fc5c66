"""A worker process with a scripted engine: `python -m tests.integration.workers.scripted_worker OPTIONS`, as JSON."""

import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import time_machine
from sqlalchemy import Connection, Pool, event, update

from schemas.errors import DeviceLostError
from tests.cases import parcels
from tests.cases.worlds import make_runtime
from workers.engine.protocol import Request
from workers.logs import configure_logs
from workers.serve import serve
from workers.store import jobs, session
from workers.store.models import Job
from workers.testing import Answer
from workers.traces import start_tracing


def lost(request: Request) -> Answer:
    """What a device answers that is lost."""
    return DeviceLostError("The device failed: it was lost.", hint="Restart the worker.")


def without_fencing() -> None:
    """Take the guard away that keeps late results out: a control, to see that the accounts notice."""

    def anyone(
        conn: Connection, owner: str, leases: Sequence[jobs.Lease], values: dict[str, Any]
    ) -> set[int]:
        ids = [job_id for job_id, _ in leases]
        return set(
            conn.execute(update(Job).where(Job.id.in_(ids)).values(values).returning(Job.id)).scalars()
        )

    jobs._update_held = anyone
    jobs.still_held = lambda conn, owner, leases: {job_id for job_id, _ in leases}


def full_while(file: Path) -> None:
    """A disk without a free page as long as a file is there."""

    def fill(connection: sqlite3.Connection, *_: Any) -> None:
        # as many pages as it has, or as many as may be
        connection.execute(f"PRAGMA max_page_count = {1 if file.exists() else 2**32 - 2}").close()

    event.listen(Pool, "checkout", fill)


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    if not options.pop("fencing", True):
        without_fencing()
    if "full_while" in options:
        full_while(Path(options.pop("full_while")))
    session.IDLE_IN_TRANSACTION_S = options.pop("idle_s", session.IDLE_IN_TRANSACTION_S)
    if "clock_off_s" in options:
        # of this process alone, and of every library in it
        time_machine.travel(time.time() + options.pop("clock_off_s"), tick=True).start()
    answers = lost if options.pop("lose_device", False) else parcels.answer
    runtime = make_runtime(options.pop("database_url"), Path(options.pop("schemas")), answers, **options)
    configure_logs(runtime.settings)
    start_tracing(runtime.settings)
    sys.exit(serve(runtime))
