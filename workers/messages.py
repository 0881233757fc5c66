"""Messages to workers: ids of committed jobs, a chunk each, and never more than the queue is to hold."""

from collections.abc import Sequence
from typing import Annotated, Any

from kombu.exceptions import ChannelError, OperationalError
from pydantic import Field, TypeAdapter

from schemas.errors import BrokerAwayError
from workers.app import app, queue_of
from workers.runtime import Runtime
from workers.store.session import transaction
from workers.store.sweep import mark_sent, mark_unsent
from workers.store.types import MAX_ID
from workers.traces import outgoing, span

EXTRACT = "gleaner.extract"
# whoever can write to the broker can write anything
JOB_IDS = TypeAdapter(
    Annotated[
        list[Annotated[int, Field(strict=True, gt=0, le=MAX_ID)]],
        Field(strict=True, max_length=100_000, fail_fast=True),
    ]
)


def depth(queue: str) -> int:
    """How many messages wait in a queue; raises as `depths`."""
    return depths([queue])[queue]


def depths(queues: Sequence[str]) -> dict[str, int]:
    """How many messages wait in each of these queues.

    Raises:
        BrokerAwayError: the broker does not answer.
    """
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
            return {queue: _depth(connection.default_channel, queue) for queue in queues}
    except (OperationalError, OSError) as exc:
        raise _away(exc) from exc


def _depth(channel: Any, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        # nobody has sent or listened yet
        return 0


def room(runtime: Runtime, queue: str) -> int:
    """How many jobs may be sent: the rest waits in the database, so that the broker's memory is bounded."""
    return max(0, runtime.settings.max_messages - depth(queue)) * runtime.settings.chunk_size


def send(runtime: Runtime, job_ids: Sequence[int], *, digest: str | None = None) -> int:
    """Wake the workers of a checkpoint, by default this process's, for committed jobs; of how many.

    What the queue has no room for is sent by a later sweep.

    Raises:
        BrokerAwayError: the broker did not take a message; the jobs stay open and a worker's sweep sends them.
    """
    queue = queue_of(digest or runtime.checkpoint.digest)
    num = min(len(job_ids), room(runtime, queue)) if job_ids else 0
    with transaction(runtime.store) as conn:
        mark_sent(conn, job_ids[:num])
        mark_unsent(conn, job_ids[num:])
    size = runtime.settings.chunk_size
    for start in range(0, num, size):
        chunk = list(job_ids[start : start + size])
        try:
            with span("send", queue=queue, jobs=chunk):
                app.send_task(EXTRACT, args=[chunk], queue=queue, retry=False, headers=outgoing())
        except (OperationalError, OSError) as exc:
            with transaction(runtime.store) as conn:
                mark_unsent(conn, job_ids[start:])
            raise _away(exc) from exc
    return num


def _away(exc: Exception) -> BrokerAwayError:
    return BrokerAwayError(
        f"the broker did not take a message: {str(exc).rstrip('.')}.",
        hint="Nothing is lost: the jobs are stored, and a worker's sweep sends them.",
    )
