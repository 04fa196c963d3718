"""A session as OTLP: what `POST /v1/traces` takes, so that another server can be given it.

The spans are those that were received, in protobuf to the letter. What `PATCH` said of the session is not in them.
"""

import base64
import json as _json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from agentmark_server import wire
from agentmark_server.api.export.source import Source
from agentmark_server.model import Origin, ReceivedSpan

_IDS: Final = ("traceId", "spanId", "parentSpanId")
_BATCH: Final = 500
"""So many spans may share what is said of their origin."""


def protobuf(source: Source) -> Iterator[bytes]:
    """One `ExportTraceServiceRequest`: messages one after the other are one message with all that is in them."""
    for origin, received in _by_origin(source.received()):
        scope_spans = wire.ScopeSpans(
            scope=origin.scope, spans=[one.raw for one in received], schema_url=origin.scope_schema_url
        )
        resource_spans = wire.ResourceSpans(
            resource=origin.resource, scope_spans=[scope_spans], schema_url=origin.resource_schema_url
        )
        yield wire.Request(resource_spans=[resource_spans]).SerializeToString()


def json(source: Source) -> Iterator[bytes]:
    """The same in OTLP's JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding."""
    yield b'{"resourceSpans":['
    for number, (origin, received) in enumerate(_by_origin(source.received())):
        scope_spans = {
            "scope": MessageToDict(InstrumentationScope.FromString(origin.scope)),
            "schemaUrl": origin.scope_schema_url,
            "spans": [_span(one.raw) for one in received],
        }
        resource_spans = {
            "resource": MessageToDict(Resource.FromString(origin.resource)),
            "schemaUrl": origin.resource_schema_url,
            "scopeSpans": [scope_spans],
        }
        yield (b"," if number else b"") + _json.dumps(resource_spans).encode()
    yield b"]}\n"


def _by_origin(spans: Iterable[ReceivedSpan]) -> Iterator[tuple[Origin, list[ReceivedSpan]]]:
    """Spans that follow each other and share their origin."""
    waiting: list[ReceivedSpan] = []
    for received in spans:
        if waiting and (waiting[-1].origin != received.origin or len(waiting) >= _BATCH):
            yield waiting[0].origin, waiting
            waiting = []
        waiting.append(received)
    if waiting:
        yield waiting[0].origin, waiting


def _span(raw: bytes) -> dict[str, Any]:
    """A span as OTLP's JSON has it: protobuf's mapping, but ids in hex and enums as numbers."""
    shape: dict[str, Any] = MessageToDict(_readable(raw), use_integers_for_enums=True)
    for holder in (shape, *shape.get("links", ())):
        for key in _IDS:
            if key in holder:
                holder[key] = base64.b64decode(holder[key]).hex()
    return shape


def _readable(raw: bytes) -> trace_pb2.Span:
    """The span, without those parts of it that cannot be read, such as text that is not UTF-8."""
    try:
        return trace_pb2.Span.FromString(raw)
    except DecodeError:
        unread = wire.Span.FromString(raw)
    parts = {"attributes": KeyValue, "events": trace_pb2.Span.Event, "links": trace_pb2.Span.Link}
    kept = {name: list(_read(kind, getattr(unread, name))) for name, kind in parts.items()}
    for name in parts:
        unread.ClearField(name)
    span = trace_pb2.Span.FromString(unread.SerializeToString())
    for name, some in kept.items():
        getattr(span, name).extend(some)
    return span


def _read(kind: Any, raws: Iterable[bytes]) -> Iterator[Any]:
    for raw in raws:
        try:
            yield kind.FromString(raw)
        except DecodeError:
            continue
