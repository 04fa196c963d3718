"""What the commands that ask a server share: options, the question, pages of rows."""

import shlex
from typing import Annotated, Any
from urllib.parse import quote

import typer

from agentmark_cli.client import Answer, Gateway, Parameter, ask, local_gateway, remote_gateway
from agentmark_cli.errors import CommandError
from agentmark_cli.output import UNKNOWN, Output, Row, print_csv, print_json, print_lines, visible

Limit = Annotated[int | None, typer.Option(help="How many to show at most (the server's default is 50).")]
Offset = Annotated[int | None, typer.Option(help="How many to leave out at the beginning.")]
Cursor = Annotated[str | None, typer.Option(help="Go on where an earlier page ended.")]
StartDate = Annotated[str | None, typer.Option(help="Only what ended then or later: a time or a date, in UTC.")]
EndDate = Annotated[str | None, typer.Option(help="Only what began then or earlier; of a date, on the whole day.")]
SortBy = Annotated[str | None, typer.Option(help="What to sort by: start, duration_ms, total_tokens and so on.")]
SortOrder = Annotated[str | None, typer.Option(help="asc or desc; by default desc.")]
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


def ask_server(remote: bool, path: str, **parameters: Parameter) -> Answer:
    """Ask the local server, or the remote one, as `client.ask` does."""
    return ask(gateway_of(remote), path, **parameters)


def gateway_of(remote: bool) -> Gateway:
    """Return the server that `--remote` means, or the local one."""
    return remote_gateway() if remote else local_gateway()


def segment(id_: str) -> str:
    """Make an id one segment of a path. Dots alone would be taken for a step up, by clients and proxies."""
    if id_ in {".", ".."}:
        return id_.replace(".", "%2E")
    return quote(id_, safe="", errors="surrogateescape")


def print_for_programs(answer: Answer, wanted: Output | None, rows: str | None = None) -> bool:
    """Print an answer as a program reads it, and say whether that was wanted; else people want a table.

    `rows` names the list inside of one thing of which jsonl and csv show the rows.
    """
    match Output.chosen(wanted):
        case Output.TABLE:
            return False
        case Output.JSON:
            print_json(answer.raw)
        case Output.JSONL:
            print_lines(_things(answer, rows))
        case Output.CSV:
            print_csv(_things(answer, rows))
    return True


def _things(answer: Answer, rows: str | None) -> list[Row]:
    """The rows of a list, or the one thing."""
    data = answer.body.get("data")
    if rows is not None:
        data = row_of(data).get(rows)
    return rows_of(data) if isinstance(data, list) else [row_of(data)]


def rows_of(data: object) -> list[Row]:
    """Check that a server's answer is a list of things."""
    if not (isinstance(data, list) and all(isinstance(row, dict) for row in data)):
        raise CommandError("the server answered without a list: is it another version than this command?")
    return data


def row_of(data: object) -> Row:
    """Check that a server's answer is one thing."""
    if not isinstance(data, dict):
        raise CommandError("the server answered without an object: is it another version than this command?")
    return data


class Page:
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

    def nothing(self, otherwise: str, *, filtered: bool, noun: str = "session") -> str:
        """Why there are no rows."""
        if self.total:
            return f"None of the {self.total:,} is on this page: they end before it."
        return f"No {noun} matches." if filtered else otherwise


def command(*words: str, remote: bool, **options: Parameter) -> list[str]:
    """Write down a command that asks a server, for somebody to run."""
    written = ["agentmark", "api", *words, *(["--remote"] if remote else [])]
    for option, values in options.items():
        for value in [values] if isinstance(values, str | int) else values or ():
            written += [f"--{option.replace('_', '-')}", str(value)]
    return written
