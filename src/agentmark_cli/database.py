"""`agentmark db`: what is done to a database while no server uses it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agentmark_cli.errors import CommandError
from agentmark_cli.output import count

DATABASE = Path(".agentmark/agentmark.db")
DatabaseOption = Annotated[
    Path, typer.Option(dir_okay=False, help="The database's file; it is made when missing.")
]
PricesOption = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="A JSON file of your own prices, asked before the built-in table."),
]

database = typer.Typer(help="Work on a database while no server uses it.")


@database.command()
def rebuild(db: DatabaseOption = DATABASE, prices: PricesOption = None) -> None:
    """Derive every session anew from the spans as they were received.

    Needed after an upgrade that reads more conventions; with the same rules it changes nothing.

    \b
    Example:
      agentmark db rebuild --db .agentmark/agentmark.db
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    _derive_anew(db, prices)


@database.command()
def reprice(db: DatabaseOption = DATABASE, prices: PricesOption = None) -> None:
    """Price every call anew: by your own prices first, then by the table of the installed genai-prices.

    Costs that a program stated itself stay. For newer prices upgrade genai-prices first.

    \b
    Example:
      agentmark db reprice --prices prices.json
    """  # noqa: D301 - as above
    _derive_anew(db, prices)


def _derive_anew(db: Path, prices: Path | None) -> None:
    """Both are one work: what a call costs is derived from its span, as all else is."""
    # As in `agentmark dev`: the other commands need not wait for these.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from agentmark_server.decoding import SpanReader  # noqa: PLC0415
    from agentmark_server.pricing import Prices, PricesError  # noqa: PLC0415
    from agentmark_server.store import StoreError, open_store  # noqa: PLC0415

    if not db.exists():
        raise CommandError(f"there is no database {db}: name it with --db")
    try:
        store = open_store(db, SpanReader(Prices(prices)))
        on_terminal = sys.stderr.isatty()
        with Progress(transient=True, console=Console(stderr=True), disable=not on_terminal) as progress:
            task = progress.add_task("Deriving", total=None)
            spans = store.rebuild(lambda done, total: progress.update(task, completed=done, total=total))
        store.close()
    except (StoreError, PricesError) as error:
        raise CommandError(str(error)) from error
    typer.echo(f"Derived {count(spans)} spans anew.")
