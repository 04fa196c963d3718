"""What a dialect is made of: for each attribute key, the field that it fills and how its value is read."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from agentmark_server.model import PICO, PREVIEW, Kind, Role, Value

TEXT_LIMIT: Final = 512
"""Characters of an id. A longer one is cut, with its hash appended so that it stays apart from others."""
TOKENS_LIMIT: Final = 10**12
"""More tokens than this in one span are no measurement; it also keeps every sum far below 2^63."""
DOLLARS_LIMIT: Final = 10**5
"""The same for money: as 1e-12 dollars, sums of it must fit into 63 bits."""

_SCRUBBED: Final = "[Scrubbed due to "
"""What Logfire writes in place of a value that looks like a secret: it says nothing of the value."""

# Ranks of session keys: on one span the smaller wins.
OWN, LANGFUSE, GENERAL, GENAI_SESSION, SESSION, THREAD, CONVERSATION, BARE, RESOURCE = range(9)

Reader = Callable[[Value], Any]
"""A value as the field wants it, or None where it says nothing."""


class Rule(msgspec.Struct, frozen=True):
    """Which field a key fills. Where several keys of a span fill one field, the smallest rank wins.

    The field `SPREAD` stands for several: its reader gives them by name.
    """

    field: str
    read: Reader
    rank: int = 0


SPREAD: Final = "*"
METADATA: Final = "metadata"
"""The field of an object that holds metadata, and among that perhaps the session and the user."""
CONTEXT: Final = frozenset(
    ("key", "framework_key", "session_name", "user_id", "tags", "environment", "release", "outcome", METADATA)
)
"""Fields of a span's surroundings, which are the same for many spans."""
KEY: Final = "key"
"""The field of session keys that the application sets: every one is kept."""
FRAMEWORK_KEY: Final = "framework_key"
"""The field of session keys that a framework sets."""

Table = Mapping[str, Rule]
Prefixes = Mapping[str, str]
"""Beginnings of keys: for each, the field that takes the rest of the key and the value (only `metadata`)."""


def text(value: Value) -> str | None:
    """Any value as text, without white space at its ends; an empty one is none."""
    plain = value if isinstance(value, str) else "" if value is None else as_json(value)
    plain = plain.strip()
    if plain.startswith(_SCRUBBED):
        return None
    if len(plain) <= TEXT_LIMIT:
        return plain or None
    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    return f"{plain[: TEXT_LIMIT - 17]}~{digest}"


def json_text(value: Value) -> str | None:
    """A text that is written as JSON, in quotes; or any other value."""
    inner = parsed(value) if isinstance(value, str) and value[:1] == '"' else value
    return text(value if inner is None else inner)


def as_json(value: Value) -> str:
    """A value that is not text, as JSON; bytes in hex."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=lambda other: other.hex())


def tokens(value: Value) -> int | None:
    """A count of tokens, also where a program wrote it as text."""
    try:
        count = int(value)  # type: ignore[arg-type]  # what int() refuses is no count
    except (TypeError, ValueError, OverflowError):
        return None
    return count if 0 <= count <= TOKENS_LIMIT else None


def dollars(value: Value) -> int | None:
    """An amount of US dollars, in 1e-12 of them; 0 says nothing: programs write it that know no price."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not math.isfinite(amount) or not 0 < amount <= DOLLARS_LIMIT:
        return None
    return round(amount * PICO)


def preview(value: Value) -> str | None:
    """The start of a text, on one line."""
    plain = value if isinstance(value, str) else "" if value is None else as_json(value)
    start = plain[:PREVIEW]
    if len(plain) > PREVIEW and start.isprintable() and start[0] != " " and "  " not in start:
        return start  # most are on one line already
    line = " ".join(plain[: 2 * PREVIEW].split())
    if len(line) < PREVIEW < len(plain) // 2:  # so much white space is rare
        line = " ".join(plain.split())
    return line[:PREVIEW] or None


def texts(value: Value) -> tuple[str, ...] | None:
    """A list of texts: an array, a JSON list in a string, or one text."""
    if isinstance(value, str) and value.startswith("["):
        value = parsed(value)
    items = value if isinstance(value, list) else [value]
    return tuple(sorted({item for item in map(text, items) if item})) or None


def parsed(value: Value) -> Any:
    """What a JSON text says; None for text that is none; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return None


def kinds(table: Mapping[str, tuple[Kind, Role]]) -> Reader:
    """Read the name of a kind of span by a table, in any case; a name that is not there says nothing."""

    def read(value: Value) -> tuple[Kind, Role] | None:
        # Some write the name as JSON, in quotes.
        return table.get(value.strip('"').lower()) if isinstance(value, str) else None

    return read


def _at(shape: Any, path: str) -> Any:
    for name in path.split("."):
        shape = shape.get(name) if isinstance(shape, dict) else None
    return shape


def usage(fields: Mapping[str, str]) -> Reader:
    """Read tokens, and costs where a field is one, of a JSON object by a table of its names; a dot goes deeper."""

    def read(value: Value) -> dict[str, int] | None:
        shape = parsed(value)
        if not isinstance(shape, dict):
            return None
        found: dict[str, int] = {}
        for name, field in fields.items():
            count = (dollars if field == "cost" else tokens)(_at(shape, name))
            if count is not None:
                found.setdefault(field, count)
        return found or None

    return read
