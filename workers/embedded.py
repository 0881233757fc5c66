"""The queue without a broker: the same tasks, run in this process until a batch has no open job."""

from workers.presence import present
from workers.runtime import Runtime
from workers.store import reads
from workers.store.progress import progress
from workers.store.session import reading, transaction
from workers.store.sweep import expire
from workers.work import work

_POLL_S = 0.5


def work_off(runtime: Runtime, batch_id: int) -> None:
    """Do the work of the extraction task on a batch's open jobs until each has ended or the process is stopping.

    Raises:
        DeviceLostError: the device is lost to this process.
    """
    with present(runtime.store):
        while not runtime.stopping.is_set():
            with reading(runtime.store) as conn:
                ids = reads.open_jobs(conn, batch_id, limit=runtime.settings.chunk_size)
                now = progress(conn, batch_id)
            if ids and work(runtime, ids):
                continue
            if not now.queued and not now.leased:
                return
            # they wait for their next try, or another process has them; if it died, its leases expire
            runtime.stopping.wait(_POLL_S)
            with transaction(runtime.store) as conn:
                expire(conn)
    if runtime.broken:
        raise runtime.broken
