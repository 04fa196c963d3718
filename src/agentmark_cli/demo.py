"""`agentmark demo`: plays scripted conversations through the SDK, so that there is something to look at."""

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from agentmark_cli.client import Gateway, ask, base_url, local_gateway
from agentmark_cli.demo_script import CONVERSATIONS
from agentmark_cli.errors import CommandError
from agentmark_cli.output import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentmark_cli.demo_player import Player

FLUSH_SECONDS = 10.0


def demo() -> None:
    """Write about a dozen believable sessions into the running server.

    They are recorded with the SDK, as a program of yours would: several users, models and languages, tools,
    retrieval, agents, and errors. It takes a few seconds, for the times are real. Each run adds new sessions.

    \b
    Examples:
      agentmark demo
      AGENTMARK_API_PORT=9500 agentmark demo
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    gateway = _target()
    ask(gateway, "/health")
    # The SDK and OpenTelemetry take long to import: no other command waits for them.
    from agentmark_cli.demo_player import Player, flush, play_all  # noqa: PLC0415

    started = time.time()
    players = [Player(conversation, int(started * 1000)) for conversation in CONVERSATIONS]
    with _progress(len(players)) as advance:
        play_all(players, advance)
    if not flush(FLUSH_SECONDS):
        raise CommandError(f"{gateway.url} did not take all spans within {FLUSH_SECONDS:.0f} seconds: try again")
    typer.echo(f"{_summary(players)} in {time.time() - started:.1f} seconds to {gateway.url}.")
    typer.echo(f"See them: agentmark api sessions list{'' if gateway.local else ' --remote'}")


def _summary(players: "Sequence[Player]") -> str:
    traces = sum(len(player.plot.turns) for player in players)
    spans = sum(player.spans for player in players)
    return f"Wrote {len(players)} sessions, {traces} traces and {spans} spans"


def _target() -> Gateway:
    """Choose AGENTMARK_BASE_URL or else the local server: a key alone must not send this to the cloud."""
    url = base_url()
    gateway = Gateway(url, "check AGENTMARK_BASE_URL") if url else local_gateway()
    os.environ["AGENTMARK_BASE_URL"] = gateway.url  # so that the SDK records to the server that we ask
    os.environ.setdefault("OTEL_SERVICE_NAME", "agentmark-demo")
    return gateway


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[], None]]":
    """Show a bar on a terminal, and nothing elsewhere; what is given moves it on by one."""
    from rich.progress import Progress  # noqa: PLC0415 - slow to import, and no other command needs it

    out = console()
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        bar = progress.add_task("Talking", total=total)
        yield lambda: progress.advance(bar)
