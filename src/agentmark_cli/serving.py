"""Runs the server's application on sockets that are bound already; imported only by commands that do."""

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from agentmark_server.decoders import collect_rarely

STOP_SECONDS = 3
"""How long requests under way may take once the server was asked to stop."""


class _Server(uvicorn.Server):
    """uvicorn that says when it answers, and for which a signal to stop is a usual end."""

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], close_streams: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._say_started = started
        self._close_streams = close_streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._say_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams that would never end by themselves, then wait for what is under way."""
        self._close_streams()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop; on a second Ctrl-C at once. uvicorn's own would raise the signal again after the end."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve(app: FastAPI, sockets: list[socket.socket], started: Callable[[], None]) -> None:
    """Serve `app` on all of the sockets until a signal says stop; `started` is called once it answers."""
    config = uvicorn.Config(
        app,
        lifespan="off",  # `_run` enters it, for what it raises to reach the caller; uvicorn would only log it
        ws="none",
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(app, _Server(config, started, app.state.close_streams), sockets))


async def _run(app: FastAPI, server: _Server, sockets: list[socket.socket]) -> None:
    collect_rarely()
    async with app.router.lifespan_context(app):
        await server.serve(sockets)
