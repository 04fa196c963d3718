"""The statements of `statements.sql`, by name."""

import re
from importlib.resources import files
from typing import Any, Final

import apsw


def _load() -> dict[str, str]:
    source = (files(__package__) / "statements.sql").read_text(encoding="utf-8")
    blocks = re.split(r"^-- name: (\w+)\n", source, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(blocks[::2], blocks[1::2], strict=True)}


SQL: Final = _load()

Row = tuple[Any, ...]


def rows(connection: apsw.Connection, statement: str, *bindings: Any) -> list[Row]:
    """All rows that a named statement gives."""
    return connection.execute(SQL[statement], bindings).fetchall()


def one(connection: apsw.Connection, statement: str, *bindings: Any) -> Any:
    """The first row of a named statement, or its only column; None without a row."""
    return connection.execute(SQL[statement], bindings).get
