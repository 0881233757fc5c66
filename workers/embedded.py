"""The queue without a broker: the same tasks, run in this process until a batch has no open job."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from workers.runtime import Runtime
from workers.store import reads
from workers.store.progress import progress
from workers.store.session import reading, transaction
from workers.store.sweep import expire, reset
from workers.tasks import extract_jobs


def work_off(runtime: Runtime, batch_id: int) -> None:
    """Run the extraction task on a batch's open jobs until each has ended or the process is stopping."""
    with _alone(runtime) as is_alone:
        if is_alone:
            with transaction(runtime.store) as conn:
                reset(conn)
        while not runtime.stopping.is_set():
            with reading(runtime.store) as conn:
                ids = reads.open_jobs(conn, batch_id, limit=runtime.settings.chunk_size)
                leased = progress(conn, batch_id).leased
            if ids:
                extract_jobs.apply(args=[ids], throw=True)
            elif leased:
                # another process has them; if it died, its leases expire
                runtime.stopping.wait(1.0)
                with transaction(runtime.store) as conn:
                    expire(conn, max_failures=runtime.settings.max_attempts)
            else:
                return


@contextmanager
def _alone(runtime: Runtime) -> Iterator[bool]:
    """Whether no other process works on the SQLite file: then the leases found in it are of the dead.

    A database server may have workers elsewhere, so there the answer is no.
    """
    database = runtime.store.url.database
    if runtime.store.dialect.name != "sqlite" or not database:
        yield False
        return
    with open(f"{database}.lock", "w") as file:  # noqa: PTH123  a sibling of the database, whatever its name
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
