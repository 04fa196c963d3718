"""`/v1/traces`: list them, open one with its spans; and the traces of a session."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import SessionId, SliceParameters
from agentmark_server.api.reading import RangeParameters, TraceId, TreeParameters, trace_id_of
from agentmark_server.api.schemas import ListReply, Pagination, TraceSchema
from agentmark_server.api.span_shapes import TraceReply, json_reply, span_shape
from agentmark_server.model import SpanStatus
from agentmark_server.settings import LOCAL_APP
from agentmark_server.spans import TraceOrder, TraceQuery
from agentmark_server.store import Store


class TraceParameters(RangeParameters):
    """Which traces, in which order, and which part of their list."""

    session_id: list[str] = Field([], description="A session that owns a span of it.", examples=[["chat-1"]])
    user_id: list[str] = Field([], description="One of its users.", examples=[["ann"]])
    user_id_camel: list[str] = Field([], alias="userId", description="The same as `user_id`.", examples=[["ann"]])
    name: list[str] = Field([], description="A part of the name, in any case.", examples=[["answer"]])
    status: list[SpanStatus] = Field(
        [], description="`ok`, `error` or `unset`, as its root says.", examples=[["error"]]
    )
    model: list[str] = Field([], description="A model that was called.", examples=[["gpt-4o"]])
    sort_by: TraceOrder = Field(
        TraceOrder.START, description="What to sort by: ties by id, unknown values last.", examples=["start"]
    )

    @property
    def query(self) -> TraceQuery:
        """As the store takes it."""
        return TraceQuery(
            session_ids=tuple(self.session_id),
            user_ids=(*self.user_id, *self.user_id_camel),
            names=tuple(self.name),
            statuses=tuple(self.status),
            models=tuple(self.model),
            since=self.since,
            until=self.until,
            order=self.sort_by,
            ascending=self.sort_order == "asc",
        )


def router(store: Store) -> APIRouter:
    """The routes of traces."""
    routes = APIRouter(prefix="/v1", tags=["Traces"], responses=RESPONSES)

    @routes.get("/traces", summary="List traces")
    def list_traces(parameters: Annotated[TraceParameters, Query()]) -> ListReply[TraceSchema]:
        """Whole traces that fit, also those in no session. A repeated parameter means any of its values."""
        page = store.list_traces(LOCAL_APP, parameters.query, parameters.slice)
        traces = [TraceSchema.of(trace) for trace in page.items]
        return ListReply(data=traces, pagination=Pagination.of(page, parameters.limit, parameters.offset))

    @routes.get("/traces/{trace_id}", summary="Open a trace", responses=NOT_FOUND, response_model=TraceReply)
    def get_trace(trace_id: TraceId, parameters: Annotated[TreeParameters, Query()]) -> Response:
        """One whole trace, whatever sessions own it, with its spans; the parameters are about the spans.

        The spans are a tree written down from top to bottom: each comes before those below it, which have a
        `depth` of one more, and those of one parent come in order of their start. So a waterfall draws them line
        by line, and a part of them is still a list. A span whose parent has not come stands at the top, behind
        the root.
        """
        id_, part = trace_id_of(trace_id), parameters.slice
        trace = store.get_trace(LOCAL_APP, id_)
        if trace is None:
            msg = f"there is no trace {trace_id!r}"
            raise NotFoundError(msg)
        page = store.list_trace_spans(LOCAL_APP, id_, part, contents=bool(parameters.include))
        data = TraceSchema.of(trace).model_dump() | {"spans": [span_shape(span) for span in page.items]}
        pagination = Pagination.of(page, part.limit, part.offset)
        return json_reply({"data": data, "pagination": pagination.model_dump()})

    @routes.get("/sessions/{session_id}/traces", summary="List a session's traces", responses=NOT_FOUND)
    def list_session_traces(
        session_id: SessionId, parameters: Annotated[SliceParameters, Query()]
    ) -> ListReply[TraceSchema]:
        """The traces of a session in order of their start, each with what of it the session owns."""
        page = store.list_session_traces(LOCAL_APP, session_id, parameters.slice)
        if page.total == 0:  # a session has at least one
            msg = f"there is no session {session_id!r:.600}"
            raise NotFoundError(msg)
        traces = [TraceSchema.of(trace) for trace in page.items]
        return ListReply(data=traces, pagination=Pagination.of(page, parameters.limit, parameters.offset))

    return routes
