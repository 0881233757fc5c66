"""What is asked for when Prometheus comes: of this process, of the database and of the broker."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError
from importlib.metadata import version

import structlog
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.errors import GleanerError
from workers.app import CONTROL_QUEUE, queue_of
from workers.messages import depths
from workers.runtime import Runtime
from workers.store import vitals
from workers.store.batches import BACKFILL, LIVE
from workers.store.session import reading
from workers.store.vitals import NONE_WAITING, Vitals

log = structlog.get_logger()

# several that scrape, or one that does so often, ask the database once
CACHE_S = 5.0
# below the ten seconds that Prometheus gives a scrape
PATIENCE_S = 5.0
_PRIORITIES = {LIVE: "live", BACKFILL: "backfill"}
_STATES = ("alive", "silent")


class WorkerGauges(Collector):
    """What this worker has in hand, and how full its engine is."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        runtime = self._runtime
        about = {
            "version": version("gleaner"),
            "worker": runtime.name,
            "checkpoint": runtime.checkpoint.name,
            "device": str(runtime.engine),
        }
        yield InfoMetricFamily("gleaner_worker", "Who this is, as `gleaner workers` lists it.", about)
        yield _gauge("jobs_in_hand", "Jobs that this worker holds leases of.", runtime.tally.in_hand)
        yield from _unless_broken(self._engine)

    def _engine(self) -> Iterable[Metric]:
        now = self._runtime.engine.occupancy()
        return [
            _gauge("prompts_running", "Prompts that the model works on: the batch size.", now.num_running),
            _gauge("prompts_waiting", "Prompts that wait for a place in the KV cache.", now.num_waiting),
            _gauge("cache_tokens", "Tokens of the KV cache that are taken.", now.num_places_taken),
            _gauge("cache_tokens_limit", "Tokens that the KV cache has places for.", now.num_places),
            _gauge("gpu_memory_bytes", "Memory of the GPU in use, by anyone; 0 on a CPU.", now.used_memory),
            _gauge("gpu_memory_limit_bytes", "Memory that the GPU has; 0 on a CPU.", now.memory),
        ]


class SiteGauges(Collector):
    """What every process sees alike, from the database and the broker: of several processes take the `max`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        # in a thread: a database that hangs must not make the scrape hang
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gauges")
        self._asked: Future[list[Metric]] | None = None
        self._asked_at = 0.0

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask."""
        return []

    def collect(self) -> Iterable[Metric]:
        try:
            return self._newest().result(PATIENCE_S)
        except TooLateError:
            return [_up("database", is_up=False)]

    def _newest(self) -> Future[list[Metric]]:
        with self._lock:
            is_old = time.monotonic() - self._asked_at > CACHE_S
            if self._asked is None or (self._asked.done() and is_old):
                self._asked = self._pool.submit(self._ask)
                self._asked_at = time.monotonic()
            return self._asked

    def _ask(self) -> list[Metric]:
        found: list[Vitals] = []

        def ask_database() -> Iterable[Metric]:
            with reading(self._runtime.store) as conn:
                found.extend(vitals.read(conn))
            return _queues(found)

        def ask_broker() -> Iterable[Metric]:
            messages = _family("queue_messages", "Messages in the broker.", "queue")
            for queue, num in depths([*(queue_of(each.digest) for each in found), CONTROL_QUEUE]).items():
                messages.add_metric([queue], num)
            return [messages]

        database = list(_unless_broken(ask_database))
        broker = list(_unless_broken(ask_broker))
        return [
            *database,
            *broker,
            _up("database", is_up=bool(database)),
            _up("broker", is_up=bool(broker)),
        ]


def _queues(found: Sequence[Vitals]) -> list[Metric]:
    of_whom = ("checkpoint", "queue")
    queued = _family("queued_jobs", "Jobs that wait for a worker.", *of_whom, "priority")
    age = _family(
        "queue_age_seconds", "How long the oldest queued job could have been taken.", *of_whom, "priority"
    )
    leased = _family("leased_jobs", "Jobs that some worker has in hand.", *of_whom)
    overdue = _family("overdue_leases", "Leases that have ended and were not taken back.", *of_whom)
    workers = _family("workers", "Workers that did not say that they ended.", *of_whom, "state")
    for each in found:
        whose = [each.name, queue_of(each.digest)]
        for priority, word in _PRIORITIES.items():
            waiting = each.waiting.get(priority, NONE_WAITING)
            queued.add_metric([*whose, word], waiting.num)
            age.add_metric([*whose, word], max(0.0, waiting.age_s))
        for state in _STATES:
            workers.add_metric([*whose, state], each.workers.get(state, 0))
        leased.add_metric(whose, each.num_leased)
        overdue.add_metric(whose, each.num_overdue)
    return [queued, age, leased, overdue, workers]


def _unless_broken(ask: Callable[[], Iterable[Metric]]) -> Iterable[Metric]:
    """What is answered; nothing, and a line in the log, if there is no answer: the other metrics are shown."""
    try:
        return list(ask())
    except GleanerError as exc:
        log.warning("scrape_failed", reason=str(exc))
    except Exception:
        log.exception("scrape_failed")
    return []


def _up(what: str, *, is_up: bool) -> Metric:
    return _gauge(f"{what}_up", f"Whether the {what} answers.", is_up)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"gleaner_{name}", text, value=value)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"gleaner_{name}", text, labels=labels)
