"""`/v1/sessions`: list them, open one."""

import time
from typing import Annotated

from fastapi import APIRouter, Query

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import SessionId, SliceParameters
from agentmark_server.api.schemas import (
    Pagination,
    ScoreSchema,
    SessionPagination,
    SessionReply,
    SessionSchema,
    SessionsReply,
    SessionWithTraces,
    TraceSchema,
)
from agentmark_server.api.session_parameters import NAMED_PARAMETERS, SessionParameters
from agentmark_server.model import Slice
from agentmark_server.queries import Activity, ScoreQuery
from agentmark_server.settings import LOCAL_APP, Settings
from agentmark_server.store import Store


def router(store: Store, settings: Settings) -> APIRouter:
    """The routes of sessions."""
    routes = APIRouter(prefix="/v1/sessions", tags=["Sessions"], responses=RESPONSES)
    idle = settings.idle_seconds * 10**9

    @routes.get("", summary="List sessions", openapi_extra=NAMED_PARAMETERS)
    def list_sessions(parameters: Annotated[SessionParameters, Query()]) -> SessionsReply:
        """Sessions that fit all parameters together. A repeated parameter means any of its values."""
        lag = store.index_lag()
        now = time.time_ns()
        page = store.list_sessions(LOCAL_APP, parameters.query(Activity(now, idle)), parameters.slice)
        sessions = [SessionSchema.of(session, now=now, idle=idle) for session in page.items]
        pagination = SessionPagination.lagging(page, parameters.limit, parameters.offset, lag)
        return SessionsReply(data=sessions, pagination=pagination)

    @routes.get("/{session_id}", summary="Open a session", responses=NOT_FOUND)
    def get_session(session_id: SessionId, parameters: Annotated[SliceParameters, Query()]) -> SessionReply:
        """One session with its traces in order of their start; the parameters are about the traces."""
        session = store.get_session(LOCAL_APP, session_id)
        if session is None:
            msg = f"there is no session {session_id!r:.600}"
            raise NotFoundError(msg)
        page = store.list_session_traces(LOCAL_APP, session_id, parameters.slice)
        shape = SessionSchema.of(session, now=time.time_ns(), idle=idle)
        traces = [TraceSchema.of(trace) for trace in page.items]
        return SessionReply(
            data=SessionWithTraces(**shape.model_dump(), traces=traces, scores=_scores(store, session_id)),
            pagination=Pagination.of(page, parameters.limit, parameters.offset),
        )

    return routes


def _scores(store: Store, session_id: str) -> list[ScoreSchema]:
    query = ScoreQuery(resource_types=("session",), resource_ids=(session_id,))
    return [ScoreSchema.of(score) for score in store.list_scores(LOCAL_APP, query, Slice(limit=100)).items]
