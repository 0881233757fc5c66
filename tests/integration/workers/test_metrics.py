"""What Prometheus gets from real workers and from beat."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cases import parcels, promql
from tests.cases.worlds import enqueue
from tests.integration.workers.conftest import ROOT, Site, wait_until
from tests.servers import free_port
from workers.app import extract_queue
from workers.store.batches import BACKFILL

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int) -> Samples:
    with closing(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum over the samples that have these labels."""
    found = [v for (n, has), v in samples.items() if n == name and labels.items() <= set(has)]
    assert found, f"{name} {labels} is not in the scrape"
    return sum(found)


@contextmanager
def beat(site: Site, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    own = site.runtime.settings
    given = {"database_url": own.database, "broker_url": own.broker, "sweep_s": 0.3} | settings
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
    environment = clean | {f"GLEANER_{name.upper()}": str(each) for name, each in given.items()}
    with (site.directory / "beat.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "beat"], env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_a_worker_counts_what_it_did_and_shows_the_queue(site: Site) -> None:
    port = free_port()
    site.start(metrics_port=port).wait_until_ready()
    texts = [parcels.text(name, "1 cup") for name in ("Ann", "Bo", "GARBLED", "GRAMMAR")]
    enqueue(site.runtime, texts)
    site.wait_for_ends()
    wait_until(lambda: value(scrape(port), "gleaner_jobs_in_hand") == 0, "the worker to put its jobs away")
    seen = scrape(port)

    assert value(seen, "gleaner_documents_total", outcome="done", reason="") == 2
    assert value(seen, "gleaner_documents_total", outcome="review", reason="invalid") == 1
    assert value(seen, "gleaner_documents_total", outcome="failed", reason="grammar") == 1
    requests = value(seen, "gleaner_prompt_seconds_count")
    assert requests == 4
    output, forwards = (
        value(seen, "gleaner_tokens_total", kind="output"),
        value(seen, "gleaner_forwards_total"),
    )
    # the scripted engine takes a step a token
    assert output == forwards > 100
    assert value(seen, "gleaner_tokens_total", kind="prompt") > output
    for stage in ("claim", "prompt", "complete", "conclude", "persist"):
        assert value(seen, "gleaner_stage_seconds_count", stage=stage) >= 1
    assert value(seen, "gleaner_messages_sent_total", task="gleaner.extract") >= 1
    assert value(seen, "gleaner_worker_info", device="scripted", checkpoint="scripted") == 1
    assert value(seen, "process_resident_memory_bytes") > 1e6

    queue = {"checkpoint": "scripted", "queue": extract_queue(site.runtime.checkpoint)}
    assert value(seen, "gleaner_database_up") == value(seen, "gleaner_broker_up") == 1
    assert value(seen, "gleaner_workers", **queue, state="alive") == 1
    assert value(seen, "gleaner_workers", **queue, state="silent") == 0
    assert value(seen, "gleaner_queue_messages", queue=queue["queue"]) == 0
    # what the dashboard and the alerts ask for
    series = {(name, frozenset(label for label, _ in labels)) for name, labels in seen}
    assert promql.missing(series) == []


def test_beat_shows_what_waits_though_no_worker_is_there(postgres_site: Site) -> None:
    port = free_port()
    runtime = postgres_site.runtime
    postgres_site.enqueue(20)
    enqueue(runtime, [parcels.text(f"B{n}", "1 cup") for n in range(3)], priority=BACKFILL)
    queue = {"checkpoint": "scripted", "queue": extract_queue(runtime.checkpoint)}
    with beat(postgres_site, metrics_port=port) as process:

        def answers() -> bool:
            assert process.poll() is None, (postgres_site.directory / "beat.log").read_text()
            try:
                return value(scrape(port), "gleaner_messages_sent_total", task="gleaner.sweep") >= 2
            except (OSError, AssertionError):
                return False

        wait_until(answers, "beat to tick")
        seen = scrape(port)
        assert value(seen, "gleaner_queued_jobs", **queue, priority="live") == 20
        assert value(seen, "gleaner_queued_jobs", **queue, priority="backfill") == 3
        assert value(seen, "gleaner_queue_age_seconds", **queue, priority="live") > 0
        assert value(seen, "gleaner_queue_messages", queue=queue["queue"]) == 3
        assert value(seen, "gleaner_workers", **queue, state="alive") == 0
        assert value(seen, "gleaner_leased_jobs", **queue) == 0


def test_late_results_and_expired_leases_are_counted(postgres_site: Site) -> None:
    ports = [free_port(), free_port()]
    slow = {"seconds_per_document": 3.0, "batch_size": 1, "concurrency": 1}
    # its heartbeat comes too late to renew what it holds
    postgres_site.start(metrics_port=ports[0], lease_s=0.9, sweep_s=600.0, **slow).wait_until_ready()
    postgres_site.enqueue(1)
    wait_until(lambda: value(scrape(ports[0]), "gleaner_jobs_in_hand") == 1, "the job to be claimed")
    postgres_site.workers[0].process.send_signal(signal.SIGSTOP)
    postgres_site.start(metrics_port=ports[1]).wait_until_ready()
    postgres_site.wait_for_ends()
    postgres_site.workers[0].process.send_signal(signal.SIGCONT)
    wait_until(lambda: value(scrape(ports[0]), "gleaner_fenced_writes_total") == 1, "the late result")
    assert value(scrape(ports[1]), "gleaner_leases_expired_total", state="queued") == 1
    assert value(scrape(ports[0]), "gleaner_leases_expired_total", state="queued") == 0
