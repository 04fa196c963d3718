"""`/v1/spans`: list the spans of all traces; and one span of a trace, with what it holds."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import NoParameters
from agentmark_server.api.reading import (
    TRACE_EXAMPLE,
    ContentParameters,
    RangeParameters,
    SpanId,
    TraceId,
    TraceIdValue,
    span_id_of,
    trace_id_of,
)
from agentmark_server.api.schemas import ListReply, Pagination
from agentmark_server.api.span_shapes import (
    SpanReply,
    SpanSchema,
    SpanWithContentSchema,
    json_reply,
    span_shape,
)
from agentmark_server.model import Kind, SpanStatus
from agentmark_server.settings import LOCAL_APP
from agentmark_server.spans import SpanOrder, SpanQuery
from agentmark_server.store import Store


class SpanParameters(ContentParameters, RangeParameters):
    """Which spans, in which order, and which part of their list."""

    trace_id: list[TraceIdValue] = Field([], description="Its trace, in hex.", examples=[[TRACE_EXAMPLE]])
    session_id: list[str] = Field([], description="The session that owns it.", examples=[["chat-1"]])
    user_id: list[str] = Field([], description="Its user.", examples=[["ann"]])
    user_id_camel: list[str] = Field([], alias="userId", description="The same as `user_id`.", examples=[["ann"]])
    name: list[str] = Field([], description="A part of the name, in any case.", examples=[["answer"]])
    kind: list[Kind] = Field([], description="What it does.", examples=[["llm"]])
    status: list[SpanStatus] = Field([], description="`ok`, `error` or `unset`.", examples=[["error"]])
    model: list[str] = Field([], description="The model that was called.", examples=[["gpt-4o"]])
    sort_by: SpanOrder = Field(
        SpanOrder.START,
        description="What to sort by: ties by trace id and id, unknown values last.",
        examples=["start"],
    )

    @property
    def query(self) -> SpanQuery:
        """As the store takes it."""
        return SpanQuery(
            trace_ids=tuple(bytes.fromhex(one) for one in self.trace_id),
            session_ids=tuple(self.session_id),
            user_ids=(*self.user_id, *self.user_id_camel),
            names=tuple(self.name),
            kinds=tuple(self.kind),
            statuses=tuple(self.status),
            models=tuple(self.model),
            since=self.since,
            until=self.until,
            order=self.sort_by,
            ascending=self.sort_order == "asc",
        )


def router(store: Store) -> APIRouter:
    """The routes of spans."""
    routes = APIRouter(prefix="/v1", tags=["Spans"], responses=RESPONSES)

    @routes.get("/spans", summary="List spans", response_model=ListReply[SpanWithContentSchema | SpanSchema])
    def list_spans(parameters: Annotated[SpanParameters, Query()]) -> Response:
        """Spans of all traces that fit, the newest first. A repeated parameter means any of its values."""
        part = parameters.slice
        page = store.list_spans(LOCAL_APP, parameters.query, part, contents=bool(parameters.include))
        pagination = Pagination.of(page, part.limit, part.offset)
        data = [span_shape(span) for span in page.items]
        return json_reply({"data": data, "pagination": pagination.model_dump()})

    @routes.get(
        "/traces/{trace_id}/spans/{span_id}", summary="Open a span", responses=NOT_FOUND, response_model=SpanReply
    )
    def get_span(trace_id: TraceId, span_id: SpanId, _: Annotated[NoParameters, Query()]) -> Response:
        """One span with what it holds. It is asked for in its trace: in another trace its id may be another's."""
        span = store.get_span(LOCAL_APP, trace_id_of(trace_id), span_id_of(span_id))
        if span is None:
            msg = f"there is no span {span_id!r} in a trace {trace_id!r}"
            raise NotFoundError(msg)
        return json_reply({"data": span_shape(span)})

    return routes
