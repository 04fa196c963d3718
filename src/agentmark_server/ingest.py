"""`POST /v1/traces` and OTLP's other routes: decode, normalise, commit together with what else waits, acknowledge.

They answer as https://opentelemetry.io/docs/specs/otlp/#otlphttp-response says: 200 once the spans are
durable, `partial_success` for those that were not taken, and for an error a `Status` in the request's encoding.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.code_pb2 import INTERNAL, INVALID_ARGUMENT, UNAVAILABLE
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from agentmark_server import otlp
from agentmark_server.api.errors import ANY_ROUTE
from agentmark_server.decoders import Decoders
from agentmark_server.decoding import JSON, LOGS, PROTOBUF, TRACES, Batch, Body, Signal
from agentmark_server.settings import LOCAL_APP, Settings
from agentmark_server.store import StoreError
from agentmark_server.writer import Writer

RETRY_AFTER_SECONDS: Final = 1
_REASONS_TOLD: Final = 5
_logger = logging.getLogger(__name__)


class FullError(Exception):
    """More is under way than the server may hold: come back later."""


class Room:
    """How many bytes of requests may be in memory at a time, from their first byte to their answer."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._lock = Lock()

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], None]]:
        """Gives what takes bytes, and raises FullError where there is no room; all of them are given back."""
        held = 0

        def take(count: int) -> None:
            nonlocal held
            with self._lock:
                # What is alone may be larger than all the room: else it could never be taken.
                if self._used > held and self._used + count > self._size:
                    msg = "the server has more to write than it may hold: send it again later"
                    raise FullError(msg)
                self._used += count
                held += count

        try:
            yield take
        finally:
            with self._lock:
                self._used -= held


class _Reply:
    """Answers in the request's encoding."""

    def __init__(self, content_type: str) -> None:
        self._content_type = JSON if content_type == JSON else PROTOBUF

    def message(self, message: Message, status: int, headers: dict[str, str] | None = None) -> Response:
        """A protobuf message as the body."""
        if self._content_type == JSON:
            body = json_format.MessageToJson(message, indent=None).encode()
        else:
            body = message.SerializeToString()
        return Response(body, status, headers, media_type=self._content_type)

    def error(self, status: HTTPStatus, message: str, code: int = INVALID_ARGUMENT) -> Response:
        """An error as https://opentelemetry.io/docs/specs/otlp/#failures-1 wants it."""
        later = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return self.message(Status(code=code, message=message), status, later)

    def taken(self, signal: Signal, rejected: list[str]) -> Response:
        """200, with how many items were left out and why."""
        if not rejected:
            return self.message(signal.response(), HTTPStatus.OK)
        reasons = list(dict.fromkeys(rejected))
        more = ["and for other reasons"] if len(reasons) > _REASONS_TOLD else []
        message = "; ".join(reasons[:_REASONS_TOLD] + more)
        partial = {signal.rejected: len(rejected), "error_message": message}
        return self.message(signal.response(partial_success=partial), HTTPStatus.OK)


def router(writer: Writer, decoders: Decoders, settings: Settings) -> APIRouter:
    """The routes that take OTLP."""
    routes = APIRouter(tags=["Receiving"], responses={403: ANY_ROUTE[403]})
    take = _Taker(writer, decoders, settings).take

    @routes.post("/v1/traces", summary="Take spans (OTLP/HTTP)", openapi_extra=_openapi(_SPANS))
    async def post_traces(request: Request) -> Response:
        """Take an `ExportTraceServiceRequest`, in protobuf or JSON.

        200 means that the spans are stored and in every answer from now on. Spans that cannot be taken are
        counted in `partialSuccess`, with the reason; the others are stored all the same.
        """
        return await take(request, TRACES)

    @routes.post(
        "/v1/logs", summary="Take log records that belong to spans (OTLP/HTTP)", openapi_extra=_openapi(_LOGS)
    )
    async def post_logs(request: Request) -> Response:
        """Take an `ExportLogsServiceRequest`, in protobuf or JSON.

        Records that carry the content of spans are joined to them; all others are dropped.
        """
        return await take(request, LOGS)

    @routes.post("/v1/metrics", summary="Take metrics and drop them (OTLP/HTTP)", openapi_extra=_DROPPED)
    async def post_metrics(request: Request) -> Response:
        """Programs may be set to send all of OTLP's signals to one address: metrics are accepted and dropped."""
        async for _ in request.stream():
            pass
        return _Reply(_content_type(request)).message(ExportMetricsServiceResponse(), HTTPStatus.OK)

    return routes


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


