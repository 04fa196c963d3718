"""Lists of messages that begin with a list that was read before: only what is new in them is read.

Every call of a model sends again what was said before it. Reading all of each takes time that grows with the
square of a dialogue's length; here the text of an earlier list is looked for at the beginning of a later one.
"""

from collections import deque
from typing import Any, Final

import msgspec

from agentmark_server.conventions.messages import dialogue
from agentmark_server.conventions.messages.json_text import shallow
from agentmark_server.conventions.messages.shapes import Message, Speaker
from agentmark_server.conventions.rules import parsed

_LISTS: Final = 16
"""How many lists are remembered: as many dialogues may go on at the same time."""
_SHORTEST: Final = 1000
"""Characters of a text that is worth it."""


class _Read(msgspec.Struct, frozen=True):
    """A list that was read: its text without the bracket at its end, and what it said."""

    stem: str
    speaker: Speaker
    said: list[Message]
    loose: bool


class Text(msgspec.Struct, frozen=True):
    """A text that may hold messages, and what was read before it."""

    text: str
    history: "History"


class History:
    """The lists of messages that were read last."""

    def __init__(self) -> None:
        self._read: deque[_Read] = deque(maxlen=_LISTS)

    def takes(self, value: object) -> bool:
        """Whether a value is a text that is worth to be read so."""
        return isinstance(value, str) and len(value) >= _SHORTEST and value[:1] == "[" and value[-1:] == "]"

    def messages(self, text: str, speaker: Speaker) -> list[Message] | None:
        """What `dialogue.conversation` gives for the JSON in a text that begins and ends as a list."""
        earlier = next((one for one in self._read if one.speaker == speaker and _begins(text, one.stem)), None)
        if earlier:
            self._read.remove(earlier)
        found = self._continued(text, earlier) if earlier else None
        if found is None:
            shape = parsed(text)
            if not (isinstance(shape, list) and all(isinstance(item, dict) for item in shape) and shallow(shape)):
                return None
            found = dialogue.listed(shape, speaker)
        if found is None:
            return None
        self._read.appendleft(_Read(text[:-1], speaker, *found))
        return found[0]

    def _continued(self, text: str, earlier: _Read) -> tuple[list[Message], bool] | None:
        rest = text[len(earlier.stem) :].lstrip()
        if rest == "]":
            return earlier.said, earlier.loose
        items: Any = parsed(f"[{rest[1:]}")
        if not (isinstance(items, list) and all(isinstance(item, dict) for item in items) and shallow(items)):
            return None
        return dialogue.listed(items, earlier.speaker, (earlier.said, earlier.loose))


def _begins(text: str, stem: str) -> bool:
    """Whether a list begins with all items of another, and ends there or goes on with the next item."""
    return text.startswith(stem) and text[len(stem) : len(stem) + 64].lstrip()[:1] in {",", "]"}
