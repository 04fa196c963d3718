"""OTLP spans as a program would send them, built with OpenTelemetry's own messages."""

import base64
import hashlib
import json
from typing import Any

import httpx2
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
START = 1_764_000_000 * 10**9
"""2025-11-24T16:00:00Z in nanoseconds."""
MS = 10**6


def trace_id(name: str) -> bytes:
    """A trace id that is the same for the same name."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def span_id(name: str) -> bytes:
    """A span id that is the same for the same name."""
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def any_value(value: Any) -> AnyValue:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
        case _:
            return AnyValue(string_value=value)


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span(
    trace: str,
    name: str,
    parent: str | None = None,
    *,
    start_ms: int = 0,
    end_ms: int | None = 1,
    error: bool = False,
    **attributes: Any,
) -> Span:
    """A span of the trace called `trace`; `end_ms=None` is running. `__` in an attribute's name is a dot."""
    return Span(
        trace_id=trace_id(trace),
        span_id=span_id(f"{trace}/{name}"),
        parent_span_id=span_id(f"{trace}/{parent}") if parent else b"",
        name=name,
        start_time_unix_nano=START + start_ms * MS,
        end_time_unix_nano=0 if end_ms is None else START + end_ms * MS,
        status={"code": 2 if error else 0},
        attributes=pairs({key.replace("__", "."): value for key, value in attributes.items()}),
    )


def call(trace: str, name: str, parent: str | None = None, **options: Any) -> Span:
    """One request to a model, in OpenTelemetry's conventions."""
    return span(trace, name, parent, **({"gen_ai__operation__name": "chat"} | options))


def request_of(*spans: Span, resource: dict[str, Any] | None = None, scope: str = "") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(pairs(resource or {}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.spans.extend(spans)
    return request


def body_of(*spans: Span, **options: Any) -> bytes:
    return request_of(*spans, **options).SerializeToString()


def json_of(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """OTLP's JSON: protobuf's mapping, but ids in hex and enums as numbers."""
    shape = MessageToDict(request, use_integers_for_enums=True)
    for one in _spans(shape):
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in one:
                one[key] = base64.b64decode(one[key]).hex()
    return shape


def _spans(shape: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        one
        for resource_spans in shape.get("resourceSpans", [])
        for scope_spans in resource_spans.get("scopeSpans", [])
        for one in scope_spans.get("spans", [])
    ]


def post(url: str, *spans: Span, as_json: bool = False, **options: Any) -> httpx2.Response:
    """Send spans to the server at `url`, as an exporter would."""
    request = request_of(*spans, **options)
    if as_json:
        return httpx2.post(f"{url}/v1/traces", content=json.dumps(json_of(request)), headers=JSON)
    return httpx2.post(f"{url}/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
