"""OTLP's JSON, which is protobuf's JSON mapping with exceptions: ids in hex, enums as numbers.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Unknown fields are ignored, 64-bit integers
may be numbers or text, null is the same as absent.
"""

import base64

import msgspec
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from agentmark_server.model import Origin

Number = int | str
Real = float | int | str


class _Struct(msgspec.Struct, rename="camel", gc=False):
    pass


class _Array(_Struct):
    values: list["_Any"] | None = None


class _KeyValues(_Struct):
    values: list["_KeyValue"] | None = None


class _Any(_Struct):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Number | None = None
    double_value: Real | None = None
    array_value: _Array | None = None
    kvlist_value: _KeyValues | None = None
    bytes_value: str | None = None


class _KeyValue(_Struct):
    key: str = ""
    value: _Any | None = None


class _Event(_Struct):
    time_unix_nano: Number | None = None
    name: str | None = None
    attributes: list[_KeyValue] | None = None
    dropped_attributes_count: int | None = None


class _Link(_Struct):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    attributes: list[_KeyValue] | None = None
    dropped_attributes_count: int | None = None
    flags: int | None = None


class _Status(_Struct):
    message: str | None = None
    code: int | None = None


class _Span(_Struct):
    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | None = None
    start_time_unix_nano: Number | None = None
    end_time_unix_nano: Number | None = None
    attributes: list[_KeyValue] | None = None
    dropped_attributes_count: int | None = None
    events: list[_Event] | None = None
    dropped_events_count: int | None = None
    links: list[_Link] | None = None
    dropped_links_count: int | None = None
    status: _Status | None = None
    flags: int | None = None


class _LogRecord(_Struct):
    time_unix_nano: Number | None = None
    observed_time_unix_nano: Number | None = None
    severity_number: int | None = None
    severity_text: str | None = None
    body: _Any | None = None
    attributes: list[_KeyValue] | None = None
    dropped_attributes_count: int | None = None
    flags: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class _Resource(_Struct):
    attributes: list[_KeyValue] | None = None
    dropped_attributes_count: int | None = None


class _Scope(_Struct):
    name: str | None = None
    version: str | None = None
    attributes: list[_KeyValue] | None = None
    dropped_attributes_count: int | None = None


# A request of spans and one of logs differ in the names of their lists alone.
class _ScopeItems(_Struct):
    scope: _Scope | None = None
    spans: list[msgspec.Raw] | None = None
    log_records: list[msgspec.Raw] | None = None
    schema_url: str | None = None


class _ResourceItems(_Struct):
    resource: _Resource | None = None
    scope_spans: list[_ScopeItems] | None = None
    scope_logs: list[_ScopeItems] | None = None
    schema_url: str | None = None


class _Request(_Struct):
    resource_spans: list[_ResourceItems] | None = None
    resource_logs: list[_ResourceItems] | None = None


_requests = msgspec.json.Decoder(_Request)
_spans = msgspec.json.Decoder(_Span)
_log_records = msgspec.json.Decoder(_LogRecord)

Scoped = list[tuple[Origin, list[msgspec.Raw]]]
"""Items that are still JSON, with what they share."""


def parse_spans(body: bytes) -> Scoped:
    """The spans of an `ExportTraceServiceRequest`. Raises ValueError for another shape."""
    resources = _requests.decode(body).resource_spans or ()
    return [
        (_origin(resource, scope), scope.spans or [])
        for resource in resources
        for scope in resource.scope_spans or ()
    ]


def parse_logs(body: bytes) -> Scoped:
    """The log records of an `ExportLogsServiceRequest`. Raises ValueError for another shape."""
    resources = _requests.decode(body).resource_logs or ()
    return [
        (_origin(resource, scope), scope.log_records or [])
        for resource in resources
        for scope in resource.scope_logs or ()
    ]


def _origin(resource: _ResourceItems, scope: _ScopeItems) -> Origin:
    return Origin(
        _resource_bytes(resource.resource or _Resource()),
        _scope_bytes(scope.scope or _Scope()),
        resource.schema_url or "",
        scope.schema_url or "",
    )


def _resource_bytes(resource: _Resource) -> bytes:
    message = resource_pb2.Resource(dropped_attributes_count=resource.dropped_attributes_count or 0)
    _put_all(message.attributes, resource.attributes)
    return message.SerializeToString()


