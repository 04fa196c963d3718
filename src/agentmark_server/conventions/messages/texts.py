"""What can be read in messages: all their texts, for finding them by words."""

from collections.abc import Iterator
from typing import Any

from agentmark_server.conventions.messages.shapes import (
    Image,
    Messages,
    Other,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)


def texts_of(said: Messages) -> Iterator[str]:
    """Every text of the messages, of tools their names, arguments and results too; an image has none."""
    for message in (*said.input, *said.output):
        for part in message.parts:
            yield from _texts(part)


def _texts(part: Part) -> Iterator[str]:
    match part:
        case Text(content) | Reasoning(content):
            yield content
        case ToolCall(_, name, arguments):
            yield name
            yield from _leaves(arguments)
        case ToolResult(_, name, content):
            yield name or ""
            yield from _leaves(content)
        case Other(content):
            yield from _leaves(content)
        case Image():
            pass


def _leaves(value: Any) -> Iterator[str]:
    """The texts and numbers in JSON, with the names of fields."""
    left = [value]
    while left:
        match left.pop():
            case str(text):
                yield text
            case dict(fields):
                left += [*fields.keys(), *fields.values()]
            case list(items):
                left += items
            case int() | float() as number:
                yield str(number)
