"""The start of the newest message of a role, out of whatever JSON a convention keeps messages in."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from agentmark_server.conventions.rules import Reader, parsed, preview
from agentmark_server.model import PREVIEW, Value

_ROLES: Final = {
    "user": "user",
    "human": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
}
_DEPTH: Final = 8
"""How deep messages lie at most in what libraries write."""
_ENOUGH: Final = 4 * PREVIEW


class _Message(msgspec.Struct):
    """A message of OpenTelemetry's conventions, its parts still JSON."""

    role: str
    parts: msgspec.Raw


_messages: Final = msgspec.json.Decoder(list[_Message])


def _unread_messages(value: Value) -> list[Any] | None:
    """The messages of a JSON list in OpenTelemetry's shape, of which most are never read; None for another."""
    try:
        return _messages.decode(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def newest(role: str) -> Reader:
    """Read the newest message of a role; without one, nothing."""

    def read(value: Value) -> str | None:
        for unread in reversed(_unread_messages(value) or ()):
            if unread.role == role:
                said = preview(_texts_of(parsed(bytes(unread.parts).decode())))
                if said:
                    return said
        for message in _newest_first(parsed(value), _DEPTH):
            if _role(message) == role:
                said = preview(_said(message))
                if said:
                    return said
        return None

    return read


def newest_or_text(role: str) -> Reader:
    """Read the newest message of a role where the value holds messages, else the value's own text."""
    of_messages = newest(role)

    def read(value: Value) -> str | None:
        if isinstance(value, str) and value[:1] not in {"{", "[", '"'}:
            return preview(value)
        shape = parsed(value)
        if isinstance(shape, str):
            return preview(shape)
        return of_messages(shape) or preview(value)

    return read


def newest_of_indexed(role: str, pairs: Iterator[tuple[Value, Value]]) -> str | None:
    """The newest content of a role in pairs of role and content, the newest first."""
    for said_role, content in pairs:
        if _ROLES.get(str(said_role).lower()) == role:
            said = preview(_texts_of(parsed(content) if str(content)[:1] == "[" else content))
            if said:
                return said
    return None


def _newest_first(shape: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Everything in a JSON value that looks like a message, the last first."""
    if depth == 0:
        return
    if isinstance(shape, list):
        for item in reversed(shape):
            yield from _newest_first(item, depth - 1)
    elif isinstance(shape, dict):
        if _role(shape):
            yield shape
        else:
            for value in reversed(shape.values()):
                if isinstance(value, list | dict):
                    yield from _newest_first(value, depth - 1)


def _role(message: dict[str, Any]) -> str | None:
    """Who speaks: by `role`, LangChain's `type`, or the class that it names."""
    for name in (message.get("role"), message.get("type"), _class_name(message.get("id"))):
        if isinstance(name, str) and name.lower() in _ROLES:
            return _ROLES[name.lower()]
    return None


def _class_name(path: Any) -> Any:
    return path[-1] if isinstance(path, list) and path else None


def _said(message: dict[str, Any]) -> str:
    """A message's text, wherever its convention keeps it."""
    inner = message.get("data") or message.get("kwargs")
    holder = inner if isinstance(inner, dict) else message
    for name in ("content", "parts", "text"):
        said = _texts_of(holder.get(name))
        if said:
            return said
    return ""


def _texts_of(content: Any) -> str:
    """The texts of a content: text itself, or a list of parts."""
    if isinstance(content, str):
        return content
    found: list[str] = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, dict) and part.get("type", "text") in {"text", "input_text", "output_text"}:
            found.append(str(part.get("text") or part.get("content") or ""))
        if sum(map(len, found)) > _ENOUGH:
            break
    return " ".join(found)
