"""OpenTelemetry traces where GLEANER_TRACES asks for them; else nothing of the library is needed.

Not by its instrumentation of Celery: that leaves a span open for every message to a task that the sender does not
have, as `gleaner enqueue` does not.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from structlog.contextvars import bound_contextvars

from schemas.errors import ConfigurationError
from workers.settings import Settings

_tracer: Any = None


def start_tracing(settings: Settings, exporter: Any = None) -> None:
    """Send spans from here on, by default as the OTEL_* variables say.

    Raises:
        ConfigurationError: the libraries are not installed.
    """
    global _tracer
    if not settings.traces:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        raise ConfigurationError(
            "GLEANER_TRACES is on, and OpenTelemetry is not installed.",
            hint="Install it with `pip install 'gleaner[otel]'`.",
        ) from exc
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before our name
    resource = Resource({"service.name": "gleaner"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    _tracer = provider.get_tracer("gleaner")


@contextmanager
def span(name: str, **facts: object) -> Iterator[None]:
    """A span with attributes `gleaner.<fact>`; an exception within is noted in it."""
    if _tracer is None:
        yield
        return
    attributes = {f"gleaner.{fact}": value for fact, value in facts.items() if value is not None}
    with (
        _tracer.start_as_current_span(name, attributes=attributes) as current,
        # log lines within say to which trace they belong
        bound_contextvars(trace=f"{current.get_span_context().trace_id:032x}"),
    ):
        yield


def outgoing() -> dict[str, str]:
    """The headers of a message, by which its receiver goes on with this trace."""
    headers: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.propagate import inject

        inject(headers)
    return headers


@contextmanager
def incoming(headers: Mapping[str, str]) -> Iterator[None]:
    """Go on with the trace of who sent a message with these headers."""
    if _tracer is None:
        yield
        return
    from opentelemetry import context
    from opentelemetry.propagate import extract

    token = context.attach(extract(headers))
    try:
        yield
    finally:
        context.detach(token)
