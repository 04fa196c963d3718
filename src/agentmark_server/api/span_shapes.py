"""The shapes of spans. Traces are large: their spans go from the model to JSON at once, and are described here."""

from typing import Any, Literal

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from agentmark_server.api.schemas import Pagination, TraceSchema
from agentmark_server.api.span_content import content_of
from agentmark_server.conventions.messages import Speaker
from agentmark_server.model import EARLIEST, LATEST, PICO, Kind, SpanStatus
from agentmark_server.spans import ListedSpan
from agentmark_server.times import rfc3339

_NS_IN_MS = 10**6


class SpanSchema(BaseModel):
    """A span."""

    id: str = Field(description="In hex; in its trace no other has it.", examples=["051581bf3cb55c13"])
    trace_id: str = Field(description="In hex.", examples=["5b8efff798038103d269b633813fc60c"])
    parent_id: str | None = Field(description="In hex; the parent may not have come.")
    name: str
    kind: Kind
    role: Literal["call", "roll-up", "unknown"] = Field(
        description="What its usage is of: one request to a model, a repeat of what lies below, or unclear."
    )
    counted: bool = Field(description="Whether its usage is in that of its trace and its session.")
    status: SpanStatus
    status_message: str | None = Field(
        description="What the program says of the status, at most 1,000 characters."
    )
    start: str | None = Field(
        description="RFC 3339, UTC; null where the clock was broken.", examples=["2026-11-23T09:30:00.000000000Z"]
    )
    end: str | None = Field(description="RFC 3339, UTC; null while it runs.")
    duration_ms: float | None
    latency_ms: float | None = Field(description="The same as `duration_ms`.")
    session_id: str | None = Field(description="The session that owns it.")
    user_id: str | None
    model: str | None
    provider: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None = Field(description="Of the input tokens, those read from a cache.")
    reasoning_tokens: int | None = Field(description="Of the output tokens, those spent on reasoning.")
    total_tokens: int | None = Field(description="Input and output tokens.")
    cost: float | None = Field(description="In USD; null where it has no price.")
    service_name: str | None
    scope_name: str | None = Field(description="The instrumentation that wrote it.")
    prompt_name: str | None
    metadata: dict[str, str]


class TreeSpanSchema(SpanSchema):
    """A span in its trace's tree."""

    depth: int = Field(description="0 at the top. Those below a span come behind it, with a depth of one more.")


class MessageSchema(BaseModel):
    """A message, whatever convention wrote it."""

    role: Speaker
    parts: list[dict[str, Any]] = Field(
        description="By `type`: text, reasoning, tool_call, tool_result, image, other.",
        examples=[[{"type": "text", "content": "Where is my order?"}]],
    )


class MessagesSchema(BaseModel):
    """What a model, an agent or a tool was given, and what it answered."""

    input: list[MessageSchema]
    output: list[MessageSchema]


class EventSchema(BaseModel):
    """An event of a span, or a log record that belongs to it."""

    name: str
    time: str | None = Field(description="RFC 3339, UTC.")
    attributes: dict[str, Any]


class LinkSchema(BaseModel):
    """A link to another span."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, Any]


class ContentSchema(BaseModel):
    """What a span holds."""

    input: str | None = Field(description="What it was asked: the newest message of a user, else the last of all.")
    output: str | None = Field(description="What it answered: the last message.")
    messages: MessagesSchema
    attributes: dict[str, Any] = Field(
        description="As they came; bytes in base64, NaN and Infinity as text, as in OTLP's JSON."
    )
    events: list[EventSchema]
    links: list[LinkSchema]


class SpanWithContentSchema(SpanSchema, ContentSchema):
    """A span with what it holds."""


class TreeSpanWithContentSchema(TreeSpanSchema, ContentSchema):
    """A span in its trace's tree, with what it holds."""


class TraceWithSpansSchema(TraceSchema):
    """A whole trace with its spans as a tree, written down from top to bottom."""

    spans: list[TreeSpanWithContentSchema | TreeSpanSchema]


class TraceReply(BaseModel):
    """One whole trace, with a part of its spans."""

    data: TraceWithSpansSchema
    pagination: Pagination


class SpanReply(BaseModel):
    """One span, with what it holds."""

    data: SpanWithContentSchema


def json_reply(body: dict[str, Any]) -> Response:
    """A body as JSON, without checking anew what was made here: for ten thousand spans that takes long."""
    return Response(msgspec.json.encode(body), media_type="application/json")


def span_shape(listed: ListedSpan) -> dict[str, Any]:
    """A span as its schema describes it, with its depth where it is in a tree, and its content where it has it."""
    depth = {} if listed.depth is None else {"depth": listed.depth}
    content = {} if listed.content is None else content_of(listed.content)
    return _fields(listed) | depth | content


def _fields(listed: ListedSpan) -> dict[str, Any]:
    span, usage, context = listed.span, listed.span.usage, listed.span.context
    start, end = _known(span.start), _known(span.end)
    lasted = max(0, end - start) / _NS_IN_MS if start is not None and end is not None else None
    stated = usage.input_tokens is not None or usage.output_tokens is not None
    return {
        "id": span.span_id.hex(),
        "trace_id": span.trace_id.hex(),
        "parent_id": span.parent_id.hex() or None,
        "name": span.name,
        "kind": span.kind,
        "role": span.role,
        "counted": listed.counted,
        "status": span.status,
        "status_message": span.status_message,
        "start": rfc3339(start),
        "end": rfc3339(end),
        "duration_ms": lasted,
        "latency_ms": lasted,
        "session_id": listed.session_id,
        "user_id": context.user_id,
        "model": span.model,
        "provider": span.provider,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0) if stated else None,
        "cost": None if usage.cost is None else usage.cost / PICO,
        "service_name": context.service,
        "scope_name": context.scope or None,
        "prompt_name": span.prompt_name,
        "metadata": dict(context.metadata),
    }


def _known(time: int) -> int | None:
    """A time, unless a clock that was broken told it."""
    return time if EARLIEST <= time < LATEST else None
