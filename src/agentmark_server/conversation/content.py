"""The parts of messages: by what they are known again, and as they are shown, cut where they are too large."""

from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from agentmark_server.conventions import messages as said
from agentmark_server.conversation import shapes

LIMIT: Final = 20_000
"""Characters of one text."""
_LISTS: Final = 16
"""How many lists of messages are remembered: as many dialogues may go on at the same time."""
_DIGEST_BYTES: Final = 12
_NOTHING: Final = frozenset(("None", "null", "undefined"))
"""What a program writes down of a function that gave nothing back."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """A part of a message, whose it is, and a mark of what it says.

    Libraries put parts into messages in many ways, and change ids, white space and thoughts on the way; the marks
    of one thing said, and of the same sent again, are equal.
    """

    role: said.Speaker
    part: said.Part
    mark: bytes


def items(messages: list[said.Message]) -> list[Item]:
    """The parts of messages, one by one; thoughts apart, which are not always sent again."""
    return [
        Item(role, part, _mark(role, part))
        for one in messages
        for part in one.parts
        if not isinstance(part, said.Reasoning)
        for role in [_speaker(one.role, part)]
    ]


class Items:
    """`items`, remembering the lists of messages that were read last.

    Every call of a model sends again what was said before: what a list begins with has the items that it had.
    """

    def __init__(self) -> None:
        self._read: deque[tuple[list[said.Message], list[Item]]] = deque(maxlen=_LISTS)

    def of(self, messages: list[said.Message]) -> list[Item]:
        """The parts of messages."""
        earlier = next((one for one in self._read if messages[: len(one[0])] == one[0]), None)
        if earlier:
            self._read.remove(earlier)
        shown, known = earlier or ([], [])
        found = known + items(messages[len(shown) :])
        if messages:
            self._read.appendleft((messages, found))
        return found


def answered(parts: list[said.Part]) -> list[Item]:
    """The parts of an answer."""
    return items([said.Message("assistant", parts)])


def _speaker(role: said.Speaker, part: said.Part) -> said.Speaker:
    if isinstance(part, said.ToolResult):
        return "tool"
    return "assistant" if isinstance(part, said.ToolCall) else role


def _mark(role: said.Speaker, part: said.Part) -> bytes:
    match part:
        case said.Text(content) | said.Reasoning(content):
            plain = content
        case said.ToolCall():
            plain = f"{part.name} {as_text(part.arguments)}"
        case said.Image():
            plain = f"{part.url} {part.data}"
        case said.ToolResult(content=content) | said.Other(content):
            plain = as_text(content)
    squeezed = f"{role} {type(part).__name__} {''.join(plain.split())}"
    return blake2b(squeezed.encode(), digest_size=_DIGEST_BYTES).digest()


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON, in which objects of equal content are equal."""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()


def spoken(parts: list[said.Part]) -> list[said.Part]:
    """What people read of an answer: not the thoughts, nor the calls of tools."""
    return [part for part in parts if isinstance(part, said.Text | said.Image | said.Other)]


def says_something(parts: Sequence[said.Part]) -> bool:
    """Whether there is a text or an image, which is not the word for nothing."""
    texts = [part for part in parts if not isinstance(part, said.Text) or part.content.strip() not in _NOTHING]
    return any(isinstance(part, said.Text | said.Image) for part in texts)


def shown(parts: list[said.Part], limit: int) -> list[shapes.Part]:
    """Parts as they are shown; calls and results of tools are left out, for they are steps."""
    found = (_shown(part, limit) for part in parts)
    return [part for part in found if part is not None]


def _shown(part: said.Part, limit: int) -> shapes.Part | None:
    match part:
        case said.Text(content):
            return shapes.Text(content[:limit], *_cut(content, limit))
        case said.Reasoning(content):
            return shapes.Reasoning(content[:limit], *_cut(content, limit))
        case said.Image():
            whole = part.data or part.url or ""
            if len(whole) > limit:
                return shapes.Image(media_type=part.media_type, truncated=True, size=len(whole))
            return shapes.Image(part.url, part.media_type, part.data)
        case said.Other(content):
            value, size = cut_value(content, limit)
            return shapes.Other(value) if size is None else shapes.Other(value, truncated=True, size=size)
    return None


def _cut(content: str, limit: int) -> tuple[bool, int | None]:
    return (True, len(content)) if len(content) > limit else (False, None)


def cut_value(value: Any, limit: int) -> tuple[Any, int | None]:
    """JSON as it is, or the start of its text with the whole text's size where that is over the limit."""
    text = as_text(value)
    return (value, None) if len(text) <= limit else (text[:limit], len(text))
