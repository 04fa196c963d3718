"""What a command says when it cannot do what was asked."""

import typer


class CommandError(typer.TyperException):
    """One line for the user, and exit code 1; `run` prints it."""
