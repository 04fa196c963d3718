"""The shapes that the API answers with, made from the model."""

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from agentmark_server.model import (
    PICO,
    RUNNING_AT_MOST,
    Labels,
    Page,
    ResourceType,
    Score,
    Session,
    SessionStatus,
    SpanStatus,
    Totals,
    Trace,
)
from agentmark_server.times import NS_IN_MS, rfc3339

Item = TypeVar("Item")


def dollars(totals: Totals) -> float | None:
    """The cost in USD; None while nothing has a price."""
    return totals.cost / PICO if totals.priced_calls else None


class _Summary(BaseModel):
    """What sessions and traces have in common."""

    user_id: str | None = Field(description="Of the earliest span that has one.")
    start: str | None = Field(description="RFC 3339, UTC.", examples=["2026-11-23T09:30:00.000000000Z"])
    end: str | None = Field(description="RFC 3339, UTC.")
    duration_ms: float | None = Field(description="From start to end, by the wall clock.")
    latency_ms: float | None
    span_count: int
    call_count: int = Field(description="Requests to models.")
    error_count: int = Field(description="Spans that failed with no failed span below them.")
    input_tokens: int
    output_tokens: int
    cached_tokens: int = Field(description="Of the input tokens, those read from a cache.")
    reasoning_tokens: int = Field(description="Of the output tokens, those spent on reasoning.")
    total_tokens: int = Field(description="Input and output tokens.")
    total_cost: float | None = Field(description="In USD; null while nothing has a price.")
    unpriced_calls: int = Field(description="Calls with tokens, whose price is not known.")
    unmetered_calls: int = Field(description="Calls that state no tokens.")
    unaccounted_tokens: int = Field(description="What roll-ups state beyond the calls below them: never added.")
    models: list[str]
    agents: list[str]
    services: list[str]
    environments: list[str]
    releases: list[str]
    tags: list[str]
    metadata: dict[str, str]
    input_preview: str | None = Field(description="The first user message, cut.")
    output_preview: str | None = Field(description="The last answer, cut.")


def _summary(totals: Totals, labels: Labels) -> dict[str, object]:
    timed = totals.timed_trace_count
    known = labels.start is not None and labels.end is not None
    return {
        "user_id": labels.user[-1] if labels.user else None,
        "start": rfc3339(labels.start),
        "end": rfc3339(labels.end),
        "duration_ms": max(0, (labels.end or 0) - (labels.start or 0)) / NS_IN_MS if known else None,
        "latency_ms": totals.duration // timed / NS_IN_MS if timed else None,
        "span_count": totals.span_count,
        "call_count": totals.call_count,
        "error_count": totals.error_count,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cached_tokens": totals.cached_tokens,
        "reasoning_tokens": totals.reasoning_tokens,
        "total_tokens": totals.input_tokens + totals.output_tokens,
        "total_cost": dollars(totals),
        "unpriced_calls": totals.unpriced_calls,
        "unmetered_calls": totals.unmetered_calls,
        "unaccounted_tokens": totals.unaccounted_tokens,
        "models": sorted(labels.models),
        "agents": sorted(labels.agents),
        "services": sorted(labels.services),
        "environments": sorted(labels.environments),
        "releases": sorted(labels.releases),
        "tags": sorted(labels.tags),
        "metadata": {key: said[-1] for key, said in sorted(labels.metadata.items())},
        "input_preview": labels.input[-1] if labels.input else None,
        "output_preview": labels.output[-1] if labels.output else None,
    }


class SessionSchema(_Summary):
    """A session: the traces of one conversation, job or workflow."""

    id: str
    name: str | None = Field(description="The name last set; null where none was.")
    user_ids: list[str]
    trace_count: int
    failed_trace_count: int = Field(description="Traces whose root failed.")
    status: SessionStatus = Field(
        description="`active` while a span runs or the last has just ended; `ended` where the program said so."
    )
    outcome: str | None = Field(description="What became of it, where the program said that it ended.")
    active_ms: float | None = Field(description="The time in which a call, a tool or a retrieval was under way.")

    @classmethod
    def of(cls, session: Session, *, now: int, idle: int) -> Self:
        """The shape of a session at the time `now`, with `idle` as the time to fall idle; both in ns."""
        labels = session.labels
        return cls.model_validate(
            {
                "id": session.id,
                "name": labels.name[-1] if labels.name else None,
                "user_ids": sorted(labels.users),
                "trace_count": session.totals.trace_count,
                "failed_trace_count": session.totals.failed_trace_count,
                "status": _status(labels, now, idle),
                "outcome": labels.outcome[-1] if labels.outcome else None,
                "active_ms": None if session.active is None else session.active / NS_IN_MS,
                **_summary(session.totals, labels),
            }
        )


