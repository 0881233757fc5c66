"""The queue without a broker: the same tasks, run in this process until a batch has no open job."""

from workers.presence import present
from workers.runtime import Runtime
from workers.store import reads
from workers.store.progress import progress
from workers.store.session import reading, transaction
from workers.store.sweep import expire
from workers.tasks import extract_jobs


def work_off(runtime: Runtime, batch_id: int) -> None:
    """Run the extraction task on a batch's open jobs until each has ended or the process is stopping."""
    with present(runtime.store):
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
