"""A program with OpenTelemetry's own SDK and nothing of ours: so many spans a second, in traces of so many.

Prints how many it made and how long that took. The processor has its default settings; when its queue overflows,
it drops spans, and the server has fewer than were made.
"""

import sys
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

SESSIONS = 50


def make(tracer: Tracer, number: int, spans: int) -> None:
    """A trace of calls of a model, one above the others, `spans` in all."""
    attributes: dict[str, str | int] = {
        "session.id": f"sdk-{number % SESSIONS}",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 40,
        "input.value": "Where is my order?",
        "output.value": "On its way: it comes tomorrow.",
    }
    with tracer.start_as_current_span("chat", attributes=attributes):
        for _ in range(spans - 1):
            with tracer.start_as_current_span("chat", attributes=attributes):
                pass


def main() -> None:
    """Make the spans evenly, then shut down as a program that ends well does."""
    url, rate, seconds, spans = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
    tracer, began, made = provider.get_tracer("sdk-program"), time.perf_counter(), 0
    while made < rate * seconds:
        while made < min((time.perf_counter() - began) * rate, rate * seconds):
            make(tracer, made, spans)
            made += spans
        time.sleep(0.002)
    took = time.perf_counter() - began
    provider.shutdown()
    print(made, took)


if __name__ == "__main__":
    main()