def _status(labels: Labels, now: int, idle: int) -> SessionStatus:
    running = labels.running_since is not None and abs(now - labels.running_since) < RUNNING_AT_MOST
    recent = labels.end is not None and now - labels.end < idle
    return "active" if running or recent else "idle" if labels.outcome is None else "ended"


class TraceSchema(_Summary):
    """A trace; in a session, what of it the session owns."""

    id: str = Field(description="In hex.", examples=["5b8efff798038103d269b633813fc60c"])
    name: str
    status: SpanStatus = Field(description="Of its root.")
    session_ids: list[str] = Field(description="All sessions that own a span of it.")
    also_in: list[str] = Field(description="Session ids on its spans that lost to the one that owns them.")

    @classmethod
    def of(cls, trace: Trace) -> Self:
        """The shape of a trace."""
        return cls.model_validate(
            {
                "id": trace.id.hex(),
                "name": trace.name,
                "status": trace.status,
                "session_ids": list(trace.session_ids),
                "also_in": sorted(trace.labels.other_keys),
                **_summary(trace.totals, trace.labels),
            }
        )


class ScoreSchema(BaseModel):
    """What somebody or something thinks of a session, a trace or a span."""

    id: str
    resource_type: ResourceType
    resource_id: str = Field(description="Of traces and spans in hex.")
    trace_id: str | None = Field(description="Of a trace its own, of a span that of its trace, in hex.")
    name: str
    score: float
    label: str | None
    reason: str | None
    source: str
    created_at: str = Field(description="When the server got it first: RFC 3339, UTC.")

    @classmethod
    def of(cls, score: Score) -> Self:
        """The shape of a score."""
        return cls(
            id=score.id,
            resource_type=score.resource_type,
            resource_id=score.resource_id,
            trace_id=score.trace_id,
            name=score.name,
            score=score.score,
            label=score.label,
            reason=score.reason,
            source=score.source,
            created_at=rfc3339(score.created_at) or "",
        )


class SessionWithTraces(SessionSchema):
    """A session and its traces, in order of their start."""

    traces: list[TraceSchema]
    scores: list[ScoreSchema] = Field(description="Of the session itself, the latest 100.")


class Pagination(BaseModel):
    """Which part of a list this is, and the cursor that continues it (null at the end)."""

    total: int
    limit: int
    offset: int
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[Item], limit: int, offset: int) -> Self:
        """What a page says of itself."""
        return cls(total=page.total, limit=limit, offset=offset, next_cursor=page.next_cursor)


class SessionPagination(Pagination):
    """The same of a list of sessions."""

    index_lag_ms: float | None = Field(
        description="How long the oldest of the spans that `q` cannot find yet have waited; null: it finds all."
    )

    @classmethod
    def lagging(cls, page: Page[Item], limit: int, offset: int, lag: int | None) -> Self:
        """What a page says of itself, when the index of words is so many nanoseconds behind."""
        lag_ms = None if lag is None else lag / NS_IN_MS
        return cls(**Pagination.of(page, limit, offset).model_dump(), index_lag_ms=lag_ms)


class ListReply(BaseModel, Generic[Item]):
    """A part of a list."""

    data: list[Item]
    pagination: Pagination


class SessionsReply(BaseModel):
    """A part of the list of sessions."""

    data: list[SessionSchema]
    pagination: SessionPagination


class SessionReply(BaseModel):
    """One session, with a part of its traces."""

    data: SessionWithTraces
    pagination: Pagination


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"]
    version: str


class SessionEdit(BaseModel):
    """What people say of a session; what is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Refund of order 42", "tags": ["reviewed"]}}
    )

    name: str | None = Field(
        None, max_length=1000, description="Wins over what spans say; null or empty leaves it to them again."
    )
    tags: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(
        None,
        max_length=100,
        description="In place of all tags given here before; those that spans state stay. Null or empty: none.",
    )


class SessionEdited(BaseModel):
    """The session as it is now."""

    data: SessionSchema


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    deleted_spans: int = Field(description="How many spans went with it.")


class DeletedReply(BaseModel):
    """It is gone."""

    data: Deleted
