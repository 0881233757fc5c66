"""Brings back what was lost on the way: expired leases, and open jobs whose message never came or was dropped."""

import threading

import structlog

from schemas.errors import TransientError
from workers.runtime import Runtime
from workers.store import versions
from workers.store.session import transaction
from workers.store.sweep import sweep
from workers.tasks import send

log = structlog.get_logger()

# a job that was sent and not claimed for this long is sent again
RESEND_AFTER_S = 600.0
# the most messages one sweep sends
MAX_MESSAGES = 64


def sweep_once(runtime: Runtime) -> int:
    """Release expired leases and send this checkpoint's open jobs that lack a message; how many were sent."""
    with transaction(runtime.store) as conn:
        ids = sweep(
            conn,
            resend_after_s=RESEND_AFTER_S,
            room=MAX_MESSAGES * runtime.settings.chunk_size,
            checkpoint_id=versions.put_checkpoint(conn, runtime.checkpoint),
            max_failures=runtime.settings.max_attempts,
        )
    send(runtime, ids)
    return len(ids)


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

    thread = threading.Thread(target=loop, name="sweeper", daemon=True)
    thread.start()
    return thread
