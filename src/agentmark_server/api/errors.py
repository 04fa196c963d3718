"""Errors as every route but `/v1/traces` answers them: `{"error": {"code", "message", "details"}}`."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from agentmark_server.store import BadCursorError, StoreError, TooManyBucketsError


class Fault(BaseModel):
    """One thing that is wrong: `place` names the parameter."""

    place: str
    message: str


class ErrorBody(BaseModel):
    """What is wrong, for programs (`code`) and for people (`message`)."""

    code: str
    message: str
    details: list[Fault]


class ErrorReply(BaseModel):
    """The body of every error."""

    error: ErrorBody


class NotFoundError(Exception):
    """What was asked for by its id is not there."""


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": ErrorReply, "description": "A parameter is unknown, or its value is wrong."},
    503: {"model": ErrorReply, "description": "The server cannot answer now."},
}
NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ErrorReply, "description": "It is not there."}}


def reply(status: int, code: str, message: str, details: Sequence[Fault] = ()) -> JSONResponse:
    """An error in the envelope."""
    body = ErrorReply(error=ErrorBody(code=code, message=message, details=list(details)))
    return JSONResponse(body.model_dump(), status)


def install(app: FastAPI) -> None:
    """Answer every error of the app in the envelope."""

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_fault(one) for one in error.errors()]
        message = "; ".join(": ".join(filter(None, (fault.place, fault.message))) for fault in faults)
        return reply(HTTPStatus.BAD_REQUEST, "invalid_parameter", message, faults)

    @app.exception_handler(BadCursorError)
    async def _bad_cursor(_: Request, error: BadCursorError) -> JSONResponse:
        faults = [Fault(place="cursor", message=str(error))]
        return reply(HTTPStatus.BAD_REQUEST, "invalid_parameter", f"cursor: {error}", faults)

    @app.exception_handler(TooManyBucketsError)
    async def _too_many_buckets(_: Request, error: TooManyBucketsError) -> JSONResponse:
        faults = [Fault(place="bucket", message=str(error))]
        return reply(HTTPStatus.BAD_REQUEST, "invalid_parameter", f"bucket: {error}", faults)

    @app.exception_handler(NotFoundError)
    async def _not_found(_: Request, error: NotFoundError) -> JSONResponse:
        return reply(HTTPStatus.NOT_FOUND, "not_found", str(error))

    @app.exception_handler(StoreError)
    async def _store_failed(_: Request, error: StoreError) -> JSONResponse:
        return reply(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        message = f"{status.phrase}: {request.method} {request.scope['path']}"
        answer = reply(status, status.name.lower(), message)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _failed(_request: Request, _error: Exception) -> JSONResponse:
        return reply(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the server failed: its log says why")


def _fault(error: dict[str, Any]) -> Fault:
    place = ".".join(str(part) for part in error["loc"][1:])
    if error["type"] == "extra_forbidden":
        return Fault(place=place, message="this route knows no such parameter")
    message = error["msg"].removeprefix("Value error, ")
    # What is wrong with several parameters together names them itself.
    return Fault(place=place, message=f"{message}, not {error['input']!r:.100}" if place else message)
