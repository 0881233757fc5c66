"""Brings back what was lost on the way: expired leases, and open jobs whose message never came or was dropped.

Every worker sweeps for its checkpoint, and beat's task for all of them; at once is safe.
"""

import threading
from contextvars import copy_context

import structlog
from sqlalchemy import Connection

from schemas.errors import TransientError
from workers.app import queue_of
from workers.messages import room, send
from workers.metrics import EXPIRED
from workers.runtime import Runtime
from workers.store import sweep, versions
from workers.store.session import transaction

log = structlog.get_logger()


def sweep_once(runtime: Runtime) -> int:
    """Release expired leases and send this checkpoint's open jobs that lack a message; how many were sent."""
    with transaction(runtime.store) as conn:
        _expire(conn)
        checkpoint_id = versions.put_checkpoint(conn, runtime.checkpoint)
    return _sweep(runtime, checkpoint_id, runtime.checkpoint.digest)


def sweep_all(runtime: Runtime) -> int:
    """The same for every checkpoint that has open jobs."""
    with transaction(runtime.store) as conn:
        _expire(conn)
        waiting = sweep.waiting_checkpoints(conn)
    return sum(_sweep(runtime, checkpoint_id, digest) for checkpoint_id, digest in waiting)


def _expire(conn: Connection) -> None:
    # before the broker is asked: leases end without it too
    expired = sweep.expire(conn)
    EXPIRED.labels("queued").inc(expired.num_queued)
    EXPIRED.labels("failed").inc(expired.num_failed)
    if any(expired):
        log.warning("expire", queued=expired.num_queued, failed=expired.num_failed)


def _sweep(runtime: Runtime, checkpoint_id: int, digest: str) -> int:
    free = room(runtime, queue_of(digest))
    with transaction(runtime.store) as conn:
        ids = sweep.sweep(
            conn,
            resend_after_s=runtime.settings.resend_after_s,
            room=free,
            checkpoint_id=checkpoint_id,
        )
    if ids:
        log.info("resend", jobs=len(ids), checkpoint=digest[:12])
    return send(runtime, ids, digest=digest)


def start_sweeping(runtime: Runtime) -> threading.Thread:
    """Sweep in the background until the process is stopping; several workers may do so at once."""

    def loop() -> None:
        while not runtime.stopping.wait(runtime.settings.sweep_s):
            try:
                sweep_once(runtime)
            except TransientError as exc:
                log.warning("sweep_failed", reason=str(exc))
            except Exception:
                # a worker that no longer sweeps would let lost messages lie
                log.exception("sweep_failed")

    # its log lines say of which worker they are, as ours do
    thread = threading.Thread(target=copy_context().run, args=[loop], name="sweeper", daemon=True)
    thread.start()
    return thread