def _scope_bytes(scope: _Scope) -> bytes:
    message = common_pb2.InstrumentationScope(
        name=scope.name or "",
        version=scope.version or "",
        dropped_attributes_count=scope.dropped_attributes_count or 0,
    )
    _put_all(message.attributes, scope.attributes)
    return message.SerializeToString()


def span_bytes(item: msgspec.Raw) -> bytes:
    """A span's JSON as an OTLP `Span` message. Raises ValueError or TypeError where it is none."""
    span = _spans.decode(item)
    message = trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id or ""),
        span_id=bytes.fromhex(span.span_id or ""),
        trace_state=span.trace_state or "",
        parent_span_id=bytes.fromhex(span.parent_span_id or ""),
        name=span.name or "",
        kind=span.kind or 0,  # type: ignore[arg-type]  # an open enum: a number that it does not know is kept
        start_time_unix_nano=int(span.start_time_unix_nano or 0),
        end_time_unix_nano=int(span.end_time_unix_nano or 0),
        dropped_attributes_count=span.dropped_attributes_count or 0,
        dropped_events_count=span.dropped_events_count or 0,
        dropped_links_count=span.dropped_links_count or 0,
        flags=span.flags or 0,
    )
    _put_all(message.attributes, span.attributes)
    for event in span.events or ():
        _put_event(message.events.add(), event)
    for link in span.links or ():
        _put_link(message.links.add(), link)
    if span.status:
        message.status.message = span.status.message or ""
        message.status.code = span.status.code or 0  # type: ignore[assignment]  # an open enum, as above
    return message.SerializeToString()


def log_record_bytes(item: msgspec.Raw) -> bytes:
    """A log record's JSON as an OTLP `LogRecord` message. Raises ValueError or TypeError where it is none."""
    record = _log_records.decode(item)
    message = logs_pb2.LogRecord(
        time_unix_nano=int(record.time_unix_nano or 0),
        observed_time_unix_nano=int(record.observed_time_unix_nano or 0),
        severity_number=record.severity_number or 0,  # type: ignore[arg-type]  # an open enum, as above
        severity_text=record.severity_text or "",
        dropped_attributes_count=record.dropped_attributes_count or 0,
        flags=record.flags or 0,
        trace_id=bytes.fromhex(record.trace_id or ""),
        span_id=bytes.fromhex(record.span_id or ""),
        event_name=record.event_name or "",
    )
    if record.body is not None:
        _put(message.body, record.body)
    _put_all(message.attributes, record.attributes)
    return message.SerializeToString()


def _put_event(message: trace_pb2.Span.Event, event: _Event) -> None:
    message.time_unix_nano = int(event.time_unix_nano or 0)
    message.name = event.name or ""
    message.dropped_attributes_count = event.dropped_attributes_count or 0
    _put_all(message.attributes, event.attributes)


def _put_link(message: trace_pb2.Span.Link, link: _Link) -> None:
    message.trace_id = bytes.fromhex(link.trace_id or "")
    message.span_id = bytes.fromhex(link.span_id or "")
    message.trace_state = link.trace_state or ""
    message.dropped_attributes_count = link.dropped_attributes_count or 0
    message.flags = link.flags or 0
    _put_all(message.attributes, link.attributes)


# protobuf's stubs name the container of repeated messages differently from version to version.
def _put_all(target: "common_pb2.KeyValueList | object", pairs: list[_KeyValue] | None) -> None:
    add = target.add  # type: ignore[union-attr]
    for pair in pairs or ():
        message = add()
        message.key = pair.key
        value = pair.value
        if value is None:
            continue
        if value.string_value is not None:  # as most are: without a call, for there are many
            message.value.string_value = value.string_value
        else:
            _put(message.value, value)


def _put(message: common_pb2.AnyValue, value: _Any) -> None:
    """Set the one field of the union that is given; protobuf's own range checks apply."""
    if value.string_value is not None:
        message.string_value = value.string_value
    elif value.int_value is not None:
        message.int_value = int(value.int_value)
    elif value.bool_value is not None:
        message.bool_value = value.bool_value
    elif value.double_value is not None:
        message.double_value = float(value.double_value)
    elif value.bytes_value is not None:
        message.bytes_value = base64.b64decode(value.bytes_value, validate=True)
    elif value.array_value is not None:
        message.array_value.SetInParent()
        for item in value.array_value.values or ():
            _put(message.array_value.values.add(), item)
    elif value.kvlist_value is not None:
        message.kvlist_value.SetInParent()
        _put_all(message.kvlist_value.values, value.kvlist_value.values)
