"""`agentmark api sessions`: lists sessions, and shows one with its traces."""

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
    print_for_programs,
    row_of,
    rows_of,
    segment,
)
from agentmark_cli.errors import CommandError
from agentmark_cli.output import (
    Column,
    Row,
    console,
    count,
    duration,
    long_time,
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
    """Show one session and its traces, in their order.

    \b
    Examples:
      agentmark api sessions get session-1712764245
      agentmark api sessions get session-1712764245 --limit 10 --offset 10
      agentmark api sessions get session-1712764245 --output json | jq '.data.total_cost'
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    if not session_id:
        raise CommandError("the session id is empty: agentmark api sessions list shows the ids")
    answer = ask_server(remote, f"/v1/sessions/{segment(session_id)}", limit=limit, offset=offset)
    if print_for_programs(answer, output, "traces"):
        return
    session = row_of(answer.body.get("data"))
    rows = rows_of(session.get("traces"))
    page = Page(answer.body, len(rows), offset or 0)
    _print_header(session)
    typer.echo()
    if not rows:
        typer.echo(page.nothing("No traces.", filtered=False))
        return
    out = console()
    out.print(table(TRACE_COLUMNS, rows, out.width))
    again = command("sessions", "get", session_id, limit=limit, remote=remote)
    typer.echo(page.summary("traces", again, by_cursor=False))


def _print_header(session: Row) -> None:
    from rich.table import Table  # noqa: PLC0415 - what prints JSON starts faster without it

    block = Table.grid(padding=(0, 2))
    block.add_column(style="bold", no_wrap=True)
    block.add_column(overflow="fold")
    for label, value in _header(session):
        if value:
            block.add_row(label, text(value))
    console().print(block)


def _header(session: Row) -> list[tuple[str, str]]:
    get = session.get
    return [
        ("Session", str(get("id"))),
        ("Name", one_line(get("name") or "")),
        ("User", _joined(get("user_ids") or [get("user_id")])),
        ("Status", str(get("status") or "")),
        ("Started", long_time(get("start"))),
        ("Ended", long_time(get("end"))),
        ("Duration", f"{duration(get('duration_ms'))}, {duration(get('latency_ms'))} per trace"),
        ("Contains", _contents(session)),
        ("Tokens", _tokens(session)),
        ("Cost", _cost(session)),
        *((label, _joined(get(label.lower()))) for label in ("Models", "Agents", "Services")),
        *((label, _joined(get(label.lower()))) for label in ("Environments", "Releases", "Tags")),
        (
            "Metadata",
            ", ".join(f"{key}={one_line(str(value))}" for key, value in (get("metadata") or {}).items()),
        ),
        ("Input", one_line(get("input_preview") or "")),
        ("Output", one_line(get("output_preview") or "")),
    ]


def _joined(values: list[str | None] | None) -> str:
    return ", ".join(one_line(str(value)) for value in values or [] if value is not None)


def _contents(session: Row) -> str:
    nouns = {
        "trace": "traces",
        "span": "spans",
        "call": "calls",
        "error": "errors",
        "failed_trace": "failed traces",
    }
    counts = {words: session.get(f"{noun}_count") for noun, words in nouns.items()}
    return ", ".join(f"{count(n)} {words.removesuffix('s') if n == 1 else words}" for words, n in counts.items())


def _tokens(session: Row) -> str:
    said = f"{count(session.get('total_tokens'))}: "
    said += f"{count(session.get('input_tokens'))} in, {count(session.get('output_tokens'))} out"
    for kind in ("cached", "reasoning"):
        if number := session.get(f"{kind}_tokens"):
            said += f", {count(number)} {kind}"
    unmetered = session.get("unmetered_calls")
    return f"{said} ({unmetered} calls did not say)" if unmetered else said


def _cost(session: Row) -> str:
    unpriced = session.get("unpriced_calls")
    said = money(session.get("total_cost"))
    return f"{said} ({unpriced} calls without a known price)" if unpriced else said


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

TRACE_COLUMNS = [
    Column("started", lambda row: text(short_time(row.get("start"))), worth=9),
    Column("name", lambda row: text(_called(row)), worth=10, share=0.2),
    Column(
        "status",
        lambda row: text(row.get("status") or "", "red" if row.get("status") == "error" else ""),
        worth=6,
    ),
    Column("duration", lambda row: text(duration(row.get("duration_ms"))), worth=5, right=True),
    Column("spans", lambda row: text(count(row.get("span_count"))), worth=1, right=True),
    Column("tokens", lambda row: text(count(row.get("total_tokens"))), worth=3, right=True),
    Column("cost", lambda row: text(_cost_cell(row)), worth=7, right=True),
    Column("errors", lambda row: text(*_errors(row)), worth=2, right=True),
    Column("input", lambda row: text(one_line(row.get("input_preview") or "")), worth=4, share=0.25),
]