class _Taker:
    """Takes requests of any signal."""

    def __init__(self, writer: Writer, decoders: Decoders, settings: Settings) -> None:
        self._writer = writer
        self._decoders = decoders
        self._limit = settings.max_body_bytes
        self._room = Room(settings.max_request_bytes)

    async def take(self, request: Request, signal: Signal) -> Response:
        """Answer a request, whatever becomes of it."""
        content_type = _content_type(request)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        reply = _Reply(content_type)
        if content_type not in {PROTOBUF, JSON}:
            message = f"the content type must be {PROTOBUF} or {JSON}, not {content_type or 'absent'}"
            return reply.error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
        if encoding not in otlp.DECOMPRESSORS:
            message = f"the content encoding must be one of {', '.join(otlp.DECOMPRESSORS)}, not {encoding}"
            return reply.error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
        try:
            with self._room.hold() as take:
                content = await _read(request, self._limit, take)
                rejected = await self._store(Body(content, content_type, encoding), signal, take)
        except otlp.TooLargeError as error:
            return reply.error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except otlp.UnreadableError as error:
            return reply.error(HTTPStatus.BAD_REQUEST, str(error))
        except (FullError, StoreError) as error:
            return reply.error(HTTPStatus.SERVICE_UNAVAILABLE, str(error), UNAVAILABLE)
        except Exception:
            _logger.exception("a request to %s failed", request.scope["path"])
            message = "the server failed: its log says why"
            return reply.error(HTTPStatus.INTERNAL_SERVER_ERROR, message, INTERNAL)
        return reply.taken(signal, rejected)

    async def _store(self, body: Body, signal: Signal, take: Callable[[int], None]) -> list[str]:
        """Why items of the body were not taken; the others are durable now."""
        batch = await self._decoders.decode(body, signal)
        if not batch.shares:
            return batch.rejected
        take(_size(batch))
        refused = await asyncio.wrap_future(self._writer.submit(LOCAL_APP, batch.shares))
        return batch.rejected + ["the session or trace was deleted after the span started"] * refused


async def _read(request: Request, limit: int, take: Callable[[int], None]) -> bytes:
    """The body as sent, given up as soon as it is too large."""
    body = bytearray()
    async for piece in request.stream():
        take(len(piece))
        body += piece
        if len(body) > limit:
            msg = f"the body is larger than {limit} bytes: send smaller batches"
            raise otlp.TooLargeError(msg)
    return bytes(body)


def _size(batch: Batch) -> int:
    return sum(share.size for share in batch.shares)


def _statuses() -> Iterator[tuple[HTTPStatus, str]]:
    yield HTTPStatus.OK, "Stored. `partialSuccess` counts spans that were not, and says why."
    yield HTTPStatus.BAD_REQUEST, "The body cannot be read: sending it again will not help."
    yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large: send smaller batches."
    yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Another content type or encoding than the server reads."
    yield (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The server cannot write now: send it again after `Retry-After` seconds.",
    )
    yield HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed: its log says why."


def _openapi(example: dict[str, Any]) -> dict[str, Any]:
    """The description of a route that takes such requests."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
                JSON: {"schema": {"type": "object"}, "example": example},
            },
        },
        "responses": {str(status.value): _answer(text) for status, text in _statuses()},
    }


def _answer(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {PROTOBUF: {"schema": {"type": "string"}}, JSON: {"schema": {"type": "object"}}},
    }


_DROPPED: Final = {
    "requestBody": {
        "content": {
            PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            JSON: {"schema": {}, "example": {"resourceMetrics": []}},
        }
    },
    "responses": {"200": _answer("Dropped, whatever it was.")},
}
_SESSION: Final = {"key": "session.id", "value": {"stringValue": "chat-1"}}
_SPAN: Final = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "051581bf3cb55c13"}
_SPANS: Final = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "support-desk"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            **_SPAN,
                            "name": "answer",
                            "startTimeUnixNano": "1763890200000000000",
                            "endTimeUnixNano": "1763890201000000000",
                            "attributes": [_SESSION],
                        }
                    ]
                }
            ],
        }
    ]
}
_LOGS: Final = {
    "resourceLogs": [
        {
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            **_SPAN,
                            "timeUnixNano": "1763890200500000000",
                            "eventName": "gen_ai.user.message",
                            "body": {"stringValue": "Where is my order?"},
                        }
                    ]
                }
            ]
        }
    ]
}
