"""Shows the metrics of this process to Prometheus, over HTTP."""

from celery import signals
from prometheus_client import REGISTRY, start_http_server
from prometheus_client.registry import Collector

from schemas.errors import ConfigurationError
from workers.metrics import SENT
from workers.settings import Settings


def export_metrics(settings: Settings, *gauges: Collector) -> None:
    """Answer at `metrics_port`, if there is one, from a thread of its own until the process ends.

    Raises:
        ConfigurationError: the port is taken, or the address is none of this machine.
    """
    if settings.metrics_port is None:
        return
    for each in gauges:
        REGISTRY.register(each)
    signals.after_task_publish.connect(_count_message, weak=False)
    host, port = settings.metrics_host, settings.metrics_port
    try:
        start_http_server(port, host)
    except OSError as exc:
        raise ConfigurationError(
            f"Metrics cannot be shown at {host}, port {port}: {exc.strerror}.",
            hint="Every process needs a port of its own: name another with --metrics-port.",
        ) from exc


def _count_message(sender: str, **_: object) -> None:
    SENT.labels(sender).inc()
