"""A trace that begins where documents are enqueued goes on in a real worker, and is sent as OTEL_* say."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.integration.workers.conftest import Site
from workers import traces
from workers.settings import Settings


@contextmanager
def collector(received: list[Span]) -> Iterator[str]:
    """The URL of a server that takes spans as an OpenTelemetry collector does."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                (name,) = (
                    a.value.string_value for a in of_resource.resource.attributes if a.key == "service.name"
                )
                assert name == "gleaner"
                received.extend(span for scope in of_resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Taker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_message_carries_its_trace_to_the_worker(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[Span] = []
    with collector(received) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        # its sweep would send the jobs in a trace of its own
        worker = sqlite_site.start(traces=True, sweep_s=600.0).wait_until_ready()
        monkeypatch.setattr(traces, "_tracer", None)
        traces.start_tracing(Settings(_env_file=None, traces=True), InMemorySpanExporter())
        with traces.span("enqueue"):
            trace_id = bytes.fromhex(traces.outgoing()["traceparent"].split("-")[1])
            sqlite_site.enqueue(3)
        sqlite_site.wait_for_ends()
        # what is left is sent when it stops
        assert worker.stop() == 0
    ours = [span for span in received if span.trace_id == trace_id]
    assert [span.name for span in ours].count("work") == 1
    assert {"claim", "group", "prompt", "complete", "conclude", "persist"} <= {span.name for span in ours}
    assert trace_id.hex() in worker.said, "its log lines name the trace"
