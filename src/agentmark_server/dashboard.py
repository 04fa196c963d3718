"""The page: static files, which ask the API like any other client."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

router = APIRouter(include_in_schema=False)

_PAGE = files("agentmark_server") / "page"
_TYPES: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_HEADERS: Final = {
    # Content is data: nothing runs or loads but these files.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def _file(name: str) -> Response:
    media_type = _TYPES[name.rsplit(".", 1)[1]]
    return Response((_PAGE / name).read_bytes(), headers=_HEADERS, media_type=f"{media_type}; charset=utf-8")


@router.get("/")
def get_root() -> RedirectResponse:
    """The sessions are where one begins."""
    return RedirectResponse("/sessions")


@router.get("/sessions")
@router.get("/sessions/{session_id}")
def get_page(session_id: str = "") -> Response:  # noqa: ARG001  # the page's script reads it from the address
    """The page of the list, and of one session."""
    return _file("index.html")


@router.get("/page/page.js")
def get_script() -> Response:
    """The page's script."""
    return _file("page.js")


@router.get("/page/page.css")
def get_style() -> Response:
    """The page's style."""
    return _file("page.css")


@router.get("/favicon.ico")
@router.get("/page/icon.svg")
def get_icon() -> Response:
    """The page's icon."""
    return _file("icon.svg")
