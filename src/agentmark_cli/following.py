"""`agentmark api sessions list --follow`: shows sessions as they change."""

import json
import time
from collections.abc import Iterator
from typing import Any

import typer

from agentmark_cli.asking import segment
from agentmark_cli.client import Gateway, LostError, ask, stream
from agentmark_cli.errors import CommandError
from agentmark_cli.output import Output, Row, console, count, money, one_line, short_time, text

_WAIT_SECONDS = 1.0
_WAIT_AT_MOST = 15.0


def follow_sessions(
    gateway: Gateway, output: Output, *, limit: int | None, name: str | None, user_id: str | None
) -> None:
    """Show the sessions that are there, the latest last, then each that changes, until Ctrl-C.

    As a line each: on a terminal for people, else as JSON. What changes while nothing answers is shown later.
    """
    show = _show_line if output is Output.TABLE else _show_json
    try:
        for change in _changes(gateway):
            if change is None:
                listed = ask(gateway, "/v1/sessions", limit=limit, name=name, user_id=user_id).body.get("data")
                for session in reversed(listed if isinstance(listed, list) else []):
                    show(session)
            elif change.get("deleted"):
                show({"id": change.get("id"), "deleted": True})
            else:
                _show_changed(gateway, str(change.get("id")), show, name, user_id)
    except KeyboardInterrupt:
        return


def _show_changed(gateway: Gateway, session_id: str, show: Any, name: str | None, user_id: str | None) -> None:
    try:
        session = ask(gateway, f"/v1/sessions/{segment(session_id)}", limit=1).body.get("data") or {}
    except LostError:
        raise
    except CommandError:
        return  # deleted meanwhile: which is told next
    session.pop("traces", None)
    named = name is None or name.casefold() in (session.get("name") or "").casefold()
    if named and (user_id is None or user_id in (session.get("user_ids") or ())):
        show(session)


def _changes(gateway: Gateway) -> Iterator[dict[str, Any] | None]:
    """What changes, as `/v1/events` tells it, over as many connections as it takes; None when the first begins."""
    last_id: str | None = None
    wait = _WAIT_SECONDS
    while True:
        try:
            headers = {} if last_id is None else {"Last-Event-ID": last_id}
            with stream(gateway, "/v1/events", headers) as reply:
                wait = _WAIT_SECONDS
                for field, value in _fields(reply.iter_lines()):
                    if field == "id":
                        first, last_id = last_id is None, value
                        if first:
                            yield None
                    elif field == "data" and "id" in (change := json.loads(value)):
                        yield change
        except LostError as error:
            if last_id is None:
                raise
            typer.echo(f"{error.format_message()}; trying again", err=True)
        time.sleep(wait)
        wait = min(wait * 2, _WAIT_AT_MOST)


def _fields(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        field, _, value = line.partition(":")
        yield field, value.removeprefix(" ")


def _show_json(session: Row) -> None:
    typer.echo(json.dumps(session, ensure_ascii=False))


def _show_line(session: Row) -> None:
    said = text(f"{short_time(session.get('end')):>12}  ", "dim").append(text(session.get("id"), "bold"))
    if session.get("deleted"):
        console().print(text(" " * 14).append(text(session.get("id"), "bold")).append("  deleted", "red"))
        return
    called = one_line(session.get("name") or session.get("input_preview") or "")
    said.append(f"  {called}" if called else "")
    said.append(f"  {session.get('status')}, {count(session.get('trace_count'))} traces, ", "dim")
    said.append(f"{count(session.get('total_tokens'))} tokens, {money(session.get('total_cost'))}", "dim")
    if errors := session.get("error_count"):
        said.append(f", {count(errors)} errors", "red")
    console().print(said, soft_wrap=True)
