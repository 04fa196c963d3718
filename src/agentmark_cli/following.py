"""`agentmark api sessions list --follow`: shows sessions as they change."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from agentmark_cli.client import Gateway, LostError, Parameter, ask, stream
from agentmark_cli.output import Output, Row, console, count, money, one_line, short_time, text

_WAIT_SECONDS = 1.0
_WAIT_AT_MOST = 15.0


def follow_sessions(
    gateway: Gateway, output: Output, limit: int | None, parameters: Mapping[str, Parameter]
) -> None:
    """Show the sessions that fit, the latest last, then each that changes and fits, until Ctrl-C.

    As a line each: on a terminal for people, else as JSON. What changes while nothing answers is shown later.
    """
    show = _show_line if output is Output.TABLE else _show_json
    try:
        for change in _changes(gateway):
            if change is None:
                for session in reversed(_listed(gateway, limit, parameters)):
                    show(session)
            elif change.get("deleted"):
                show({"id": change.get("id"), "deleted": True})
            else:
                for session in _listed(gateway, 1, _only(parameters, str(change.get("id")))):
                    show(session)
    except KeyboardInterrupt:
        return


def _listed(gateway: Gateway, limit: int | None, parameters: Mapping[str, Parameter]) -> list[Row]:
    listed = ask(gateway, "/v1/sessions", **{**parameters, "limit": limit}).body.get("data")
    return listed if isinstance(listed, list) else []


def _only(parameters: Mapping[str, Parameter], session_id: str) -> dict[str, Parameter]:
    """The same question about one session."""
    one = f"id = {_quoted(session_id)}"
    asked = parameters.get("filter")
    return {**parameters, "filter": f"({asked}) and {one}" if asked else one}


def _quoted(text: str) -> str:
    """A text as the language of filters writes it: docs/filters.md."""
    return '"' + "".join(f"\\u{ord(one):04x}" if one in '"\\' or one < " " else one for one in text) + '"'


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
