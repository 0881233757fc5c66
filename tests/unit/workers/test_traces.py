"""Traces, in memory; and that nobody needs the library who does not ask for them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.errors import ConfigurationError
from tests.cases import parcels
from tests.cases.worlds import enqueue, job_ids
from tests.unit.workers.conftest import Make
from workers import traces
from workers.settings import Settings
from workers.work import work

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is sent, at once."""
    monkeypatch.setattr("opentelemetry.sdk.trace.export.BatchSpanProcessor", SimpleSpanProcessor)
    monkeypatch.setattr(traces, "_tracer", None)
    exporter = InMemorySpanExporter()
    traces.start_tracing(Settings(_env_file=None, traces=True), exporter)
    yield exporter
    traces._tracer = None


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def parent(spans: InMemorySpanExporter, span: ReadableSpan) -> str | None:
    by_id = {each.context.span_id: each.name for each in spans.get_finished_spans()}
    return span.parent and by_id.get(span.parent.span_id)


def test_the_stages_of_a_chunk_are_spans_below_its_group(make: Make, spans: InMemorySpanExporter) -> None:
    runtime = make(batch_size=2)
    enqueue(runtime, [parcels.text(name, "1 cup") for name in ("Ann", "Bo", "Cy")])
    work(runtime, job_ids(runtime))
    (whole,) = named(spans, "work")
    assert list(whole.attributes["gleaner.jobs"]) == job_ids(runtime)
    groups = named(spans, "group")
    assert [list(group.attributes["gleaner.jobs"]) for group in groups] == [[1, 2], [3]]
    assert {group.attributes["gleaner.schema"] for group in groups} == {"parcel"}
    for stage in ("prompt", "complete", "conclude", "persist"):
        found = named(spans, stage)
        assert len(found) == 2
        assert {parent(spans, span) for span in found} == {"group"}
    assert {parent(spans, span) for span in groups} == {"work"}
    assert len({span.context.trace_id for span in spans.get_finished_spans() if span.parent}) == 1


def test_an_error_is_noted_in_the_span(make: Make, spans: InMemorySpanExporter) -> None:
    runtime = make(batch_size=1)
    enqueue(runtime, [parcels.text("BOOM", "1 cup")])
    work(runtime, job_ids(runtime))
    (complete,) = named(spans, "complete")
    assert not complete.status.is_ok
    assert complete.events[0].attributes["exception.message"] == "boom"


def test_log_lines_name_their_trace(spans: InMemorySpanExporter) -> None:
    with traces.span("x"):
        bound = structlog.contextvars.get_contextvars()
    assert int(bound["trace"], 16) == named(spans, "x")[0].context.trace_id
    assert "trace" not in structlog.contextvars.get_contextvars()


def test_workers_and_commands_need_no_opentelemetry() -> None:
    program = (
        "import sys\nsys.modules['opentelemetry'] = None\n"
        "import pipelines.cli.main, workers.serve, workers.tasks\n"
        "from workers.settings import Settings\nfrom workers import traces\n"
        "traces.start_tracing(Settings(_env_file=None))\n"
        "with traces.span('x'), traces.incoming({'traceparent': 'y'}):\n    print(traces.outgoing())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "{}"


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"gleaner\[otel\]"):
        traces.start_tracing(Settings(_env_file=None, traces=True))


def test_without_tracing_nothing_is_sent_along() -> None:
    with traces.span("x", jobs=[1]), traces.incoming({"traceparent": "00-1-2-3"}):
        assert traces.outgoing() == {}
        given: dict[str, Any] = structlog.contextvars.get_contextvars()
    assert "trace" not in given
