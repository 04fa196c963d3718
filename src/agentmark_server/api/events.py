"""`GET /v1/events`: which sessions changed, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html says how they are written and read.
However slowly a client reads, it costs a page of changes: the next is asked for when the last was sent, and the
store tells each session once, with its last change.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from agentmark_server.api.errors import RESPONSES, Fault, reply
from agentmark_server.live import Listener, Live
from agentmark_server.settings import LOCAL_APP
from agentmark_server.store import BadCursorError, Changes, Store, StoreError

HEARTBEAT_SECONDS: Final = 15.0
"""A comment is sent when so long nothing changed: proxies end connections on which nothing moves."""
_REST_SECONDS: Final = 0.25
"""Between two pages: what changes often is told so often at most."""
_PAGE: Final = 200
_RETRY_MS: Final = 1000
_EXAMPLE: Final = 'id: 42\nevent: session\ndata: {"id":"session-1","deleted":false}\n\n'
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A stream without an end: `id` is where to go on, `data` names the session.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


class EventsParameters(BaseModel):
    """From where on."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(
        None,
        description="The `id` of an event: tell what changed since. Without it, what changes from now on.",
        examples=["42"],
    )


def router(store: Store, live: Live) -> APIRouter:
    """The route of events."""
    routes = APIRouter(prefix="/v1/events", tags=["Events"], responses=RESPONSES | _RESPONSES)

    @routes.get("", summary="Follow what changes", response_class=StreamingResponse)
    async def get_events(
        parameters: Annotated[EventsParameters, Query()],
        last_event_id: Annotated[
            str | None,
            Header(
                description="As `after`, and wins over it: browsers send it when they come again.", examples=["42"]
            ),
        ] = None,
    ) -> Response:
        """An event for every session that was written to or deleted, as it happens.

        The stream begins with the `id` from which it tells. Each event names a session once, with its last change;
        a change may be told again after a new connection, none is left out. After a restart of the server an event
        `reset` may come: sessions were deleted before, and their ids are not kept. Compare with the list then.
        """
        after = last_event_id or parameters.after
        place = "Last-Event-ID" if last_event_id else "after"
        try:
            token = await asyncio.to_thread(_begin, store, after)
        except BadCursorError as error:
            faults = [Fault(place=place, message=str(error))]
            return reply(400, "invalid_parameter", f"{place}: {error}", faults)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(store, live, token), media_type="text/event-stream", headers=headers)

    return routes


def _begin(store: Store, after: str | None) -> str:
    if not after:
        return store.latest(LOCAL_APP)
    store.changes(LOCAL_APP, after, 1)
    return after


async def _events(store: Store, live: Live, token: str) -> AsyncIterator[str]:
    with live.listen(LOCAL_APP) as listener:
        yield f"retry: {_RETRY_MS}\nid: {token}\n\n"
        while not listener.closed:
            listener.woken.clear()
            try:
                changes = await asyncio.to_thread(store.changes, LOCAL_APP, token, _PAGE)
            except StoreError:
                return  # the client comes again, with what it was told last
            if changes.items or changes.lost:
                yield _told(changes, token)
                token = changes.token
                await listener.rest(_REST_SECONDS)
            elif not await _news(listener):
                yield ": nothing new\n\n"


async def _news(listener: Listener) -> bool:
    return listener.closed or await listener.news(HEARTBEAT_SECONDS)


def _told(changes: Changes, token: str) -> str:
    """A page of changes as events: only after the last of them is the page's token where to go on."""
    reset = (
        f"id: {token if changes.items else changes.token}\nevent: reset\ndata: {{}}\n\n" if changes.lost else ""
    )
    tokens = [*[token] * (len(changes.items) - 1), changes.token]
    return reset + "".join(
        f"id: {after}\nevent: session\ndata: {_data(change.session_id, deleted=change.deleted)}\n\n"
        for after, change in zip(tokens, changes.items, strict=True)
    )


def _data(session_id: str, *, deleted: bool) -> str:
    return msgspec.json.encode({"id": session_id, "deleted": deleted}).decode()
