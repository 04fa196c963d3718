"""Log records that belong to spans: those that carry what a model was asked and answered, and Claude Code's.

A record that belongs to a span becomes a child of it, marked by `LOG_EVENT`, which is no span of its own: its
content is joined to the span's (grouping.py). Claude Code writes no spans but a record for each request, prompt
and tool; each becomes a span, those of one prompt a trace. All other records are dropped.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/
https://docs.claude.com/en/docs/claude-code/monitoring-usage#events
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from agentmark_server import otlp
from agentmark_server.attributes import value_of
from agentmark_server.model import LOG_EVENT

_OF_SPANS: Final = frozenset(
    (
        "gen_ai.client.inference.operation.details",
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
    )
)
_CLAUDE_CODE: Final = "claude_code."
_NS_IN_MS: Final = 10**6

_RENAMED: Final = {
    "model": "gen_ai.response.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "cost_usd": "gen_ai.usage.cost",
    "prompt": "agentmark.input",
    "tool_name": "gen_ai.tool.name",
    "tool_parameters": "gen_ai.tool.call.arguments",
}
_OPERATIONS: Final = {
    "api_request": "chat",
    "api_error": "chat",
    "tool_result": "execute_tool",
    "user_prompt": "invoke_agent",
}


def as_spans(records: Iterator[otlp.RawSpan | otlp.RejectedSpan]) -> Iterator[otlp.RawSpan | otlp.RejectedSpan]:
    """Log records to the spans that they stand for; those that stand for none are left out."""
    for record in records:
        if isinstance(record, otlp.RejectedSpan):
            yield record
            continue
        try:
            span = _as_span(LogRecord.FromString(record.raw), record.raw)
        except DecodeError:
            yield otlp.RejectedSpan("a log record is not a readable protobuf message")
            continue
        if span is not None:
            yield otlp.RawSpan(record.origin, span.SerializeToString())


def _as_span(record: LogRecord, raw: bytes) -> Span | None:
    name = record.event_name or _text(record, "event.name") or ""
    if name in _OF_SPANS and record.trace_id and record.span_id:
        return _supplement(record, name, raw)
    event = name.removeprefix(_CLAUDE_CODE)
    written_by_claude_code = name.startswith(_CLAUDE_CODE) or record.body.string_value.startswith(_CLAUDE_CODE)
    if written_by_claude_code and event in _OPERATIONS and _text(record, "session.id"):
        return _span_of_claude_code(record, event, raw)
    return None


def _supplement(record: LogRecord, name: str, raw: bytes) -> Span:
    """A child of the span that a record belongs to, for its content to be joined there."""
    time = record.time_unix_nano or record.observed_time_unix_nano
    span = Span(
        trace_id=record.trace_id,
        span_id=_digest(raw, otlp.SPAN_ID_BYTES),
        parent_span_id=record.span_id,
        name=name,
        start_time_unix_nano=time,
        end_time_unix_nano=time,
        attributes=record.attributes,
    )
    span.attributes.append(_pair(LOG_EVENT, name))
    if record.body.kvlist_value.values:
        event = span.events.add(name=name, time_unix_nano=time)
        event.attributes.extend(record.attributes)
        event.attributes.extend(record.body.kvlist_value.values)
    return span


def _span_of_claude_code(record: LogRecord, event: str, raw: bytes) -> Span:
    end = record.time_unix_nano or record.observed_time_unix_nano
    conversation = f"{_text(record, 'session.id')}/{_text(record, 'prompt.id')}".encode()
    failed = event == "api_error" or _text(record, "success") == "false"
    span = Span(
        trace_id=record.trace_id or _digest(conversation, otlp.TRACE_ID_BYTES),
        span_id=_digest(raw, otlp.SPAN_ID_BYTES),
        parent_span_id=record.span_id,
        name=_CLAUDE_CODE + event,
        start_time_unix_nano=max(0, end - _duration(record)),
        end_time_unix_nano=end,
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
        attributes=record.attributes,
    )
    span.attributes.append(_pair("gen_ai.operation.name", _OPERATIONS[event]))
    span.attributes.append(_pair("gen_ai.provider.name", "anthropic"))
    for pair in record.attributes:
        if pair.key in _RENAMED:
            span.attributes.append(KeyValue(key=_RENAMED[pair.key], value=pair.value))
    _include_cache(span)
    return span


def _include_cache(span: Span) -> None:
    """Anthropic counts cached tokens beside the input, everybody else as a part of it."""
    counts = {pair.key: _number(pair.value) for pair in span.attributes if pair.key.startswith("gen_ai.usage.")}
    cached = counts.get("gen_ai.usage.cache_read.input_tokens", 0)
    written = counts.get("gen_ai.usage.cache_creation.input_tokens", 0)
    for pair in span.attributes:
        if pair.key == "gen_ai.usage.input_tokens":
            pair.value.CopyFrom(AnyValue(int_value=_number(pair.value) + cached + written))


def _number(value: AnyValue) -> int:
    """A count, which Claude Code writes as a number or as text; 0 for what is none."""
    given = value_of(value)
    try:
        return min(max(0, int(given)), 2**53) if isinstance(given, str | int | float) else 0
    except (ValueError, OverflowError):
        return 0


def _duration(record: LogRecord) -> int:
    found = (_number(pair.value) for pair in record.attributes if pair.key == "duration_ms")
    return next(found, 0) * _NS_IN_MS


def _text(record: LogRecord, key: str) -> str | None:
    found = (value_of(pair.value) for pair in record.attributes if pair.key == key)
    value = next(found, None)
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _pair(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))


def _digest(content: bytes, size: int) -> bytes:
    """An id that is the same for the same record, so that one sent twice is one."""
    return blake2b(content, digest_size=size).digest()


def records_of_protobuf(body: bytes) -> Iterator[otlp.RawSpan | otlp.RejectedSpan]:
    """The spans that an `ExportLogsServiceRequest` in protobuf tells of; on the wire it is as one of spans."""
    return as_spans(otlp.spans_of_protobuf(body))


def records_of_json(body: bytes) -> Iterator[otlp.RawSpan | otlp.RejectedSpan]:
    """The spans that an `ExportLogsServiceRequest` in JSON tells of."""
    return as_spans(otlp.logs_of_json(body))
