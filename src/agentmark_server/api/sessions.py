"""`/v1/sessions`: list them, open one."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import EncodedId, SliceParameters
from agentmark_server.api.schemas import (
    ListReply,
    Pagination,
    SessionReply,
    SessionSchema,
    SessionWithTraces,
    TraceSchema,
)
from agentmark_server.model import SessionQuery
from agentmark_server.settings import LOCAL_APP, Settings
from agentmark_server.store import Store


class SessionParameters(SliceParameters):
    """Which sessions, and which part of their list."""

    name: list[str] = Field([], description="A part of the name, in any case.")
    user_id: list[str] = Field([], description="One of the session's users.")
    user_id_camel: list[str] = Field([], alias="userId", description="The same as `user_id`.")

    @property
    def query(self) -> SessionQuery:
        """As the store takes it."""
        return SessionQuery(tuple(self.name), (*self.user_id, *self.user_id_camel))


def router(store: Store, settings: Settings) -> APIRouter:
    """The routes of sessions."""
    routes = APIRouter(prefix="/v1/sessions", tags=["Sessions"], responses=RESPONSES)
    idle = settings.idle_seconds * 10**9

    @routes.get("", summary="List sessions")
    def list_sessions(parameters: Annotated[SessionParameters, Query()]) -> ListReply[SessionSchema]:
        """Sessions that fit, the last to end first. A repeated parameter means any of its values."""
        page = store.list_sessions(LOCAL_APP, parameters.query, parameters.slice)
        now = time.time_ns()
        sessions = [SessionSchema.of(session, now=now, idle=idle) for session in page.items]
        return ListReply(data=sessions, pagination=Pagination.of(page, parameters.limit, parameters.offset))

    @routes.get("/{session_id}", summary="Open a session", responses=NOT_FOUND)
    def get_session(session_id: EncodedId, parameters: Annotated[SliceParameters, Query()]) -> SessionReply:
        """One session with its traces in order of their start; the parameters are about the traces."""
        session = store.get_session(LOCAL_APP, session_id)
        if session is None:
            msg = f"there is no session {session_id!r:.600}"
            raise NotFoundError(msg)
        page = store.list_session_traces(LOCAL_APP, session_id, parameters.slice)
        shape = SessionSchema.of(session, now=time.time_ns(), idle=idle)
        traces = [TraceSchema.of(trace) for trace in page.items]
        return SessionReply(
            data=SessionWithTraces(**shape.model_dump(), traces=traces),
            pagination=Pagination.of(page, parameters.limit, parameters.offset),
        )

    return routes
