"""Redis, Celery's settings, and the workers that listen: what would lose, double or hold up messages."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from kombu.exceptions import OperationalError
from redis import RedisError

from pipelines.checkup.finding import Said, error, ok, warning
from schemas.errors import BrokerAwayError
from workers.app import app
from workers.runtime import Runtime

# threads share one engine, and CUDA does not survive a fork
POOLS = ("threads", "solo")
# seconds that workers have to answer
PATIENCE_S = 2.0
FULL = 0.8


def broker(runtime: Runtime) -> Iterator[Said]:
    """It answers, takes messages and keeps them."""
    if not runtime.settings.broker:
        yield ok("none set: `gleaner run` works in its own process")
        return
    where, info = _info()
    yield from redis_faults(info)
    yield ok(f"{where}, Redis {info.get('redis_version', 'of an unknown version')}")


def _info() -> tuple[str, Mapping[str, Any]]:
    with app.connection_for_write() as connection:
        where = str(connection.as_uri())
        try:
            connection.ensure_connection(max_retries=1, timeout=5)
            return where, connection.default_channel.client.info()
        except (OperationalError, RedisError, OSError) as exc:
            raise BrokerAwayError(
                f"{where} does not answer: {str(exc).rstrip('.')}.",
                hint="Start Redis or correct GLEANER_BROKER_URL.",
            ) from exc


def redis_faults(info: Mapping[str, Any]) -> Iterator[Said]:
    """What is wrong with a Redis server as a queue."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found = f"maxmemory-policy is {policy}: Redis drops messages when its memory is full"
        yield error(found, "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.")
    if info.get("role", "master") != "master":
        yield error("the server is a replica and takes no messages", "Name the master in GLEANER_BROKER_URL.")
    if info.get("rdb_last_bgsave_status", "ok") != "ok" or info.get("aof_last_write_status", "ok") != "ok":
        found = "it could not write to its disk, and may refuse messages"
        yield error(found, "Free its disk, or turn saving off: what it forgets is sent again.")
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if most and used > FULL * most:
        found = f"{used} of {most} bytes of memory are used"
        yield warning(found, "Raise maxmemory, or lower GLEANER_MAX_MESSAGES.")
    if int(info.get("evicted_keys", 0)):
        found = f"{info['evicted_keys']} keys were evicted since the server was started"
        yield warning(found, "What was lost is sent again; use a Redis of Gleaner's own.")


def celery(runtime: Runtime) -> Iterator[Said]:
    """Its settings, as a worker started here would have them."""
    if not runtime.settings.broker:
        return
    registry = runtime.registry
    steps = max((len(registry.get(name).settings.ladder) for name in registry.names()), default=1)
    found = list(celery_faults(app.conf, longest_chunk_s(runtime, steps)))
    yield from found or [ok("early acknowledgement, one message ahead a thread, JSON alone")]


def longest_chunk_s(runtime: Runtime, num_steps: int) -> float:
    """How long a message may have to wait behind the chunk that is worked on."""
    own = runtime.settings
    return math.ceil(own.chunk_size / own.batch_size) * num_steps * own.document_time_limit_s


def celery_faults(conf: Mapping[str, Any], chunk_s: float) -> Iterator[Said]:
    """What is unsafe with Redis or with a GPU."""
    visible_s = conf["broker_transport_options"].get("visibility_timeout", 3600)
    if visible_s < chunk_s:
        found = (
            f"a chunk may take {chunk_s:g} s, and Redis hands a message that waits behind it to another "
            f"worker after {visible_s:g} s"
        )
        yield error(
            found, "Lower GLEANER_CHUNK_SIZE or GLEANER_DOCUMENT_TIME_LIMIT_S, or raise GLEANER_BATCH_SIZE."
        )
    if conf["worker_pool"] not in POOLS:
        found = f"the pool is {conf['worker_pool']}: CUDA does not survive its fork, and each child loads the model"
        yield error(found, "Start workers with `gleaner worker`, whose pool is threads.")
    if conf["worker_prefetch_multiplier"] != 1:
        found = f"a worker takes {conf['worker_prefetch_multiplier']} messages ahead for each thread"
        yield error(found, "worker_prefetch_multiplier = 1: what is taken ahead waits while others idle.")
    if conf["task_acks_late"]:
        found = "messages are acknowledged late: a restart of Redis runs tasks twice or ends the worker"
        yield error(found, "task_acks_late = False: the database knows what is open.")
    if set(conf["accept_content"]) != {"json"}:
        yield error(
            f"messages may be {', '.join(conf['accept_content'])}", "accept_content = ['json'] alone."
        )


def workers(runtime: Runtime) -> Iterator[Said]:
    """Those that listen at the broker, however they were started."""
    if not runtime.settings.broker:
        return
    try:
        _info()
    except BrokerAwayError:
        # said by its own check
        return
    found = app.control.inspect(timeout=PATIENCE_S).stats() or {}
    for name, stats in sorted(found.items()):
        yield from worker_faults(name, stats)
    if found:
        yield ok(f"{len(found)} listen")
    else:
        yield warning("nobody listens at the broker", "Start `gleaner worker`.")


def worker_faults(name: str, stats: Mapping[str, Any]) -> Iterator[Said]:
    """What is unsafe with a worker, by its own account."""
    pool = str(stats["pool"].get("implementation", ""))
    step = "Stop it, and start `gleaner worker`; another application needs a Redis database of its own."
    if "thread" not in pool and "solo" not in pool:
        yield error(f"{name} has the pool {pool}, in whose children CUDA does not work", step)
    most, ahead = stats["pool"].get("max-concurrency", 1), stats.get("prefetch_count", 0)
    # nought: without limit
    if not ahead or ahead > most:
        yield error(f"{name} takes {ahead or 'any number of'} messages at once and has {most} threads", step)
