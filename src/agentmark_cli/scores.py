"""`agentmark api scores`: lists, adds and deletes what is thought of sessions, traces and spans."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from agentmark_cli.asking import (
    Cursor,
    Format,
    Limit,
    Offset,
    Page,
    Remote,
    SortOrder,
    ask_server,
    command,
    print_for_programs,
    rows_of,
    segment,
)
from agentmark_cli.client import Answer, local_gateway, remote_gateway, send
from agentmark_cli.errors import CommandError
from agentmark_cli.output import Column, console, one_line, print_json, short_time, table, text

scores = typer.Typer(help="Scores: what people or evaluations think of sessions, traces and spans.")


class Resource(StrEnum):
    """What a score can be of."""

    SESSION = "session"
    TRACE = "trace"
    SPAN = "span"


@scores.command("list")
def list_scores(
    *,
    limit: Limit = None,
    offset: Offset = None,
    cursor: Cursor = None,
    resource_type: Annotated[Resource | None, typer.Option(help="Only scores of these.")] = None,
    resource_id: Annotated[str | None, typer.Option(help="Only scores of this session, trace or span.")] = None,
    trace_id: Annotated[str | None, typer.Option(help="Only scores of this trace and of its spans.")] = None,
    name: Annotated[str | None, typer.Option(help="Only scores of this name.")] = None,
    source: Annotated[str | None, typer.Option(help="Only scores from this source.")] = None,
    min_score: Annotated[str | None, typer.Option(help="Only scores as high as this.")] = None,
    max_score: Annotated[str | None, typer.Option(help="Only scores as low as this.")] = None,
    start_date: Annotated[str | None, typer.Option(help="Made then or later: a time or a date, in UTC.")] = None,
    end_date: Annotated[
        str | None, typer.Option(help="Made then or earlier; of a date, on the whole day.")
    ] = None,
    sort_order: SortOrder = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """List scores, the latest first.

    \b
    Examples:
      agentmark api scores list --name helpful --max-score 0
      agentmark api scores list --resource-type session --resource-id chat-1
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    filters = {"resource_type": resource_type, "resource_id": resource_id, "trace_id": trace_id, "name": name}
    filters |= {"source": source, "min_score": min_score, "max_score": max_score}
    filters |= {"start_date": start_date, "end_date": end_date}
    asked = {"limit": limit, "sort_order": sort_order, **filters}
    answer = ask_server(remote, "/v1/scores", offset=offset, cursor=cursor, **asked)
    if print_for_programs(answer, output):
        return
    rows = rows_of(answer.body.get("data"))
    page = Page(answer.body, len(rows), offset or 0)
    if not rows:
        nothing = "No scores yet: agentmark api scores add adds one."
        typer.echo(page.nothing(nothing, filtered=any(filters.values()), noun="score"))
        return
    out = console()
    out.print(table(COLUMNS, rows, out.width))
    typer.echo(page.summary("scores", command("scores", "list", remote=remote, **asked), by_cursor=offset is None))


@scores.command("add")
def add_score(
    resource_type: Annotated[Resource, typer.Argument(metavar="session|trace|span", help="What it is of.")],
    resource_id: Annotated[str, typer.Argument(metavar="ID", help="Of the session, the trace or the span.")],
    name: Annotated[str, typer.Option(help="What is scored: correct, helpful and so on.")],
    score: Annotated[float, typer.Option(help="The number.")],
    trace_id: Annotated[str | None, typer.Option(help="Of a span: the trace that it is in.")] = None,
    label: Annotated[str | None, typer.Option(help="The score in a word.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is so.")] = None,
    source: Annotated[str, typer.Option(help="Who says so.")] = "cli",
    score_id: Annotated[
        str | None, typer.Option("--id", help="An id of your own: used again it replaces that score.")
    ] = None,
    remote: Remote = False,
) -> None:
    """Score a session, a trace or a span, and print the score's id.

    \b
    Examples:
      agentmark api scores add session chat-1 --name helpful --score 1
      agentmark api scores add trace 5b8efff798038103d269b633813fc60c --name correct --score 0
    """  # noqa: D301 - as above
    said: dict[str, str | float | None] = {
        "resource_type": resource_type,
        "resource_id": resource_id,
        "trace_id": trace_id,
        "name": name,
    }
    said |= {"score": score, "label": label, "reason": reason, "source": source, "id": score_id}
    body = {key: value for key, value in said.items() if value is not None}
    print_json(_send(remote, "POST", "/v1/scores", body).raw)


@scores.command("delete")
def delete_score(
    score_id: Annotated[str, typer.Argument(metavar="ID", help="The score's id, as `list` shows it.")],
    remote: Remote = False,
) -> None:
    """Delete a score, and print its id.

    \b
    Examples:
      agentmark api scores delete 3e6f0f0c-3ad1-4b5e-9d80-0a4f8a2c1b7d
    """  # noqa: D301 - as above
    if not score_id:
        raise CommandError("the score id is empty: agentmark api scores list shows the ids")
    print_json(_send(remote, "DELETE", f"/v1/scores/{segment(score_id)}").raw)


def _send(remote: bool, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    return send(remote_gateway() if remote else local_gateway(), method, path, body)


COLUMNS = [
    Column("id", lambda row: text(row.get("id")), worth=8, least=12, whole=True),
    Column("of", lambda row: text(row.get("resource_type") or ""), worth=5),
    Column("resource", lambda row: text(one_line(row.get("resource_id") or "")), worth=6, least=16),
    Column("name", lambda row: text(one_line(row.get("name") or "")), worth=10, least=8),
    Column("score", lambda row: text(f"{row.get('score') or 0:g}"), worth=9, right=True),
    Column("label", lambda row: text(one_line(row.get("label") or "")), worth=4, share=0.1),
    Column("reason", lambda row: text(one_line(row.get("reason") or "")), worth=3, share=0.2),
    Column("source", lambda row: text(one_line(row.get("source") or "")), worth=1),
    Column("made", lambda row: text(short_time(row.get("created_at"))), worth=2),
]
