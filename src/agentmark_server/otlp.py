"""OTLP/HTTP bodies to spans, as https://opentelemetry.io/docs/specs/otlp/#otlphttp says.

What cannot be read as a whole raises `UnreadableError`; a span that cannot be read is left out, with a reason.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec
import zstandard
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from agentmark_server import otlp_json, wire
from agentmark_server.attributes import Pairs, value_of
from agentmark_server.model import Origin, Resource, SpanStatus, SpanView, Value

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
VALUE_BYTES: Final = 16 * 1024 * 1024
"""The largest single value that is kept whole."""

_NO_TRACE: Final = bytes(TRACE_ID_BYTES)
_NO_SPAN: Final = bytes(SPAN_ID_BYTES)
_STATUS: Final[dict[int, SpanStatus]] = {Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}


class UnreadableError(Exception):
    """A body that is not what its headers say: sending it again would not help."""


class TooLargeError(Exception):
    """A body that is larger, once decompressed, than the server reads."""


class RejectedSpan(msgspec.Struct, frozen=True):
    """A span that could not be read, and why."""

    reason: str


class RawSpan(msgspec.Struct, frozen=True, gc=False):
    """A span as it came: an OTLP `Span` message in protobuf, and what it shares with its neighbours."""

    origin: Origin
    raw: bytes


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before `Content-Encoding` (one of `DECOMPRESSORS`), of at most `limit` bytes."""
    try:
        plain = DECOMPRESSORS[encoding](body, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        msg = f"the body is not {encoding}: {error}"
        raise UnreadableError(msg) from error
    if len(plain) > limit:
        msg = f"the body is larger than {limit} bytes when decompressed: send smaller batches"
        raise TooLargeError(msg)
    return plain


def _identity(body: bytes, _limit: int) -> bytes:
    return body


def _inflate(body: bytes, limit: int) -> bytes:
    """Gzip (of several members too) and zlib: 32 added to the window's size tells them apart."""
    plain = b""
    while body and len(plain) <= limit:
        inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
        plain += inflater.decompress(body, limit + 1 - len(plain))
        if not inflater.eof and len(plain) <= limit:
            raise EOFError("it ends too early")
        body = inflater.unused_data
    return plain


def _zstd(body: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body) as reader:
        return reader.read(limit + 1)


DECOMPRESSORS: Final = {"identity": _identity, "gzip": _inflate, "deflate": _inflate, "zstd": _zstd}


def spans_of_protobuf(body: bytes) -> Iterator[RawSpan | RejectedSpan]:
    """The spans of an `ExportTraceServiceRequest` in protobuf, unread; of logs the records."""
    try:
        request = wire.Request.FromString(body)
    except DecodeError as error:
        msg = "the body is not a request of this route in protobuf"
        raise UnreadableError(msg) from error
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            origin = Origin(
                resource_spans.resource, scope_spans.scope, resource_spans.schema_url, scope_spans.schema_url
            )
            for raw in scope_spans.spans:
                yield RawSpan(origin, _cut(raw))


def spans_of_json(body: bytes) -> Iterator[RawSpan | RejectedSpan]:
    """The spans of an `ExportTraceServiceRequest` in OTLP's JSON, turned into protobuf."""
    return _items_of_json(body, otlp_json.parse_spans, otlp_json.span_bytes)


def logs_of_json(body: bytes) -> Iterator[RawSpan | RejectedSpan]:
    """The log records of an `ExportLogsServiceRequest` in OTLP's JSON, turned into protobuf."""
    return _items_of_json(body, otlp_json.parse_logs, otlp_json.log_record_bytes)


def _items_of_json(
    body: bytes, parse: Callable[[bytes], otlp_json.Scoped], to_bytes: Callable[[msgspec.Raw], bytes]
) -> Iterator[RawSpan | RejectedSpan]:
    try:
        request = parse(body)
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"the body is not a request of this route in JSON: {error}"
        raise UnreadableError(msg) from error
    for origin, items in request:
        for item in items:
            try:
                yield RawSpan(origin, _cut(to_bytes(item)))
            except (ValueError, TypeError, RecursionError) as error:
                yield RejectedSpan(f"an item cannot be read: {error}")


def view(span: RawSpan) -> SpanView | RejectedSpan:
    """The span opened for reading, or why it cannot be."""
    try:
        message = wire.Span.FromString(span.raw)
        attributes = Pairs(list(message.attributes))
        resource, scope_name = _opened(span.origin)
    except DecodeError:
        return RejectedSpan("a span is not a readable protobuf message: truncated, or with text that is not UTF-8")
    trace_id, span_id, parent_id = message.trace_id, message.span_id, message.parent_span_id
    # https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext
    if len(trace_id) != TRACE_ID_BYTES or trace_id == _NO_TRACE:
        return RejectedSpan(f"a span's trace id must be {TRACE_ID_BYTES} bytes and not all zero")
    if len(span_id) != SPAN_ID_BYTES or span_id == _NO_SPAN:
        return RejectedSpan(f"a span's id must be {SPAN_ID_BYTES} bytes and not all zero")
    if parent_id and len(parent_id) != SPAN_ID_BYTES:
        return RejectedSpan(f"a span's parent id must be {SPAN_ID_BYTES} bytes or empty")
    return SpanView(
        trace_id,
        span_id,
        parent_id,
        message.name,
        message.start_time_unix_nano,
        message.end_time_unix_nano,
        _STATUS.get(message.status.code, "unset"),
        attributes,
        resource,
        scope_name,
        Events(message),
        message.status.message,
    )


def _cut(raw: bytes) -> bytes:
    """A span with every text and every bytes of it that is too large cut short, its size and hash behind it."""
    if len(raw) <= VALUE_BYTES:
        return raw
    try:
        message = Span.FromString(raw)
    except DecodeError:
        return raw  # which `view` will say
    pairs = [*message.attributes, *(pair for event in message.events for pair in event.attributes)]
    for value in (pair.value for pair in pairs):
        _cut_value(value)
    return message.SerializeToString()


def _cut_value(value: AnyValue) -> None:
    for item in value.array_value.values:
        _cut_value(item)
    for pair in value.kvlist_value.values:
        _cut_value(pair.value)
    content = value.bytes_value or value.string_value.encode()
    if len(content) > VALUE_BYTES:
        digest = hashlib.sha256(content).hexdigest()
        note = f"... cut: {len(content)} bytes, sha256 {digest}"
        value.string_value = content[:VALUE_BYTES].decode("utf-8", "ignore") + note


def canonical(raw: bytes) -> bytes:
    """One encoding for all encodings of a span: fields in order, attributes sorted by key."""
    try:
        encoded: bytes = wire.SortedSpan.FromString(raw).SerializeToString(deterministic=True)
    except DecodeError:  # text in it that is not UTF-8
        return raw
    return encoded


@lru_cache(maxsize=256)
def _opened(origin: Origin) -> tuple[Resource, str]:
    """The resource and the scope's name."""
    resource = wire.Resource.FromString(origin.resource)
    attributes = {key: value_of(value) for key, value in resource.attributes.items()}
    return Resource(attributes), wire.Scope.FromString(origin.scope).name


class Events:
    """Events as they came, opened when they are asked for."""

    __slots__ = ("_span",)

    def __init__(self, span: Any) -> None:
        self._span = span

    def __len__(self) -> int:
        return len(self._span.events)

    def __iter__(self) -> Iterator[tuple[str, dict[str, Value]]]:
        """The name of each, and its attributes; one that cannot be read is left out."""
        for raw in self._span.events:
            try:
                event = Span.Event.FromString(raw)
            except DecodeError:
                continue
            yield event.name, {pair.key: value_of(pair.value) for pair in event.attributes}
