"""What changes sessions and traces: `PATCH` and `DELETE`."""

import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import NoParameters, SessionId
from agentmark_server.api.reading import TraceId, trace_id_of
from agentmark_server.api.schemas import Deleted, DeletedReply, SessionEdit, SessionEdited, SessionSchema
from agentmark_server.live import Live
from agentmark_server.settings import LOCAL_APP, Settings
from agentmark_server.store import Edit, Selector, SessionSelector, Store, TraceSelector


def router(store: Store, live: Live, settings: Settings) -> APIRouter:
    """The routes that change what is kept."""
    routes = APIRouter(prefix="/v1", responses=RESPONSES | NOT_FOUND)
    idle = settings.idle_seconds * 10**9

    @routes.patch("/sessions/{session_id}", summary="Name or tag a session", tags=["Sessions"])
    def patch_session(
        session_id: SessionId, edit: SessionEdit, _: Annotated[NoParameters, Query()]
    ) -> SessionEdited:
        """Set the session's name and tags, whatever its spans say, also those that come later."""
        edited = store.edit(LOCAL_APP, session_id, _edit_of(edit))
        session = store.get_session(LOCAL_APP, session_id) if edited else None
        if session is None:
            raise _no("session", session_id)
        live.announce(LOCAL_APP)
        return SessionEdited(data=SessionSchema.of(session, now=time.time_ns(), idle=idle))

    @routes.delete("/sessions/{session_id}", summary="Delete a session", tags=["Sessions"])
    def delete_session(session_id: SessionId, _: Annotated[NoParameters, Query()]) -> DeletedReply:
        """Delete all spans that the session owns. Spans of it that come later are refused if they began before."""
        return delete("session", session_id, SessionSelector(session_id))

    @routes.delete("/traces/{trace_id}", summary="Delete a trace", tags=["Traces"])
    def delete_trace(trace_id: TraceId, _: Annotated[NoParameters, Query()]) -> DeletedReply:
        """Delete all spans of the trace, whichever sessions own them. Spans of it that come later are refused."""
        id_ = trace_id_of(trace_id)
        return delete("trace", id_.hex(), TraceSelector(id_))

    def delete(noun: str, id_: str, selector: Selector) -> DeletedReply:
        if not store.has(LOCAL_APP, selector):
            raise _no(noun, id_)
        gone = store.forget(LOCAL_APP, selector)
        live.announce(LOCAL_APP)
        return DeletedReply(data=Deleted(id=id_, deleted_spans=gone))

    return routes


def _edit_of(edit: SessionEdit) -> Edit:
    given = edit.model_fields_set
    name = (edit.name or "").strip() or None
    return Edit(
        name=name if "name" in given else msgspec.UNSET,
        tags=tuple(edit.tags or ()) if "tags" in given else msgspec.UNSET,
    )


def _no(noun: str, id_: str) -> NotFoundError:
    return NotFoundError(f"there is no {noun} {id_!r:.600}")
