"""`agentmark api sessions export`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from agentmark_cli.asking import Remote, gateway_of, segment
from agentmark_cli.client import stream
from agentmark_cli.errors import CommandError
from agentmark_cli.output import visible


class Format(StrEnum):
    """What a session is written as."""

    JSON = "json"
    JSONL = "jsonl"
    OTLP = "otlp"
    HTML = "html"


class Encoding(StrEnum):
    """How OTLP is written."""

    JSON = "json"
    PROTOBUF = "protobuf"


def export_session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id, as `list` shows it.")],
    format_: Annotated[
        Format,
        typer.Option("--format", help="html is a page of its own; otlp can be posted to another server."),
    ] = Format.JSON,
    encoding: Annotated[Encoding | None, typer.Option(help="Of otlp.")] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="The file; without it, to the output.")] = None,
    remote: Remote = False,
) -> None:
    """Write a session with all of its spans to a file.

    \b
    Examples:
      agentmark api sessions export session-1712764245 --format html --out session.html
      agentmark api sessions export session-1712764245 --format jsonl | wc -l
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    if not session_id:
        raise CommandError("the session id is empty: agentmark api sessions list shows the ids")
    if out is None and encoding is Encoding.PROTOBUF and sys.stdout.isatty():
        raise CommandError("protobuf is not for a terminal: name a file with --out")
    path = f"/v1/sessions/{segment(session_id)}/export"
    with stream(gateway_of(remote), path, format=format_.value, encoding=encoding and encoding.value) as reply:
        pieces = reply.iter_bytes()
        if out is None:
            sys.stdout.flush()
            _copy(pieces, sys.stdout.buffer, lambda _: None)
            return
        with _whole(out) as file, _progress() as advance:
            size = _copy(pieces, file, advance)
    typer.echo(f"Wrote {size:,} bytes to {visible(str(out))}.", err=True)


def _copy(pieces: Iterator[bytes], target: IO[bytes], advance: Callable[[int], None]) -> int:
    size = 0
    for piece in pieces:
        target.write(piece)
        size += len(piece)
        advance(len(piece))
    return size


@contextmanager
def _whole(out: Path) -> Iterator[IO[bytes]]:
    """The file, which takes its name when all of it is written: one that is there stays as long."""
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, out)
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far it is; what is given takes numbers of bytes."""
    from rich.console import Console  # noqa: PLC0415 - what needs no progress starts faster without it
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TransferSpeedColumn  # noqa: PLC0415

    out = Console(stderr=True)
    columns = SpinnerColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("Exporting", total=None)
        yield lambda size: progress.advance(task, size)
