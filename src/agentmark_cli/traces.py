"""`agentmark api traces`: lists traces, and shows one with its spans as a tree."""

from typing import TYPE_CHECKING, Annotated

import typer

from agentmark_cli.asking import (
    Cursor,
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
from agentmark_cli.waterfall import waterfall

if TYPE_CHECKING:
    from rich.text import Text

traces = typer.Typer(help="Traces: each is one request, turn or run, with all of its spans.")


@traces.command("list")
def list_traces(
    *,
    limit: Limit = None,
    offset: Offset = None,
    cursor: Cursor = None,
    session_id: Annotated[str | None, typer.Option(help="Only traces with spans of this session.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Only traces of this user.")] = None,
    name: Annotated[str | None, typer.Option(help="Only traces with this text in their name.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those that are ok, error or unset.")] = None,
    model: Annotated[str | None, typer.Option(help="Only traces that called this model.")] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    sort_by: SortBy = None,
    sort_order: SortOrder = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """List traces, the latest first, also those that are in no session.

    \b
    Examples:
      agentmark api traces list --status error
      agentmark api traces list --model gpt-4o --sort-by total_cost
      agentmark api traces list --session-id session-1712764245 --output csv
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    filters = {"session_id": session_id, "user_id": user_id, "name": name, "status": status, "model": model}
    filters |= {"start_date": start_date, "end_date": end_date}
    order = {"sort_by": sort_by, "sort_order": sort_order}
    answer = ask_server(remote, "/v1/traces", limit=limit, offset=offset, cursor=cursor, **filters, **order)
    if print_for_programs(answer, output):
        return
    rows = rows_of(answer.body.get("data"))
    page = Page(answer.body, len(rows), offset or 0)
    if not rows:
        nothing = "No traces yet: agentmark demo writes a few."
        typer.echo(page.nothing(nothing, filtered=any(filters.values()), noun="trace"))
        return
    out = console()
    out.print(table(COLUMNS, rows, out.width))
    again = command("traces", "list", limit=limit, remote=remote, **filters, **order)
    typer.echo(page.summary("traces", again, by_cursor=offset is None))


@traces.command("get")
def get_trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="The trace's id, as `list` shows it.")],
    limit: Annotated[int | None, typer.Option(help="How many spans to show at most.")] = None,
    offset: Offset = None,
    include: Annotated[
        str | None, typer.Option(help="`content`: with what the spans hold, as JSON alone shows it.")
    ] = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """Show one trace with its spans as a tree, and when each of them ran.

    \b
    Examples:
      agentmark api traces get 5b8efff798038103d269b633813fc60c
      agentmark api traces get 5b8efff798038103d269b633813fc60c --output json | jq '.data.spans[].name'
    """  # noqa: D301 - as above
    path = f"/v1/traces/{segment(trace_id)}"
    answer = ask_server(remote, path, limit=limit, offset=offset, include=include)
    if print_for_programs(answer, output, "spans"):
        return
    trace = row_of(answer.body.get("data"))
    spans = rows_of(trace.get("spans"))
    page = Page(answer.body, len(spans), offset or 0)
    out = console()
    out.print(_header(trace))
    out.print()
    out.print(waterfall(trace, spans, out.width))
    again = command("traces", "get", trace_id, limit=limit, remote=remote)
    typer.echo(page.summary("spans", again, by_cursor=False))


def _header(trace: Row) -> "Text":
    """What matters of a trace, on two lines."""
    get = trace.get
    status = str(get("status") or "")
    title = text(one_line(get("name") or ""), "bold")
    title.append(f"  {get('id')}", "dim")
    facts = [
        status if status != "unset" else "",
        long_time(get("start")),
        duration(get("duration_ms")),
        f"{count(get('span_count'))} spans",
        f"{count(get('call_count'))} calls",
        f"{count(get('error_count'))} errors" if get("error_count") else "",
        f"{count(get('total_tokens'))} tokens",
        money(get("total_cost")),
        *(f"in {one_line(str(session))}" for session in get("session_ids") or []),
    ]
    return title.append("\n").append(text(", ".join(fact for fact in facts if fact)))


COLUMNS = [
    Column("id", lambda row: text(row.get("id")), worth=10, least=32, whole=True),
    Column("name", lambda row: text(one_line(row.get("name") or "")), worth=9, share=0.2),
    Column("started", lambda row: text(short_time(row.get("start"))), worth=8),
    Column(
        "status",
        lambda row: text(row.get("status") or "", "red" if row.get("status") == "error" else ""),
        worth=6,
    ),
    Column("duration", lambda row: text(duration(row.get("duration_ms"))), worth=7, right=True),
    Column("spans", lambda row: text(count(row.get("span_count"))), worth=2, right=True),
    Column("tokens", lambda row: text(count(row.get("total_tokens"))), worth=4, right=True),
    Column("cost", lambda row: text(money(row.get("total_cost"))), worth=5, right=True),
    Column(
        "session",
        lambda row: text(one_line(", ".join(map(str, row.get("session_ids") or [])))),
        worth=3,
        share=0.2,
    ),
    Column("input", lambda row: text(one_line(row.get("input_preview") or "")), worth=1, share=0.25),
]
