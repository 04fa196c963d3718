"""Traces and spans as they are asked for and as they are answered."""

from enum import StrEnum

import msgspec

from agentmark_server.model import Kind, Span, SpanStatus


class TraceOrder(StrEnum):
    """What a list of traces can be sorted by."""

    START = "start"
    END = "end"
    DURATION = "duration_ms"
    COST = "total_cost"
    TOKENS = "total_tokens"
    SPANS = "span_count"
    ERRORS = "error_count"


class SpanOrder(StrEnum):
    """What a list of spans can be sorted by."""

    START = "start"
    END = "end"
    DURATION = "duration_ms"
    COST = "cost"
    TOKENS = "total_tokens"


class TraceQuery(msgspec.Struct, frozen=True):
    """Which traces are asked for, all conditions together, and in which order; ties by id, unknown values last.

    An empty tuple asks for nothing in particular; of several values any will do.
    """

    session_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Parts of the name, in any case."""
    statuses: tuple[SpanStatus, ...] = ()
    models: tuple[str, ...] = ()
    since: int | None = None
    """With `until` those that overlap a range (ns), both ends included; one without an end is where it began."""
    until: int | None = None
    order: TraceOrder = TraceOrder.START
    ascending: bool = False


class SpanQuery(msgspec.Struct, frozen=True):
    """Which spans are asked for, as `TraceQuery` says it of traces; ties by trace id and span id."""

    trace_ids: tuple[bytes, ...] = ()
    session_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    statuses: tuple[SpanStatus, ...] = ()
    models: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    order: SpanOrder = SpanOrder.START
    ascending: bool = False


class RawContent(msgspec.Struct, frozen=True):
    """What a span holds, as it came: OTLP `Span` messages."""

    raw: bytes
    records: tuple[bytes, ...] = ()
    """Log records that belong to it, in order of time."""


class ListedSpan(msgspec.Struct, frozen=True):
    """A span with what is derived for it, and what log records say more of it."""

    span: Span
    session_id: str | None
    """The session that owns it."""
    counted: bool
    """Whether its usage counts."""
    depth: int | None = None
    """In its trace's tree, 0 at the top; None outside of one."""
    content: RawContent | None = None
    """Where it was asked for."""
