"""The messages of a span, whatever convention wrote them, as one list of `{role, parts}` each way.

`sources` tells which attribute is read and how; `dialogue` finds messages in JSON of any library, `blocks` reads
what a message is made of, `shapes` is what comes out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from agentmark_server.conventions.messages import dialogue
from agentmark_server.conventions.messages.blocks import unpacked
from agentmark_server.conventions.messages.history import History
from agentmark_server.conventions.messages.history import Text as Resent
from agentmark_server.conventions.messages.indexed import indexed
from agentmark_server.conventions.messages.json_text import opened
from agentmark_server.conventions.messages.shapes import (
    Image,
    Message,
    Messages,
    Other,
    Part,
    Reasoning,
    Speaker,
    Text,
    ToolCall,
    ToolResult,
)
from agentmark_server.conventions.messages.sources import RESENT, SYSTEM, best, messages_in, structured
from agentmark_server.conventions.messages.texts import texts_of
from agentmark_server.conventions.messages.tools import tool_span
from agentmark_server.model import Value

__all__ = [
    "History",
    "Image",
    "Message",
    "Messages",
    "Other",
    "Part",
    "Reasoning",
    "Speaker",
    "Text",
    "ToolCall",
    "ToolResult",
    "messages",
    "texts_of",
]

_BODY: Final = "gen_ai.event.content"
"""Where a span's event kept its body as JSON."""

_ELIDED: Final = "<elided>"
"""What Google ADK writes where it must not write a content."""

Event = tuple[str, Mapping[str, Value]]


class Attributes(Protocol):
    """What is read of attributes: `model.Attributes` or a mapping."""

    def __iter__(self) -> Iterator[str]: ...

    def __getitem__(self, key: str, /) -> Value: ...


def messages(
    attributes: Attributes,
    events: Iterable[Event] = (),
    *,
    span_name: str = "",
    history: History | None = None,
) -> Messages:
    """What a span was given and what it answered.

    `events` are the span's events and log records, each by its name with its attributes, and with the fields of
    its body for a log record. `span_name` names a tool whose span does not. `history` is what was read of the
    spans before: it changes how fast this is, not what it gives.

    The best source wins for each direction (`sources.SOURCES`): OpenTelemetry's messages, then what a tool's span
    says, then the others. System instructions come first. The parts of messages are complete; settings beside
    them (model, temperature, tools) are not theirs, and stay in the attributes. Nothing raises: what cannot be
    read comes out as text, or as `other`.
    """
    own = {key: attributes[key] for key in attributes}
    happened = list(events)
    facts: dict[str, Any] = {}
    for _, body in happened:
        facts.update(body)  # gen_ai.client.inference.operation.details, gen_ai.content.prompt
    facts |= own | indexed(own) | _by_events(happened)
    if history:
        facts |= {key: Resent(facts[key], history) for key in RESENT & facts.keys() if history.takes(facts[key])}
    tool = tool_span(own, happened, span_name)
    given = structured(facts, "input") or (tool.input if tool else best(facts, "input"))
    answered = structured(facts, "output") or (tool.output if tool else best(facts, "output"))
    return Messages(input=_instructed(given, facts.get(SYSTEM)), output=answered)


def _by_events(events: list[Event]) -> dict[str, list[dict[str, Any]]]:
    """The events that are messages, as JSON would hold them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, body in events:
        if name in dialogue.EVENTS and body.get("content") != _ELIDED:
            direction = "output" if name == "gen_ai.choice" else "input"
            inner = opened(body.get(_BODY))
            fields = {**body, **inner} if isinstance(inner, dict) else dict(body)
            said = {key: _field(key, value) for key, value in fields.items()}
            found.setdefault(f"events.{direction}", []).append({**said, "event.name": name})
    return found


def _field(key: str, value: Any) -> Any:
    """A field of an event: a text may be what a person said, and is then left alone."""
    if isinstance(value, str) and key not in {"message", "tool_calls"}:
        return unpacked(value)
    return opened(value)


def _instructed(said: list[Message], instructions: Value) -> list[Message]:
    """The messages after the system's instructions, unless they begin with them."""
    if instructions is None:
        return said
    shape = opened(instructions)
    found = messages_in(shape, "system") or dialogue.whole(shape, "system")
    system = [Message("system", one.parts) for one in found]
    return said if said[: len(system)] == system else system + said
