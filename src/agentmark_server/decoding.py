"""Requests' bodies to spans: pure, and what most of the time goes into."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from agentmark_server import otlp, otlp_logs
from agentmark_server.conventions import normalise, preview
from agentmark_server.conventions.messages import messages, texts_of
from agentmark_server.model import LOG_EVENT, Origin, Preview, ReceivedSpan, Span, SpanView
from agentmark_server.packing import Share, pack
from agentmark_server.pricing import Prices

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


class SpanReader:
    """Reads spans: for the route as they come, for the store again; it knows neither OTLP nor conventions."""

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices or Prices()

    def read(self, view: SpanView) -> Span:
        """The facts of a span, with what its usage costs."""
        return self._prices.priced(normalise(view))

    def normalise(self, origin: Origin, raw: bytes) -> Span:
        """The facts of a span that was received."""
        view = otlp.view(otlp.RawSpan(origin, raw))
        if isinstance(view, otlp.RejectedSpan):
            raise TypeError(view.reason)  # it was readable when it came
        return self.read(view)

    def preview(self, received: ReceivedSpan) -> Preview:
        """What a span tells of input and output."""
        view = received.view or otlp.view(otlp.RawSpan(received.origin, received.raw))
        return (None, None) if isinstance(view, otlp.RejectedSpan) else preview(view)

    def canonical(self, raw: bytes) -> bytes:
        """One encoding for all encodings of the same span."""
        return otlp.canonical(raw)

    def texts(self, origin: Origin, raw: bytes) -> Iterator[str]:
        """What is said in the messages of a span that was received."""
        view = otlp.view(otlp.RawSpan(origin, raw))
        if isinstance(view, otlp.RejectedSpan):
            raise TypeError(view.reason)  # it was readable when it came
        events = list(view.events)
        if LOG_EVENT in view.attributes and not events:
            events = [(view.name, {key: view.attributes[key] for key in view.attributes})]
        return texts_of(messages(view.attributes, events, span_name=view.name))


class Batch(msgspec.Struct, frozen=True):
    """What one request brought: spans, ready for the store, and why others of it were left out."""

    shares: list[Share]
    rejected: list[str]


class Signal(msgspec.Struct, frozen=True):
    """One of OTLP's routes: how its bodies are read, and the message that answers them."""

    of_protobuf: Callable[[bytes], Iterator[otlp.RawSpan | otlp.RejectedSpan]]
    of_json: Callable[[bytes], Iterator[otlp.RawSpan | otlp.RejectedSpan]]
    response: type[Message]
    rejected: str
    """The field of `partial_success` that counts what was not taken."""


TRACES: Final = Signal(
    otlp.spans_of_protobuf, otlp.spans_of_json, ExportTraceServiceResponse, rejected="rejected_spans"
)
LOGS: Final = Signal(
    otlp_logs.records_of_protobuf,
    otlp_logs.records_of_json,
    ExportLogsServiceResponse,
    rejected="rejected_log_records",
)


class Body(msgspec.Struct, frozen=True):
    """A request's body as it came, and what its headers say of it."""

    content: bytes
    content_type: str
    encoding: str = "identity"


def decode(body: Body, limit: int, reader: SpanReader, signal: Signal = TRACES) -> Batch:
    """A body to shares. Raises otlp.UnreadableError, otlp.TooLargeError (more than `limit` bytes)."""
    spans, rejected = read(body, limit, reader, signal)
    return Batch(pack(spans, reader), rejected)


def read(
    body: Body, limit: int, reader: SpanReader, signal: Signal = TRACES
) -> tuple[list[ReceivedSpan], list[str]]:
    """A body to spans, and why others of it were left out. Raises as `decode`."""
    plain = otlp.decompress(body.content, body.encoding, limit)
    raws = (signal.of_json if body.content_type == JSON else signal.of_protobuf)(plain)
    spans: list[ReceivedSpan] = []
    rejected: list[str] = []
    for raw in raws:
        view = raw if isinstance(raw, otlp.RejectedSpan) else otlp.view(raw)
        if isinstance(view, otlp.RejectedSpan):
            rejected.append(view.reason)
        elif isinstance(raw, otlp.RawSpan):
            spans.append(ReceivedSpan(reader.read(view), raw.raw, raw.origin, len(view.attributes), view))
    return spans, rejected
