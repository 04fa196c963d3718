"""A session as JSON: whole, or a span a line."""

from collections.abc import Iterator

from agentmark_server.api.export.spans import encoded, exported
from agentmark_server.api.schemas import SessionSchema, TraceSchema
from agentmark_server.store import OwnedSpans


def whole(session: SessionSchema, traces: Iterator[OwnedSpans]) -> Iterator[bytes]:
    """`{"data": {..., "traces": [{..., "spans": [...]}]}}`."""
    yield b'{"data":' + _open(session) + b',"traces":['
    for number, owned in enumerate(traces):
        yield (b"," if number else b"") + _open(TraceSchema.of(owned.trace)) + b',"spans":['
        for place, received in enumerate(owned.spans):
            yield (b"," if place else b"") + encoded(exported(received, session.id))
        yield b"]}"
    yield b"]}}\n"


def _open(shape: SessionSchema | TraceSchema) -> bytes:
    """An object without its end, so that more can follow."""
    return shape.model_dump_json().encode().removesuffix(b"}")


def lines(session: SessionSchema, traces: Iterator[OwnedSpans]) -> Iterator[bytes]:
    """Every span as an object on a line of its own."""
    for owned in traces:
        for received in owned.spans:
            yield encoded(exported(received, session.id)) + b"\n"
