"""Errors as every route but `/v1/traces` answers them: `{"error": {"code", "message", "details"}}`."""

from collections.abc import Iterator, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

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


Responses = dict[int | str, dict[str, Any]]
_LOCAL: Final = "this server answers on this machine only: ask it as localhost or 127.0.0.1"
_FAILED: Final = "the server failed: its log says why"


def _described(description: str, code: str, message: str, details: Sequence[Fault] = ()) -> dict[str, Any]:
    """An error in the API's description, with an example."""
    example = _body(code, message, details).model_dump()
    return {
        "model": ErrorReply,
        "description": description,
        "content": {"application/json": {"example": example}},
    }


def _body(code: str, message: str, details: Sequence[Fault] = ()) -> ErrorReply:
    return ErrorReply(error=ErrorBody(code=code, message=message, details=list(details)))


_UNKNOWN: Final = Fault(place="colour", message="this route knows no such parameter")
ANY_ROUTE: Final[Responses] = {
    403: _described("The `Host` header names another machine than this.", "forbidden", _LOCAL),
    500: _described("The server failed.", "internal", _FAILED),
}
"""What every route may answer."""
RESPONSES: Final[Responses] = {
    400: _described(
        "A parameter is unknown, or its value is wrong.",
        "invalid_parameter",
        f"{_UNKNOWN.place}: {_UNKNOWN.message}",
        [_UNKNOWN],
    ),
    503: _described("The server cannot answer now.", "unavailable", "the database is busy: ask again"),
    **ANY_ROUTE,
}
NOT_FOUND: Final[Responses] = {
    404: _described("It is not there.", "not_found", "there is no session 'chat-2'"),
}


def reply(status: int, code: str, message: str, details: Sequence[Fault] = ()) -> JSONResponse:
    """An error in the envelope."""
    return JSONResponse(_body(code, message, details).model_dump(), status)


def forbidden() -> JSONResponse:
    """What those get who ask by another name than this machine's own."""
    return reply(HTTPStatus.FORBIDDEN, "forbidden", _LOCAL)


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
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            answer.headers["Allow"] = ", ".join(_methods(request))
        return answer

    @app.exception_handler(Exception)
    async def _failed(_request: Request, _error: Exception) -> JSONResponse:
        return reply(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", _FAILED)


def _methods(request: Request) -> Iterator[str]:
    """What the path can be asked with, by all of its routes: the router itself names those of the first alone."""
    for method in HTTPMethod:
        scope = {**request.scope, "method": method.value}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            yield method.value


def _fault(error: dict[str, Any]) -> Fault:
    place = ".".join(str(part) for part in error["loc"][1:])
    if error["type"] == "extra_forbidden":
        return Fault(place=place, message="this route knows no such parameter")
    message = error["msg"].removeprefix("Value error, ")
    # What is wrong with several parameters together names them itself.
    return Fault(place=place, message=f"{message}, not {error['input']!r:.100}" if place else message)
