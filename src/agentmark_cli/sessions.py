"""`agentmark api sessions`: lists sessions, and shows one turn by turn."""

import shlex
from typing import Annotated, Any
from urllib.parse import quote

import typer

from agentmark_cli.client import Answer, ask, local_gateway, remote_gateway
from agentmark_cli.conversation import CONTENT_LIMIT, print_conversation
from agentmark_cli.errors import CommandError
from agentmark_cli.output import (
    UNKNOWN,
    Column,
    Output,
    Row,
    console,
    count,
    duration,
    money,
    one_line,
    print_json,
    short_time,
    table,
    text,
    visible,
)

sessions = typer.Typer(help="Sessions: the traces of one conversation, job or workflow.")

Limit = Annotated[int | None, typer.Option(help="How many to show at most (the server's default is 50).")]
Offset = Annotated[int | None, typer.Option(help="How many to leave out at the beginning.")]
Remote = Annotated[
    bool,
    typer.Option(
        "--remote",
        help="Ask AGENTMARK_BASE_URL (by default the cloud) with AGENTMARK_API_KEY and AGENTMARK_APP_ID.",
    ),
]
Format = Annotated[
    Output | None,
    typer.Option("--output", help="By default a table on a terminal, and the server's own JSON in a pipe."),
]


@sessions.command("list")
def list_sessions(
    limit: Limit = None,
    offset: Offset = None,
    cursor: Annotated[str | None, typer.Option(help="Go on where an earlier page ended.")] = None,
    name: Annotated[str | None, typer.Option(help="Only sessions with this text in their name.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Only sessions of this user.")] = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """List sessions, the latest first.

    \b
    Examples:
      agentmark api sessions list --limit 10
      agentmark api sessions list --user-id user-123 --name "billing"
      agentmark api sessions list --output json | jq -r '.data[].id'
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    filters = {"name": name, "user_id": user_id}
    answer = _ask(remote, "/v1/sessions", limit=limit, offset=offset, cursor=cursor, **filters)
    if Output.chosen(output) is Output.JSON:
        print_json(answer.raw)
        return
    rows = _rows(answer.body.get("data"))
    page = _Page(answer.body, len(rows), offset or 0)
    if not rows:
        typer.echo(page.nothing("No sessions yet: agentmark demo writes a few.", filtered=any(filters.values())))
        return
    out = console()
    out.print(table(SESSION_COLUMNS, rows, out.width))
    again = _command("list", limit=limit, name=name, user_id=user_id, remote=remote)
    typer.echo(page.summary("sessions", again, by_cursor=offset is None))


@sessions.command("get")
def get_session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id, as `list` shows it.")],
    limit: Limit = None,
    offset: Offset = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """Show one session turn by turn: what was said, what was done for it, when, and what it cost.

    In a pipe it is the session with its traces, as the server answers it.

    \b
    Examples:
      agentmark api sessions get session-1712764245
      agentmark api sessions get session-1712764245 --limit 10 --offset 10
      agentmark api sessions get session-1712764245 --output json | jq '.data.total_cost'
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    if not session_id:
        raise CommandError("the session id is empty: agentmark api sessions list shows the ids")
    path = f"/v1/sessions/{_segment(session_id)}"
    if Output.chosen(output) is Output.JSON:
        print_json(_ask(remote, path, limit=limit, offset=offset).raw)
        return
    answer = _ask(remote, f"{path}/conversation", limit=limit, offset=offset, content_limit=CONTENT_LIMIT)
    session = answer.body.get("data")
    if not isinstance(session, dict):
        raise CommandError("the server answered without a session: is it another version than this command?")
    turns = _rows(session.get("turns"))
    print_conversation(session, turns, (offset or 0) + 1)
    page = _Page(answer.body, len({turn.get("trace_id") for turn in turns}), offset or 0)
    if not turns:
        typer.echo(f"\n{page.nothing('No traces.', filtered=False)}")
        return
    again = _command("get", session_id, limit=limit, remote=remote)
    typer.echo(page.summary("traces", again, by_cursor=False))


def _ask(remote: bool, path: str, **parameters: str | int | None) -> Answer:
    return ask(remote_gateway() if remote else local_gateway(), path, **parameters)


def _segment(session_id: str) -> str:
    """Make an id one segment of a path. Dots alone would be taken for a step up, by clients and proxies."""
    if session_id in {".", ".."}:
        return session_id.replace(".", "%2E")
    return quote(session_id, safe="", errors="surrogateescape")


def _rows(data: object) -> list[Row]:
    if not (isinstance(data, list) and all(isinstance(row, dict) for row in data)):
        raise CommandError("the server answered without a list: is it another version than this command?")
    return data


class _Page:
    """Where in all of the rows a page is, and how to get the next one."""

    def __init__(self, body: dict[str, Any], shown: int, offset: int) -> None:
        pagination = body.get("pagination") or {}
        self.total: int | None = pagination.get("total")
        self.cursor: str | None = pagination.get("next_cursor")
        self.shown = shown
        self.end = offset + shown

    def summary(self, noun: str, again: list[str], *, by_cursor: bool) -> str:
        """`10 of 132 sessions`, and the command for the next page when there is one."""
        said = f"\n{self.shown} of {UNKNOWN if self.total is None else f'{self.total:,}'} {noun}"
        if by_cursor:
            following = ["--cursor", self.cursor] if self.cursor else []
        else:
            following = ["--offset", str(self.end)] if self.total is not None and self.end < self.total else []
        return f"{said}; next page: {visible(shlex.join(again + following))}" if following else said

    def nothing(self, otherwise: str, *, filtered: bool) -> str:
        """Why there are no rows."""
        if self.total:
            return f"None of the {self.total:,} is on this page: they end before it."
        return "No session matches." if filtered else otherwise


def _command(*words: str, remote: bool, **options: str | int | None) -> list[str]:
    command = ["agentmark", "api", "sessions", *words, *(["--remote"] if remote else [])]
    for option, value in options.items():
        if value is not None:
            command += [f"--{option.replace('_', '-')}", str(value)]
    return command


def _called(row: Row) -> str:
    return one_line(row.get("name") or "")


def _cost_cell(row: Row) -> str:
    """With a plus where calls without a known price come on top."""
    cost = row.get("total_cost")
    return money(cost) + ("+" if cost is not None and row.get("unpriced_calls") else "")


def _errors(row: Row) -> tuple[str, str]:
    errors = row.get("error_count") or 0
    return (count(errors), "red") if errors else ("", "")


SESSION_COLUMNS = [
    Column("id", lambda row: text(row.get("id")), worth=10, least=36, whole=True),
    Column(
        "name",
        lambda row: (
            text(_called(row)) if row.get("name") else text(one_line(row.get("input_preview") or ""), "dim")
        ),
        worth=9,
        share=0.25,
    ),
    Column("user", lambda row: text(one_line(row.get("user_id") or "")), worth=4, least=10),
    Column("status", lambda row: text(row.get("status") or ""), worth=3),
    Column("started", lambda row: text(short_time(row.get("start"))), worth=8),
    Column("duration", lambda row: text(duration(row.get("duration_ms"))), worth=2, right=True),
    Column("traces", lambda row: text(count(row.get("trace_count"))), worth=1, right=True),
    Column("tokens", lambda row: text(count(row.get("total_tokens"))), worth=5, right=True),
    Column("cost", lambda row: text(_cost_cell(row)), worth=7, right=True),
    Column("errors", lambda row: text(*_errors(row)), worth=6, right=True),
]
