"""What a dialect is made of: for each attribute key, the field that it fills and how its value is read."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from agentmark_server.model import PREVIEW, Value

TEXT_LIMIT: Final = 512
"""Characters of an id. A longer one is cut, with its hash appended so that it stays apart from others."""
TOKENS_LIMIT: Final = 10**12
"""More tokens than this in one span are no measurement; it also keeps every sum far below 2^63."""

Reader = Callable[[Value], Any]
"""A value as the field wants it, or None where it says nothing."""


class Rule(msgspec.Struct, frozen=True):
    """Which field a key fills. Where several keys of a span fill one field, the smallest rank wins."""

    field: str
    read: Reader
    rank: int = 0


def text(value: Value) -> str | None:
    """Any value as text, without white space at its ends; an empty one is none."""
    plain = value if isinstance(value, str) else "" if value is None else as_json(value)
    plain = plain.strip()
    if len(plain) <= TEXT_LIMIT:
        return plain or None
    digest = hashlib.sha256(plain.encode()).hexdigest()[:16]
    return f"{plain[: TEXT_LIMIT - 17]}~{digest}"


def as_json(value: Value) -> str:
    """A value that is not text, as JSON; bytes in hex."""
    return json.dumps(value, ensure_ascii=False, default=lambda other: other.hex())


def tokens(value: Value) -> int | None:
    """A count of tokens, also where a program wrote it as text."""
    try:
        count = int(value)  # type: ignore[arg-type]  # what int() refuses is no count
    except (TypeError, ValueError, OverflowError):
        return None
    return count if 0 <= count <= TOKENS_LIMIT else None


def preview(value: Value) -> str | None:
    """The start of a text, on one line."""
    plain = value if isinstance(value, str) else "" if value is None else as_json(value)
    line = " ".join(plain[: 4 * PREVIEW].split())
    return line[:PREVIEW] or None


def texts(value: Value) -> tuple[str, ...] | None:
    """A list of texts: an array, a JSON list in a string, or one text."""
    if isinstance(value, str) and value.startswith("["):
        value = parsed(value)
    items = value if isinstance(value, list) else [value]
    return tuple(sorted({item for item in map(text, items) if item})) or None


def parsed(value: Value) -> Any:
    """What a JSON text says; None for anything else."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return None
