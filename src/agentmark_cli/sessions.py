"""`agentmark api sessions`: lists sessions, and shows one turn by turn."""

from typing import Annotated

import typer

from agentmark_cli import session_options as options
from agentmark_cli.asking import (
    EndDate,
    Format,
    Limit,
    Offset,
    Page,
    Remote,
    SortBy,
    SortOrder,
    StartDate,
    ask_server,
    command,
    gateway_of,
    print_for_programs,
    row_of,
    rows_of,
    segment,
)
from agentmark_cli.conversation import CONTENT_LIMIT, print_conversation
from agentmark_cli.errors import CommandError
from agentmark_cli.following import follow_sessions
from agentmark_cli.output import (
    Column,
    Output,
    Row,
    console,
    count,
    duration,
    money,
    one_line,
    short_time,
    table,
    text,
)

sessions = typer.Typer(help="Sessions: the traces of one conversation, job or workflow.")


@sessions.command("list")
def list_sessions(
    *,
    limit: Limit = None,
    offset: Offset = None,
    cursor: Annotated[str | None, typer.Option(help="Go on where an earlier page ended.")] = None,
    name: options.Name = None,
    user_id: options.User = None,
    search: options.Search = None,
    q: options.Words = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    model: options.Model = None,
    agent: options.Agent = None,
    service: options.Service = None,
    environment: options.Environment = None,
    release: options.Release = None,
    tag: options.Tag = None,
    status: options.Status = None,
    metadata: options.Metadata = None,
    least: options.Least = None,
    most: options.Most = None,
    filter_: options.Expression = None,
    sort_by: SortBy = None,
    sort_order: SortOrder = None,
    follow: Annotated[bool, typer.Option("--follow", help="Then show what changes, until Ctrl-C.")] = False,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """List the sessions that fit all options together, the latest first. An option given again means either.

    \b
    Examples:
      agentmark api sessions list --limit 10
      agentmark api sessions list --user-id user-123 --name "billing"
      agentmark api sessions list --min total_cost=0.01 --metadata plan=pro --sort-by total_cost
      agentmark api sessions list --filter 'any(span.status = error and span.name = "check_policy")'
      agentmark api sessions list --follow
      agentmark api sessions list --output json | jq -r '.data[].id'
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    asked: options.Asked = {
        "name": name,
        "user_id": user_id,
        "search": search,
        "q": q,
        "start_date": start_date,
        "end_date": end_date,
        "model": model,
        "agent": agent,
        "service": service,
        "environment": environment,
        "release": release,
        "tag": tag,
        "status": status,
        "metadata": metadata,
        "min": least,
        "max": most,
        "filter": filter_,
        "sort_by": sort_by,
        "sort_order": sort_order,
    }
    parameters = options.parameters(asked)
    if follow:
        if offset is not None or cursor is not None:
            raise CommandError("--follow begins with the latest sessions: leave out --offset and --cursor")
        follow_sessions(gateway_of(remote), Output.chosen(output), limit, parameters)
        return
    answer = ask_server(remote, "/v1/sessions", limit=limit, offset=offset, cursor=cursor, **parameters)
    if print_for_programs(answer, output):
        return
    rows = rows_of(answer.body.get("data"))
    page = Page(answer.body, len(rows), offset or 0)
    if not rows:
        nothing = "No sessions yet: agentmark demo writes a few."
        typer.echo(page.nothing(nothing, filtered=options.narrows(asked), noun="session"))
        return
    out = console()
    out.print(table(SESSION_COLUMNS, rows, out.width))
    again = command("sessions", "list", limit=limit, remote=remote, **asked)
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
    path = f"/v1/sessions/{segment(session_id)}"
    if Output.chosen(output) is not Output.TABLE:
        print_for_programs(ask_server(remote, path, limit=limit, offset=offset), output, "traces")
        return
    answer = ask_server(remote, f"{path}/conversation", limit=limit, offset=offset, content_limit=CONTENT_LIMIT)
    session = row_of(answer.body.get("data"))
    turns = rows_of(session.get("turns"))
    print_conversation(session, turns, (offset or 0) + 1)
    page = Page(answer.body, len({turn.get("trace_id") for turn in turns}), offset or 0)
    if not turns:
        typer.echo(f"\n{page.nothing('No traces.', filtered=False)}")
        return
    again = command("sessions", "get", session_id, limit=limit, remote=remote)
    typer.echo(page.summary("traces", again, by_cursor=False))


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
    Column("activity", lambda row: text(short_time(row.get("end") or row.get("start"))), worth=8),
    Column("duration", lambda row: text(duration(row.get("duration_ms"))), worth=2, right=True),
    Column("traces", lambda row: text(count(row.get("trace_count"))), worth=1, right=True),
    Column("tokens", lambda row: text(count(row.get("total_tokens"))), worth=5, right=True),
    Column("cost", lambda row: text(_cost_cell(row)), worth=7, right=True),
    Column("errors", lambda row: text(*_errors(row)), worth=6, right=True),
]
