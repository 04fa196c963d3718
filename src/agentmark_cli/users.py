"""`agentmark api users`: lists the users of sessions."""

from typing import Annotated

import typer

from agentmark_cli.asking import (
    Cursor,
    EndDate,
    Format,
    Limit,
    Offset,
    Page,
    Remote,
    SortOrder,
    StartDate,
    ask_server,
    command,
    print_for_programs,
    rows_of,
)
from agentmark_cli.output import Column, console, count, money, one_line, short_time, table, text

users = typer.Typer(help="Users: who the sessions are of.")


@users.command("list")
def list_users(
    limit: Limit = None,
    offset: Offset = None,
    cursor: Cursor = None,
    search: Annotated[str | None, typer.Option(help="Only users with this text in their id.")] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    sort_by: Annotated[
        str | None, typer.Option(help="What to sort by: last_seen, total_cost, total_tokens, session_count ...")
    ] = None,
    sort_order: SortOrder = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """List users, the last seen first, each with the sums over its sessions.

    With dates the sums are over the sessions that overlap their range.

    \b
    Examples:
      agentmark api users list --sort-by total_cost --limit 10
      agentmark api users list --start-date 2026-11-01 --end-date 2026-11-30 --output csv
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    filters = {"search": search, "start_date": start_date, "end_date": end_date}
    order = {"sort_by": sort_by, "sort_order": sort_order}
    answer = ask_server(remote, "/v1/users", limit=limit, offset=offset, cursor=cursor, **filters, **order)
    if print_for_programs(answer, output):
        return
    rows = rows_of(answer.body.get("data"))
    page = Page(answer.body, len(rows), offset or 0)
    if not rows:
        nothing = "No users yet: trace(user_id=...) says whose a session is."
        typer.echo(page.nothing(nothing, filtered=any(filters.values()), noun="user"))
        return
    out = console()
    out.print(table(COLUMNS, rows, out.width))
    again = command("users", "list", limit=limit, remote=remote, **filters, **order)
    typer.echo(page.summary("users", again, by_cursor=offset is None))


COLUMNS = [
    Column("user", lambda row: text(one_line(row.get("id") or "")), worth=10, least=20, whole=True),
    Column("sessions", lambda row: text(count(row.get("session_count"))), worth=9, right=True),
    Column("traces", lambda row: text(count(row.get("trace_count"))), worth=3, right=True),
    Column("tokens", lambda row: text(count(row.get("total_tokens"))), worth=5, right=True),
    Column("cost", lambda row: text(money(row.get("total_cost"))), worth=8, right=True),
    Column("errors", lambda row: text(count(row.get("error_count"))), worth=6, right=True),
    Column("first seen", lambda row: text(short_time(row.get("first_seen"))), worth=1),
    Column("last seen", lambda row: text(short_time(row.get("last_seen"))), worth=7),
]
