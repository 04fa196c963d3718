"""`agentmark dev`: the server on this machine, in one process."""

import errno
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from agentmark_cli.client import DEFAULT_API_PORT
from agentmark_cli.database import DATABASE, DatabaseOption, PricesOption
from agentmark_cli.errors import CommandError
from agentmark_cli.output import console, text

HOST = "127.0.0.1"


def dev(
    api_port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, envvar="AGENTMARK_API_PORT", help="The port of the API; 0 is any free one."
        ),
    ] = DEFAULT_API_PORT,
    app_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the page; 0 is any free one.")
    ] = 3000,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Serve the API alone.")] = False,
    db: DatabaseOption = DATABASE,
    prices: PricesOption = None,
) -> None:
    """Run the server on this machine, for this machine only.

    Programs that use the SDK record to it without any setting. Ctrl-C stops it.

    \b
    Examples:
      agentmark dev
      agentmark dev --api-port 9500 --app-port 3500 --db /tmp/try.db
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _leave)
    sockets = [_bind(api_port, "--api-port")]
    if not no_ui:
        sockets.append(_bind(app_port, "--app-port"))
    _make_folder(db)
    _run(sockets, db, prices, ui=not no_ui)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Being asked to stop is no failure, at whatever point of the start it comes."""
    sys.exit(0)


def _bind(port: int, option: str) -> socket.socket:
    """Take the port now: a taken one is said before anything else happens."""
    # With the protocol named, asyncio sends small answers at once; else each waits some 40 ms for the one before.
    bound = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere this would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen()  # binding alone does not keep a second server from the port
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            msg = f"port {port} is taken: stop what listens there, or choose another with {option}"
        else:
            msg = f"cannot listen on port {port} ({error.strerror}): choose another with {option}"
        raise CommandError(msg) from error
    return bound


def _make_folder(db: Path) -> None:
    try:
        db.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder of the database {db}: {error.strerror}") from error


def _run(sockets: list[socket.socket], db: Path, prices: Path | None, *, ui: bool) -> None:
    # The server and its libraries take long to import: no other command waits for them.
    from agentmark_cli.serving import serve  # noqa: PLC0415
    from agentmark_server.app import create_app  # noqa: PLC0415
    from agentmark_server.pricing import PricesError  # noqa: PLC0415
    from agentmark_server.settings import Settings  # noqa: PLC0415
    from agentmark_server.store import StoreError  # noqa: PLC0415

    try:
        serve(create_app(Settings(db=db, ui=ui, prices=prices)), sockets, lambda: _announce(sockets, db))
    except (StoreError, PricesError) as error:
        raise CommandError(str(error)) from error


def _announce(sockets: list[socket.socket], db: Path) -> None:
    """Say it all in one write: a reader that has seen the addresses may close the pipe."""
    ports = [bound.getsockname()[1] for bound in sockets]
    setting = "" if ports[0] == DEFAULT_API_PORT else f"AGENTMARK_API_PORT={ports[0]} "
    said = text("AgentMark is running.", "bold").append("\n\n")
    for label, port in zip(("API ", "Page"), ports, strict=False):
        said.append(f"  {label}  ").append(f"http://{HOST}:{port}\n", "cyan")
    said.append("  Data  ").append(text(db)).append("\n\nNext, in another terminal:\n", "bold")
    said.append(f"  {setting}agentmark demo               # writes a few sessions\n")
    said.append(f"  {setting}agentmark api sessions list  # shows them\n")
    said.append("\nCtrl-C stops it.", "dim")
    console().print(said, soft_wrap=True)
    sys.stdout.flush()
