"""`GET /v1/sessions/{id}/export`: a whole session in one file, in one of several formats.

`source` reads it; `lines`, `otlp` and `html` write it. All of them stream, a trace at a time.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.export import html, lines, otlp
from agentmark_server.api.export.source import Source
from agentmark_server.api.parameters import SessionId
from agentmark_server.api.schemas import SessionSchema
from agentmark_server.settings import LOCAL_APP, Settings
from agentmark_server.store import Store

_PROTOBUF: Final = "application/x-protobuf"
_PIECE: Final = 64 * 1024
_NAME: Final = 80
"""Characters of a file's name."""


class _Format(msgspec.Struct, frozen=True):
    """How a session is written, what that is, and how the file's name ends."""

    write: Callable[[Source], Iterator[bytes]]
    media_type: str
    suffix: str


_FORMATS: Final = {
    "json": _Format(lines.whole, "application/json", "json"),
    "jsonl": _Format(lines.lines, "application/x-ndjson", "jsonl"),
    "otlp": _Format(otlp.json, "application/json", "otlp.json"),
    "html": _Format(html.page, "text/html; charset=utf-8", "html"),
}
_OTLP_PROTOBUF: Final = _Format(otlp.protobuf, _PROTOBUF, "otlp.pb")
_OPENAPI: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The session as a file.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            _PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            "text/html": {"schema": {"type": "string"}},
        },
    }
}
_HEADERS: Final = {
    # What a session holds came from anywhere: opened in a browser, nothing of it runs or is loaded.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class ExportParameters(BaseModel):
    """Which format."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["json", "jsonl", "otlp", "html"] = Field(
        "json",
        description="`json`: the session, its traces, their spans with all they hold. `jsonl`: a span a line. "
        "`otlp`: an ExportTraceServiceRequest, as `POST /v1/traces` takes it. `html`: a page in one file.",
        examples=["html"],
    )
    encoding: Literal["protobuf", "json"] | None = Field(
        None, description="Of `otlp`: by default what the `Accept` header wants, else JSON.", examples=["json"]
    )


def router(store: Store, settings: Settings) -> APIRouter:
    """The route of exports."""
    routes = APIRouter(prefix="/v1/sessions", tags=["Sessions"], responses=RESPONSES | NOT_FOUND | _OPENAPI)
    idle = settings.idle_seconds * 10**9

    @routes.get("/{session_id}/export", summary="Export a session", response_class=StreamingResponse)
    def export_session(
        session_id: SessionId,
        parameters: Annotated[ExportParameters, Query()],
        accept: Annotated[
            str, Header(description="For `otlp`: the encoding to answer in.", examples=[_PROTOBUF])
        ] = "",
    ) -> Response:
        """The session with every span that it owns, as a file."""
        session = store.get_session(LOCAL_APP, session_id)
        if session is None:
            msg = f"there is no session {session_id!r:.600}"
            raise NotFoundError(msg)
        shape = SessionSchema.of(session, now=time.time_ns(), idle=idle)
        chosen = _chosen(parameters, accept)
        written = chosen.write(Source(store, LOCAL_APP, shape))
        headers = {
            **_HEADERS,
            "Content-Disposition": f'attachment; filename="{_file_name(session_id)}.{chosen.suffix}"',
        }
        return StreamingResponse(_pieces(written), headers=headers, media_type=chosen.media_type)

    return routes


def _chosen(parameters: ExportParameters, accept: str) -> _Format:
    wanted = parameters.encoding or ("protobuf" if _PROTOBUF in accept else "json")
    if parameters.format == "otlp" and wanted == "protobuf":
        return _OTLP_PROTOBUF
    return _FORMATS[parameters.format]


def _file_name(session_id: str) -> str:
    """A name that every file system takes and no shell reads anything into."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", session_id)[:_NAME].strip("._-")
    return f"session-{name}" if name else "session"


def _pieces(written: Iterator[bytes]) -> Iterator[bytes]:
    """The same in pieces that are worth sending."""
    waiting = bytearray()
    for some in written:
        waiting += some
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)
