"""`/v1/sessions/{id}/conversation`: a session as people had it, in turns."""

import time
from heapq import nlargest
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from agentmark_server import otlp
from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import SessionId, SliceParameters
from agentmark_server.api.schemas import Pagination, SessionSchema
from agentmark_server.conversation import LIMIT, Before, Turn, after, continued, recorded, turns
from agentmark_server.grouping import group
from agentmark_server.intervals import Intervals
from agentmark_server.model import SpanView
from agentmark_server.settings import LOCAL_APP, Settings
from agentmark_server.store import Store, Stretch
from agentmark_server.times import NS_IN_MS, rfc3339

_GAPS: Final = 100
"""How many of a session's gaps are told: the longest."""
_REF: Final = "#/components/schemas/{name}"
_, COMPONENTS = msgspec.json.schema_components([Turn], ref_template=_REF)
"""What turns are made of, for the API's description."""


class ConversationParameters(SliceParameters):
    """Which traces of the session, and how much of each text."""

    limit: int = Field(50, ge=1, le=1000, description="How many traces at most.", examples=[50])
    content_limit: int = Field(
        LIMIT,
        ge=1,
        le=1_000_000,
        description="Characters of one text; of a longer one the beginning is given.",
        examples=[1000],
    )


class Gap(BaseModel):
    """A time in which no call, tool or retrieval of the session was under way."""

    start: str = Field(description="RFC 3339, UTC.")
    end: str
    duration_ms: float


class SessionWithTurns(SessionSchema):
    """A session as people had it. What the turns of all pages add up to is what the session counts."""

    gap_count: int = Field(description="How often nothing of it was under way since its first work.")
    gaps: list[Gap] = Field(description=f"These times in their order: the longest {_GAPS}.")
    turns: list[dict[str, Any]] = Field(
        description="The turns of a page of traces, in order.",
        json_schema_extra={"items": {"$ref": _REF.format(name="Turn")}},
    )


class ConversationReply(BaseModel):
    """A session with the turns of a part of its traces: `pagination` counts traces."""

    data: SessionWithTurns
    pagination: Pagination


def router(store: Store, settings: Settings) -> APIRouter:
    """The route of conversations."""
    routes = APIRouter(prefix="/v1/sessions", tags=["Sessions"], responses=RESPONSES)

    @routes.get(
        "/{session_id}/conversation",
        summary="Read a session in turns",
        responses=NOT_FOUND,
        response_model=ConversationReply,
    )
    def get_conversation(
        session_id: SessionId, parameters: Annotated[ConversationParameters, Query()]
    ) -> Response:
        """The session as people had it: a turn is one user message and all that answers it.

        A trace is a turn, or several. What a call sends again is told once.
        """
        stretch = store.session_stretch(LOCAL_APP, session_id, parameters.slice)
        if stretch is None:
            msg = f"there is no session {session_id!r:.600}"
            raise NotFoundError(msg)
        shape = SessionSchema.of(stretch.session, now=time.time_ns(), idle=settings.idle_seconds * 10**9)
        told = _Teller(store, session_id, parameters.content_limit).told(stretch)
        data = {**shape.model_dump(), **_gaps(stretch.busy), "turns": told}
        pagination = Pagination.of(stretch.page, parameters.limit, parameters.offset)
        body = {"data": data, "pagination": pagination.model_dump()}
        return Response(msgspec.json.encode(body), media_type="application/json")

    return routes


class _Teller:
    """Tells the traces of one session in turns."""

    def __init__(self, store: Store, session_id: str, content_limit: int) -> None:
        self._store = store
        self._session_id = session_id
        self._content_limit = content_limit

    def told(self, stretch: Stretch) -> list[Turn]:
        """The turns of a stretch of traces: the same on whatever page they stand."""
        earlier = self._turns(stretch.before) if stretch.before else []
        before = after(earlier, Before(end=stretch.end_before))
        found: list[Turn] = []
        for trace in stretch.page.items:
            its_turns = self._turns(trace.id)
            found += continued(its_turns, before)
            before = after(its_turns, before, trace.labels.end)
        return found

    def _turns(self, trace_id: bytes) -> list[Turn]:
        received = self._store.read_trace(LOCAL_APP, trace_id)
        grouped = group(one.span for one in received)
        owned = [one for one in received if grouped.owners.get(one.span.span_id) == self._session_id]
        pairs = (
            (grouped.joined.get(one.span.span_id, one.span), view)
            for one in owned
            if isinstance(view := otlp.view(otlp.RawSpan(one.origin, one.raw)), SpanView)
        )
        return turns(
            recorded(pairs),
            grouped.counted,
            costs=grouped.costs,
            failed=grouped.failed,
            limit=self._content_limit,
        )


def _gaps(busy: Intervals) -> dict[str, Any]:
    """The times between the times of work."""
    between = [(a_end, b_start) for (_, a_end), (b_start, _) in pairwise(busy)]
    longest = sorted(nlargest(_GAPS, between, key=lambda gap: gap[1] - gap[0]))
    gaps = [
        {"start": rfc3339(start), "end": rfc3339(end), "duration_ms": (end - start) / NS_IN_MS}
        for start, end in longest
    ]
    return {"gap_count": len(between), "gaps": gaps}
