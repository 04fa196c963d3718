"""A session as JSON: whole, or a span a line."""

from collections.abc import Iterator

import msgspec

from agentmark_server.api.export.source import Source
from agentmark_server.api.schemas import ScoreSchema, SessionSchema, TraceSchema


def whole(source: Source) -> Iterator[bytes]:
    """`{"data": {..., "scores": [...], "traces": [{..., "spans": [...]}]}}`."""
    scores = b",".join(ScoreSchema.of(score).model_dump_json().encode() for score in source.scores())
    yield b'{"data":' + _open(source.session) + b',"scores":[' + scores + b'],"traces":['
    for number, trace in enumerate(source.traces()):
        yield (b"," if number else b"") + _open(TraceSchema.of(trace)) + b',"spans":['
        for place, span in enumerate(source.spans(trace)):
            yield (b"," if place else b"") + msgspec.json.encode(span)
        yield b"]}"
    yield b"]}}\n"


def _open(shape: SessionSchema | TraceSchema) -> bytes:
    """An object without its end, so that more can follow."""
    return shape.model_dump_json().encode().removesuffix(b"}")


def lines(source: Source) -> Iterator[bytes]:
    """Every span as an object on a line of its own."""
    for trace in source.traces():
        for span in source.spans(trace):
            yield msgspec.json.encode(span) + b"\n"
