"""What a span says, in the API's words."""

from collections.abc import Iterable
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from agentmark_server import wire
from agentmark_server.attributes import Pairs, value_of
from agentmark_server.conventions.messages import Messages, messages
from agentmark_server.model import LATEST, PICO, Origin, ReceivedSpan, Span, Usage, Value
from agentmark_server.times import rfc3339


class Contents(msgspec.Struct, frozen=True):
    """What a span holds beside its facts: as it came, and its messages."""

    attributes: dict[str, Value]
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    status_message: str
    resource: dict[str, Value]
    messages: Messages


def contents_of(received: ReceivedSpan) -> Contents:
    """Open a span."""
    message = wire.Span.FromString(received.raw)
    pairs = Pairs(list(message.attributes))
    events = [event for raw in message.events if (event := _read(trace_pb2.Span.Event, raw))]
    links = [link for raw in message.links if (link := _read(trace_pb2.Span.Link, raw))]
    said = messages(pairs, [(event.name, _values(event.attributes)) for event in events], span_name=message.name)
    return Contents(
        {key: pairs[key] for key in pairs},
        [_event(event) for event in events],
        [_link(link) for link in links],
        message.status.message,
        _resource(received.origin),
        said,
    )


def exported(received: ReceivedSpan, session_id: str) -> dict[str, Any]:
    """A span with all that it holds."""
    span, contents = received.span, contents_of(received)
    return {
        "id": span.span_id.hex(),
        "trace_id": span.trace_id.hex(),
        "parent_id": span.parent_id.hex() or None,
        "session_id": session_id,
        "name": span.name,
        "kind": span.kind,
        "role": span.role,
        "status": span.status,
        "status_message": contents.status_message,
        "start": time_of(span.start),
        "end": time_of(span.end),
        "duration_ms": duration_ms(span),
        "latency_ms": duration_ms(span),
        "user_id": span.context.user_id,
        "provider": span.provider,
        "model": span.model,
        "agent": span.agent,
        **_usage(span.usage),
        "service_name": span.context.service,
        "scope_name": span.context.scope,
        "metadata": dict(span.context.metadata),
        "tags": list(span.context.tags),
        "messages": contents.messages,
        "attributes": contents.attributes,
        "events": contents.events,
        "links": contents.links,
        "resource": contents.resource,
    }


def encoded(value: object) -> bytes:
    """JSON; bytes in base64, a number that JSON does not have as null."""
    return msgspec.json.encode(value)


def time_of(time: int) -> str | None:
    """RFC 3339; None for an unknown time, and a broken clock's that no calendar has."""
    return rfc3339(time) if 0 < time < LATEST else None


def duration_ms(span: Span) -> float | None:
    """From start to end; None while it runs."""
    return max(0, span.end - span.start) / 10**6 if span.start and span.end else None


def _usage(usage: Usage) -> dict[str, Any]:
    stated = usage.input_tokens is not None or usage.output_tokens is not None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0) if stated else None,
        "cost": None if usage.cost is None else usage.cost / PICO,
    }


def _read(message: Any, raw: bytes) -> Any:
    """A part of a span; None where it cannot be read."""
    try:
        return message.FromString(raw)
    except DecodeError:
        return None


def _values(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def _event(event: trace_pb2.Span.Event) -> dict[str, Any]:
    return {"name": event.name, "time": time_of(event.time_unix_nano), "attributes": _values(event.attributes)}


def _link(link: trace_pb2.Span.Link) -> dict[str, Any]:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "attributes": _values(link.attributes),
    }


def _resource(origin: Origin) -> dict[str, Value]:
    resource = wire.Resource.FromString(origin.resource)
    return {key: value_of(value) for key, value in resource.attributes.items()}
