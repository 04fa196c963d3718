"""The start of the newest message of a role, out of whatever JSON a convention keeps messages in."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from agentmark_server.conventions.rules import Reader, parsed, preview, usage
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
_TEXT_PARTS: Final = {"text", "input_text", "output_text"}
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
                said = preview(_texts_of(msgspec.json.decode(unread.parts)))
                if said:
                    return said
        for message in _newest_first(parsed(value), _DEPTH):
            if _role(message) == role:
                said = preview(_said(message))
                if said:
                    return said
        return None

    return read


_CHATS: Final = (
    "messages",
    "input",
    "prompt",
    "contents",
    "choices",
    "output",
    "generations",
    "message",
    "content",
)
"""Names under which requests and answers keep their messages, or one text."""


def newest_or_text(role: str) -> Reader:
    """Read the newest message of a role where the value is a chat, or the value itself where it is plain text.

    Other JSON, such as the arguments of a function, is what no person said.
    """
    of_messages = newest(role)

    def read(value: Value) -> str | None:
        if isinstance(value, str) and value[:1] not in {"{", "[", '"'} and value != "null":
            return preview(value)
        shape = parsed(value)
        if isinstance(shape, str | list):
            return preview(shape) if isinstance(shape, str) else of_messages(shape)
        return _of_chat(shape, of_messages) if isinstance(shape, dict) else None

    return read


def _of_chat(shape: dict[str, Any], of_messages: Reader) -> str | None:
    if _role(shape):
        whole: str | None = of_messages([shape])
        return whole
    for name in _CHATS:
        if name in shape:
            inner = shape[name]
            said: str | None = preview(inner) if isinstance(inner, str) else of_messages(inner)
            if said:
                return said
    return None


def of_response(usage_names: Mapping[str, str]) -> Reader:
    """Read an answer that was recorded whole, as Logfire does: its message and its usage."""
    read_usage = usage(usage_names)
    of_messages = newest_or_text("assistant")

    def read(value: Value) -> dict[str, Any] | None:
        shape = parsed(value)
        if not isinstance(shape, dict):
            return None
        said = of_messages(shape)
        return (read_usage(shape.get("usage")) or {}) | ({"output": said} if said else {}) or None

    return read


def of_event_list(value: Value) -> dict[str, str] | None:
    """Read the older conventions' events from a JSON list in one attribute, as Logfire writes them."""
    shape = parsed(value)
    events = [item for item in shape if isinstance(item, dict)] if isinstance(shape, list) else []
    named = ((_event_name(item), item) for item in events)
    return of_events(named) or None


def _event_name(item: dict[str, Any]) -> str:
    """An assistant's message that ends the list is its answer."""
    name = str(item.get("event.name"))
    return "gen_ai.choice" if name == "gen_ai.assistant.message" else name


def newest_of_indexed(role: str, pairs: Iterator[tuple[Value, Value]]) -> str | None:
    """The newest content of a role in pairs of role and content, the newest first."""
    for said_role, content in pairs:
        if _ROLES.get(str(said_role).lower()) == role:
            said = preview(_texts_of(parsed(content) if str(content)[:1] == "[" else content))
            if said:
                return said
    return None


_EVENTS: Final = {
    "gen_ai.user.message": ("input", "user"),
    "gen_ai.choice": ("output", "assistant"),
    "gen_ai.content.prompt": ("input", "user"),
    "gen_ai.content.completion": ("output", "assistant"),
    "gen_ai.client.inference.operation.details": ("", ""),
}
"""Older conventions keep messages in events: which field each fills, and who speaks in it."""


def of_events(events: Iterable[tuple[str, dict[str, Value]]]) -> dict[str, str]:
    """The newest input and output that events tell of."""
    found: dict[str, str | None] = {}
    for name, attributes in events:
        field, role = _EVENTS.get(name, ("", ""))
        if field:
            said = attributes.get("content") or attributes.get("message")
            said = parsed(said) if str(said)[:1] in {"{", "["} else said
            content = said.get("content") if isinstance(said, dict) else said
            prompt = attributes.get("gen_ai.prompt") or attributes.get("gen_ai.completion")
            found[field] = preview(_texts_of(content)) or newest(role)(prompt) or found.get(field)
        elif name in _EVENTS:
            found["input"] = newest("user")(attributes.get("gen_ai.input.messages")) or found.get("input")
            found["output"] = newest("assistant")(attributes.get("gen_ai.output.messages")) or found.get("output")
    return {field: said for field, said in found.items() if said}


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
    for key in ("role", "type", "id"):
        name = message.get(key)
        if key == "id" and isinstance(name, list) and name:
            name = name[-1]
        if isinstance(name, str) and name.lower() in _ROLES:
            return _ROLES[name.lower()]
    return None


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
        elif isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS:
            found.append(str(part.get("text") or part.get("content") or ""))
        if sum(map(len, found)) > _ENOUGH:
            break
    return " ".join(found)
