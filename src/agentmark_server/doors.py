"""What every request passes before it is routed."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from agentmark_server.api.errors import forbidden

_LOOPBACK: Final = {"localhost", "127.0.0.1", "[::1]"}


class LocalOnly:
    """Refuse requests whose `Host` is no loopback name.

    A page on the web that has its own name point to 127.0.0.1 (DNS rebinding) must not read what is here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _host(scope) not in _LOOPBACK:
            await forbidden()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _host(scope: Scope) -> str:
    """The name in the `Host` header, without the port."""
    header = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    name, colon, port = header.rpartition(":")
    return name if colon and port.isdigit() else header


class RawPath:
    """Route by the path as it was sent, so that `a%2Fb` is one segment and `a/b` two. Routes decode their ids."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await self._app(scope, receive, send)
