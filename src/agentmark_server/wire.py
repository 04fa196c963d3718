"""OTLP's protobuf messages, declared as this server wants to read them.

The bytes on the wire are those of `opentelemetry/proto/trace/v1/trace.proto`. Two declarations differ, which
protobuf's encoding allows (https://protobuf.dev/programming-guides/proto3/#backwards and #updating):

- messages inside lists (spans, attributes, events, links) and resource and scope are `bytes`: each span is kept
  as it came, one that cannot be read does not cost the others, and attributes that nobody asks for are never read;
- `SortedSpan` has its attributes as a `map<string, AnyValue>`, which can be written in the order of its keys.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_PACKAGE: Final = "agentmark.wire"
_Field = descriptor_pb2.FieldDescriptorProto

_BYTES: Final = _Field.TYPE_BYTES
_STRING: Final = _Field.TYPE_STRING
_FIXED64: Final = _Field.TYPE_FIXED64
_UINT32: Final = _Field.TYPE_UINT32

_Type = int | str
"""A scalar's type, or the name of a message."""


def _field(number: int, name: str, kind: _Type, *, repeated: bool = False) -> descriptor_pb2.FieldDescriptorProto:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = _Field(name=name, number=number, label=label)
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, kind
    else:
        field.type = kind  # type: ignore[assignment]  # the stubs want an enum where plain numbers are used
    return field


def _message(name: str, *fields: descriptor_pb2.FieldDescriptorProto) -> descriptor_pb2.DescriptorProto:
    return descriptor_pb2.DescriptorProto(name=name, field=fields)


def _with_attributes(number: int, message: descriptor_pb2.DescriptorProto) -> descriptor_pb2.DescriptorProto:
    """Add `map<string, AnyValue> attributes`: on the wire, the list of `KeyValue` that OTLP declares."""
    entry = _message(
        "AttributesEntry",
        _field(1, "key", _STRING),
        _field(2, "value", "." + common_pb2.AnyValue.DESCRIPTOR.full_name),
    )
    entry.options.map_entry = True
    message.nested_type.append(entry)
    entry_type = f".{_PACKAGE}.{message.name}.AttributesEntry"
    message.field.append(_field(number, "attributes", entry_type, repeated=True))
    return message


def _declare() -> descriptor_pb2.FileDescriptorProto:
    request = _message("Request", _field(1, "resource_spans", f".{_PACKAGE}.ResourceSpans", repeated=True))
    resource_spans = _message(
        "ResourceSpans",
        _field(1, "resource", _BYTES),
        _field(2, "scope_spans", f".{_PACKAGE}.ScopeSpans", repeated=True),
        _field(3, "schema_url", _STRING),
    )
    scope_spans = _message(
        "ScopeSpans",
        _field(1, "scope", _BYTES),
        _field(2, "spans", _BYTES, repeated=True),
        _field(3, "schema_url", _STRING),
    )
    span_fields = (
        _field(1, "trace_id", _BYTES),
        _field(2, "span_id", _BYTES),
        _field(3, "trace_state", _STRING),
        _field(4, "parent_span_id", _BYTES),
        _field(5, "name", _STRING),
        _field(6, "kind", _Field.TYPE_INT32),
        _field(7, "start_time_unix_nano", _FIXED64),
        _field(8, "end_time_unix_nano", _FIXED64),
        _field(10, "dropped_attributes_count", _UINT32),
        _field(11, "events", _BYTES, repeated=True),
        _field(12, "dropped_events_count", _UINT32),
        _field(13, "links", _BYTES, repeated=True),
        _field(14, "dropped_links_count", _UINT32),
        _field(15, "status", "." + trace_pb2.Status.DESCRIPTOR.full_name),
        _field(16, "flags", _Field.TYPE_FIXED32),
    )
    span = _message("Span", *span_fields, _field(9, "attributes", _BYTES, repeated=True))
    return descriptor_pb2.FileDescriptorProto(
        name="agentmark/wire.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[common_pb2.DESCRIPTOR.name, trace_pb2.DESCRIPTOR.name],
        message_type=[
            request,
            resource_spans,
            scope_spans,
            span,
            _with_attributes(9, _message("SortedSpan", *span_fields)),
            _with_attributes(1, _message("Resource")),
            _with_attributes(3, _message("Scope", _field(1, "name", _STRING), _field(2, "version", _STRING))),
        ],
    )


_FILE: Final = descriptor_pool.Default().AddSerializedFile(_declare().SerializeToString())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_FILE.message_types_by_name[name])


Request: Final = _class("Request")
ResourceSpans: Final = _class("ResourceSpans")
ScopeSpans: Final = _class("ScopeSpans")
Span: Final = _class("Span")
SortedSpan: Final = _class("SortedSpan")
Resource: Final = _class("Resource")
Scope: Final = _class("Scope")
