"""Assembles the commands, and turns their errors into one line and an exit code."""

import io
import os
import sys
from collections.abc import Sequence

import typer

from agentmark_cli.database import database
from agentmark_cli.demo import demo
from agentmark_cli.dev import dev
from agentmark_cli.doctor import doctor
from agentmark_cli.init import init
from agentmark_cli.output import one_line
from agentmark_cli.run_prompt import run_prompt
from agentmark_cli.scores import scores
from agentmark_cli.session_changes import delete_session, update_session
from agentmark_cli.session_export import export_session
from agentmark_cli.sessions import sessions
from agentmark_cli.spans import spans
from agentmark_cli.traces import traces
from agentmark_cli.users import users

app = typer.Typer(
    name="agentmark",
    help="Record, receive and look at the sessions of language model programs.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
api = typer.Typer(help="Ask a running server; the local one, or with --remote the gateway.")


@app.callback(invoke_without_command=True)
@api.callback(invoke_without_command=True)
@sessions.callback(invoke_without_command=True)
@traces.callback(invoke_without_command=True)
@spans.callback(invoke_without_command=True)
@users.callback(invoke_without_command=True)
@scores.callback(invoke_without_command=True)
@database.callback(invoke_without_command=True)
def show_help(context: typer.Context) -> None:
    """Show the commands of a group that is called without one."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(dev)
app.command()(demo)
app.command()(init)
app.command("run-prompt")(run_prompt)
app.command()(doctor)
app.add_typer(api, name="api")
app.add_typer(database, name="db")
api.add_typer(sessions, name="sessions")
api.add_typer(traces, name="traces")
api.add_typer(spans, name="spans")
api.add_typer(users, name="users")
api.add_typer(scores, name="scores")
sessions.command("update")(update_session)
sessions.command("delete")(delete_session)
sessions.command("export")(export_session)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    _never_fail_to_print()
    try:
        code = app(arguments, prog_name="agentmark", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        typer.echo(one_line(error.format_message()), err=True)
        return error.exit_code
    except typer.Abort:
        return 130
    except BrokenPipeError:
        # Whoever reads our output has seen enough (`| head`); Python flushes once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _never_fail_to_print() -> None:
    """Let a terminal that cannot show a character have its escape sequence, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
