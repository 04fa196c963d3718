"""What a span holds, opened: attributes, events and links as they came, and the messages that they tell of."""

import base64
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from agentmark_server import wire
from agentmark_server.attributes import value_of
from agentmark_server.conventions.messages import Message, Text, ToolCall, ToolResult, messages
from agentmark_server.model import LOG_EVENT, Value
from agentmark_server.spans import RawContent
from agentmark_server.times import rfc3339

Json = dict[str, Any]
_Told = tuple[str, dict[str, Value]]
"""An event: its name, and what it says."""


def content_of(content: RawContent) -> Json:
    """The fields that a span has on request. What cannot be read, such as text that is not UTF-8, is left out."""
    span = wire.Span.FromString(content.raw)
    own = _attributes(span.attributes)
    events = list(_read(span.events, trace_pb2.Span.Event))
    records = [wire.Span.FromString(raw) for raw in content.records]
    told = [(event.name, _values(event.attributes)) for event in events]
    said = messages(own, [*told, *map(_record, records)], span_name=span.name)
    return {
        "input": _asked(said.input),
        "output": _text(said.output[-1]) if said.output else None,
        "messages": msgspec.to_builtins(said),
        "attributes": plain(own),
        "events": [*map(_event, events), *map(_event_of_record, records)],
        "links": [_link(link) for link in _read(span.links, trace_pb2.Span.Link)],
    }


def _read(raws: Iterable[bytes], message: Any) -> Iterator[Any]:
    for raw in raws:
        try:
            yield message.FromString(raw)
        except DecodeError:
            continue


def _attributes(raws: Iterable[bytes]) -> dict[str, Value]:
    return _values(_read(raws, KeyValue))


def _values(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    """Of a key that is there twice the last counts."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def _record(record: Any) -> _Told:
    """A log record as an event of its span: what its attributes and its body say."""
    said = _attributes(record.attributes)
    said.pop(LOG_EVENT, None)
    for body in _read(record.events, trace_pb2.Span.Event):
        said |= _values(body.attributes)
    return record.name, said


def _event(event: trace_pb2.Span.Event) -> Json:
    return {
        "name": event.name,
        "time": rfc3339_or_none(event.time_unix_nano),
        "attributes": plain(_values(event.attributes)),
    }


def _event_of_record(record: Any) -> Json:
    name, said = _record(record)
    return {"name": name, "time": rfc3339_or_none(record.start_time_unix_nano), "attributes": plain(said)}


def _link(link: trace_pb2.Span.Link) -> Json:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "trace_state": link.trace_state,
        "attributes": plain(_values(link.attributes)),
    }


def rfc3339_or_none(time: int) -> str | None:
    """A time, or None for 0, which says that it is not known."""
    return rfc3339(time) if time else None


_NOT_NUMBERS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def plain(value: Any) -> Any:
    """An attribute's value as JSON can hold it, as OTLP's JSON does: bytes in base64, NaN and Infinity as text."""
    match value:
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return _NOT_NUMBERS.get(value, "NaN")
        case _:
            return value


def _asked(given: list[Message]) -> str | None:
    """The newest message of a user, else the last of all."""
    users = [message for message in given if message.role == "user"]
    return _text((users or given)[-1]) if given else None


def _text(message: Message) -> str | None:
    """What a message says; one without text, what its first part holds, as JSON."""
    texts = [part.content for part in message.parts if isinstance(part, Text)]
    if texts:
        return "\n".join(texts)
    match message.parts[0]:
        case ToolCall(arguments=held) | ToolResult(content=held):
            return held if isinstance(held, str) else msgspec.json.encode(held).decode()
        case part:
            return msgspec.json.encode(part).decode()
