import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import pools
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine

from schemas.errors import ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import enqueue, make_runtime
from tests.unit.workers.conftest import Make
from workers import gauges
from workers.app import app, configure
from workers.exporter import export_metrics
from workers.runtime import Runtime
from workers.settings import Settings


def shown(*collectors: gauges.Collector) -> str:
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return generate_latest(registry).decode()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime whose database and broker refuse connections."""
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    runtime = make_runtime(url, parcels.write_schema(tmp_path), broker_url="redis://127.0.0.1:1/0")
    configure(app, runtime.settings)
    yield runtime
    configure(app, Settings(_env_file=None))
    pools.reset()
    app.close()


def test_a_port_that_is_taken_is_an_error_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port}.*in use.*--metrics-port"):
            export_metrics(Settings(_env_file=None, metrics_port=port))


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="192\\.0\\.2\\.1"):
        export_metrics(Settings(_env_file=None, metrics_port=9, metrics_host="192.0.2.1"))


def test_without_a_port_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.exporter.start_http_server", pytest.fail)
    export_metrics(Settings(_env_file=None))


def test_a_site_that_is_away_is_shown_as_away_beside_what_the_worker_knows(away: Runtime) -> None:
    said = shown(gauges.WorkerGauges(away), gauges.SiteGauges(away))
    assert "gleaner_database_up 0.0" in said
    assert "gleaner_broker_up 0.0" in said
    assert "gleaner_prompts_running 0.0" in said
    assert "gleaner_queued_jobs" not in said


def test_a_database_that_hangs_does_not_make_the_scrape_hang(
    away: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "PATIENCE_S", 0.05)
    monkeypatch.setattr(gauges.SiteGauges, "_ask", lambda self: time.sleep(0.5))
    assert "gleaner_database_up 0.0" in shown(gauges.SiteGauges(away))


def test_a_broken_gauge_hides_no_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = make()
    monkeypatch.setattr(runtime.engine, "occupancy", lambda: 1 / 0)
    said = shown(gauges.WorkerGauges(runtime))
    assert "gleaner_jobs_in_hand 0.0" in said
    assert "gleaner_prompts_running" not in said


def test_the_database_is_asked_once_in_a_while(make: Make, sqlite_store: Engine) -> None:
    runtime = make()
    site = gauges.SiteGauges(runtime)
    enqueue(runtime, [parcels.text("Ann", "1 cup")])
    queued = 'gleaner_queued_jobs{checkpoint="scripted",priority="live",queue="extract-5c5c5c5c5c5c"} '
    assert queued + "1.0" in shown(site)
    enqueue(runtime, [parcels.text("Bo", "1 cup")])
    assert queued + "1.0" in shown(site)
    site._asked_at -= gauges.CACHE_S
    assert queued + "2.0" in shown(site)
