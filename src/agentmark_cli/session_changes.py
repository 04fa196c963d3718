"""`agentmark api sessions update` and `delete`."""

import sys
from typing import Annotated

import typer

from agentmark_cli.asking import Format, Remote, gateway_of, print_for_programs, row_of, segment
from agentmark_cli.client import Gateway, ask, send
from agentmark_cli.errors import CommandError
from agentmark_cli.output import count, one_line, visible

SessionId = Annotated[str, typer.Argument(metavar="ID", help="The session's id, as `list` shows it.")]


def update_session(
    session_id: SessionId,
    name: Annotated[
        str | None, typer.Option(help='Its name from now on; "" leaves it to what its spans say.')
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag; may be given again. All tags given before are replaced.")
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take away the tags that were given.")] = False,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """Name or tag a session, whatever its spans say.

    \b
    Examples:
      agentmark api sessions update session-1712764245 --name "The refund that failed"
      agentmark api sessions update session-1712764245 --tag reviewed --tag billing
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    if tag and no_tags:
        raise CommandError("--tag and --no-tags exclude each other: give one of them")
    edit: dict[str, object] = {}
    if name is not None:
        edit["name"] = name
    if tag or no_tags:
        edit["tags"] = tag or []
    if not edit:
        raise CommandError("there is nothing to change: give --name, --tag or --no-tags")
    answer = send(gateway_of(remote), "PATCH", _path(session_id), edit)
    if print_for_programs(answer, output):
        return
    session = row_of(answer.body.get("data"))
    tags = ", ".join(session.get("tags") or ()) or "none"
    typer.echo(one_line(f"{session.get('id')}: name {session.get('name') or 'none'}, tags {tags}"))


def delete_session(
    session_id: SessionId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    remote: Remote = False,
    output: Format = None,
) -> None:
    """Delete a session with all of its spans, for good. On a terminal it asks first.

    \b
    Example:
      agentmark api sessions delete session-1712764245 --yes
    """  # noqa: D301 - as above
    gateway = gateway_of(remote)
    if not yes:
        _ask_first(gateway, session_id)
    answer = send(gateway, "DELETE", _path(session_id))
    if print_for_programs(answer, output):
        return
    gone = row_of(answer.body.get("data"))
    typer.echo(f"Deleted {visible(session_id)} with {count(gone.get('deleted_spans'))} spans.")


def _ask_first(gateway: Gateway, session_id: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("nobody can be asked here whether to delete it: give --yes")
    session = row_of(ask(gateway, _path(session_id), limit=1).body.get("data"))
    called = f" ({one_line(session['name'])})" if session.get("name") else ""
    holds = f"{count(session.get('trace_count'))} traces, {count(session.get('span_count'))} spans"
    if not typer.confirm(f"Delete {visible(session_id)}{called}: {holds}?", err=True):
        raise CommandError("nothing was deleted")


def _path(session_id: str) -> str:
    if not session_id:
        raise CommandError("the session id is empty: agentmark api sessions list shows the ids")
    return f"/v1/sessions/{segment(session_id)}"
