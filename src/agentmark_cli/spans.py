"""`agentmark api spans`: lists spans of all traces, and shows one with what it holds."""

import json
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
    UNKNOWN,
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

if TYPE_CHECKING:
    from rich.table import Table

spans = typer.Typer(help="Spans: calls of models and tools, and whatever else a program recorded.")


@spans.command("list")
def list_spans(
    *,
    limit: Limit = None,
    offset: Offset = None,
    cursor: Cursor = None,
    trace_id: Annotated[str | None, typer.Option(help="Only spans of this trace.")] = None,
    session_id: Annotated[str | None, typer.Option(help="Only spans that this session owns.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Only spans of this user.")] = None,
    name: Annotated[str | None, typer.Option(help="Only spans with this text in their name.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only spans of this kind: llm, tool, agent and so on.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those that are ok, error or unset.")] = None,
    model: Annotated[str | None, typer.Option(help="Only calls of this model.")] = None,
    start_date: StartDate = None,
    end_date: EndDate = None,
    sort_by: SortBy = None,
    sort_order: SortOrder = None,
    include: Annotated[
        str | None, typer.Option(help="`content`: with what the spans hold, which a table does not show.")
    ] = None,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """List spans of all traces, the latest first.

    \b
    Examples:
      agentmark api spans list --kind tool --status error
      agentmark api spans list --model gpt-4o --sort-by duration_ms --limit 10
      agentmark api spans list --session-id session-1712764245 --include content --output jsonl
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    filters = {"trace_id": trace_id, "session_id": session_id, "user_id": user_id, "name": name, "kind": kind}
    filters |= {"status": status, "model": model, "start_date": start_date, "end_date": end_date}
    order = {"sort_by": sort_by, "sort_order": sort_order}
    answer = ask_server(
        remote, "/v1/spans", limit=limit, offset=offset, cursor=cursor, include=include, **filters, **order
    )
    if print_for_programs(answer, output):
        return
    rows = rows_of(answer.body.get("data"))
    page = Page(answer.body, len(rows), offset or 0)
    if not rows:
        nothing = "No spans yet: agentmark demo writes a few."
        typer.echo(page.nothing(nothing, filtered=any(filters.values()), noun="span"))
        return
    out = console()
    out.print(table(COLUMNS, rows, out.width))
    again = command("spans", "list", limit=limit, remote=remote, **filters, **order)
    typer.echo(page.summary("spans", again, by_cursor=offset is None))


@spans.command("get")
def get_span(
    trace_id: Annotated[str, typer.Argument(metavar="TRACE", help="The id of its trace.")],
    span_id: Annotated[str, typer.Argument(metavar="ID", help="The span's id: in its trace it is the only one.")],
    remote: Remote = False,
    output: Format = None,
) -> None:
    """Show one span with its messages and attributes.

    \b
    Examples:
      agentmark api spans get 5b8efff798038103d269b633813fc60c eee19b7ec3c1b174
      agentmark api spans get 5b8efff798038103d269b633813fc60c eee19b7ec3c1b174 --output json | jq .data.messages
    """  # noqa: D301 - as above
    answer = ask_server(remote, f"/v1/traces/{segment(trace_id)}/spans/{segment(span_id)}")
    if print_for_programs(answer, output):
        return
    span = row_of(answer.body.get("data"))
    out = console()
    out.print(_grid([(label, value) for label, value in _header(span) if value]))
    for title, values in _content(span):
        if values:
            out.print()
            out.print(text(title, "bold"))
            out.print(_grid(values))


def _grid(pairs: list[tuple[str, str]]) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - what prints JSON starts faster without it
    from rich.text import Text  # noqa: PLC0415 - the same

    block = Table.grid(padding=(0, 2))
    block.add_column(style="dim", overflow="fold", ratio=1)
    block.add_column(overflow="fold", ratio=3)
    for label, value in pairs:
        block.add_row(text(label), Text("\n").join(text(line) for line in value.split("\n")))
    return block


def _header(span: Row) -> list[tuple[str, str]]:
    get = span.get
    lasted = duration(get("duration_ms"))
    tokens = f"{count(get('input_tokens'))} in, {count(get('output_tokens'))} out"
    message = one_line(get("status_message") or "")
    status = str(get("status") or "")
    return [
        ("Span", str(get("id"))),
        ("Trace", str(get("trace_id"))),
        ("Parent", str(get("parent_id") or "")),
        ("Session", one_line(get("session_id") or "")),
        ("User", one_line(get("user_id") or "")),
        ("Name", one_line(get("name") or "")),
        ("Kind", str(get("kind") or "")),
        ("Status", f"{status}: {message}" if message else status),
        ("Started", f"{long_time(get('start'))}, {lasted}"),
        ("Model", one_line(" ".join(filter(None, (get("provider"), get("model")))))),
        ("Tokens", "" if get("total_tokens") is None else tokens),
        ("Cost", "" if get("cost") is None else money(get("cost"))),
        ("Prompt", one_line(get("prompt_name") or "")),
        ("Written by", one_line(" ".join(filter(None, (get("service_name"), get("scope_name")))))),
    ]


def _content(span: Row) -> list[tuple[str, list[tuple[str, str]]]]:
    """The parts of what a span holds, each with a title."""
    messages = span.get("messages") or {}
    return [
        ("Input", [_message(message) for message in messages.get("input") or []]),
        ("Output", [_message(message) for message in messages.get("output") or []]),
        ("Attributes", [(key, _value(value)) for key, value in (span.get("attributes") or {}).items()]),
        ("Events", [(event["name"], _value(event["attributes"])) for event in span.get("events") or []]),
        ("Links", [(link["trace_id"], link["span_id"]) for link in span.get("links") or []]),
    ]


def _message(message: Row) -> tuple[str, str]:
    return str(message["role"]), "\n".join(_part(part) for part in message["parts"])


def _part(part: Row) -> str:
    """What a part says; of a call and a result, which tool it is too."""
    match part.get("type"):
        case "text" | "reasoning":
            return str(part["content"])
        case "tool_call":
            return f"{part['name']}({_value(part['arguments'])})"
        case "tool_result":
            return f"{part.get('name') or part.get('id') or 'result'}: {_value(part['content'])}"
        case _:
            return _value({key: value for key, value in part.items() if key != "type"})


def _value(value: object) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _tokens(row: Row) -> str:
    return UNKNOWN if row.get("total_tokens") is None else count(row.get("total_tokens"))


COLUMNS = [
    Column("id", lambda row: text(row.get("id")), worth=9, least=16, whole=True),
    Column("trace", lambda row: text(row.get("trace_id")), worth=4, least=32, whole=True),
    Column(
        "name",
        lambda row: text(one_line(row.get("name") or ""), "red" if row.get("status") == "error" else ""),
        worth=10,
        share=0.25,
    ),
    Column("kind", lambda row: text(row.get("kind") or ""), worth=7),
    Column("started", lambda row: text(short_time(row.get("start"))), worth=8),
    Column("duration", lambda row: text(duration(row.get("duration_ms"))), worth=6, right=True),
    Column("model", lambda row: text(one_line(row.get("model") or "")), worth=5, share=0.15),
    Column("tokens", lambda row: text(_tokens(row)), worth=3, right=True),
    Column("cost", lambda row: text(money(row.get("cost"))), worth=2, right=True),
]
