"""Which attribute holds messages: for each key the direction, how it is read, and its rank.

AgentMark: `agentmark_sdk.attributes`
OpenTelemetry: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
OpenInference: https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
Traceloop: https://github.com/traceloop/openllmetry
Langfuse: https://langfuse.com/integrations/native/opentelemetry
Vercel AI SDK: https://ai-sdk.dev/docs/ai-sdk-core/telemetry
pydantic-ai: https://ai.pydantic.dev/logfire/
Logfire: https://logfire.pydantic.dev/docs/integrations/llms/openai/
MLflow: https://mlflow.org/docs/latest/genai/tracing/
Laminar: https://docs.lmnr.ai/tracing/otel
Google ADK: https://github.com/google/adk-python/blob/main/src/google/adk/telemetry/tracing.py
"""

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, Final, Literal

import msgspec

from agentmark_server.conventions.messages import dialogue, history
from agentmark_server.conventions.messages.json_text import opened
from agentmark_server.conventions.messages.shapes import Message, Other, Reasoning, Speaker, Text

Direction = Literal["input", "output"]
Reader = Callable[[Any, Speaker], list[Message] | None]
"""Messages of a value, of whom is expected to speak; None where there is nothing like one."""


class Source(msgspec.Struct, frozen=True):
    """Where messages are. The smallest rank that has any wins; those of one rank are read together."""

    key: str
    direction: Direction
    read: Reader
    rank: int


def messages_in(value: Any, speaker: Speaker) -> list[Message] | None:
    """Messages in JSON of any shape."""
    if isinstance(value, history.Text):
        found = value.history.messages(value.text, speaker)
        if found is not None:
            return found
        value = value.text
    return dialogue.conversation(opened(value), speaker)


def _flat(value: Any, speaker: Speaker) -> list[Message] | None:
    """Messages that `indexed` or `events` put together."""
    found: list[Message] = []
    for item in value if isinstance(value, list) else []:
        inner = item.get("message") if isinstance(item, dict) else None
        one = inner if isinstance(inner, dict) and "event.name" not in item else item
        if isinstance(one, dict):
            found += dialogue.message(one, dialogue.role(one) or speaker)
    return found


def _encoded(value: Any, speaker: Speaker) -> list[Message] | None:
    """JSON, always: `null` is nothing."""
    return [] if value == "null" else messages_in(value, speaker)


def _text(value: Any, speaker: Speaker) -> list[Message] | None:
    """A text, to the letter."""
    return [Message(speaker, [Text(value)])] if isinstance(value, str) and value else None


def _reasoning(value: Any, speaker: Speaker) -> list[Message] | None:
    return [Message(speaker, [Reasoning(value)])] if isinstance(value, str) and value else None


def _data(value: Any, speaker: Speaker) -> list[Message] | None:
    """A text or data, in which no messages are looked for."""
    said = opened(value)
    if isinstance(said, str):
        return _text(said, speaker)
    return None if said is None else [Message(speaker, [Other(said)])]


def _each(value: Any, speaker: Speaker) -> list[Message] | None:
    """A list in which each item is JSON in a text."""
    return dialogue.whole([opened(item) for item in value], speaker) if isinstance(value, list) else None


def _before(value: Any, _speaker: Speaker) -> list[Message] | None:
    """Of a whole conversation, what came before the model's last answer."""
    said = _parted(value)
    return said and said[0]


def _last(value: Any, _speaker: Speaker) -> list[Message] | None:
    """Of a whole conversation, the model's last answer."""
    said = _parted(value)
    return said[1] if said else []


def _parted(value: Any) -> tuple[list[Message], list[Message]] | None:
    shape = opened(value)
    if not isinstance(shape, list):
        return None
    choices = [item for item in shape if _is_choice(item)]
    said = dialogue.conversation([item for item in shape if not _is_choice(item)], "user")
    if choices:
        return said or [], dialogue.conversation(choices, "assistant") or []
    if said is None:
        return None
    ends = bool(said) and said[-1].role == "assistant"
    return (said[:-1], said[-1:]) if ends else (said, [])


def _is_choice(item: Any) -> bool:
    return isinstance(item, dict) and item.get("event.name") == "gen_ai.choice"


SOURCES: Final = (
    Source("gen_ai.input.messages", "input", messages_in, rank=0),
    Source("gen_ai.output.messages", "output", messages_in, rank=0),
    Source("events.input", "input", _flat, rank=1),
    Source("events.output", "output", _flat, rank=1),
    Source("llm.input_messages.", "input", _flat, rank=2),
    Source("llm.output_messages.", "output", _flat, rank=2),
    Source("gen_ai.prompt.", "input", _flat, rank=3),
    Source("gen_ai.completion.", "output", _flat, rank=3),
    Source("langfuse.observation.input", "input", messages_in, rank=4),
    Source("langfuse.observation.output", "output", messages_in, rank=4),
    Source("ai.prompt.messages", "input", messages_in, rank=5),
    Source("ai.prompt", "input", messages_in, rank=6),
    Source("ai.value", "input", _data, rank=7),
    Source("ai.values", "input", _each, rank=7),
    Source("ai.response.reasoning", "output", _reasoning, rank=5),
    Source("ai.response.text", "output", _text, rank=5),
    Source("ai.response.object", "output", _text, rank=5),
    Source("ai.response.files", "output", messages_in, rank=5),
    Source("ai.response.toolCalls", "output", messages_in, rank=5),
    Source("pydantic_ai.all_messages", "input", _before, rank=8),
    Source("pydantic_ai.all_messages", "output", _last, rank=8),
    Source("all_messages_events", "input", _before, rank=9),
    Source("all_messages_events", "output", _last, rank=9),
    Source("events", "input", _before, rank=10),
    Source("events", "output", _last, rank=10),
    Source("final_result", "output", _text, rank=11),
    Source("request_data", "input", messages_in, rank=12),
    Source("response_data", "output", messages_in, rank=12),
    Source("gcp.vertex.agent.llm_request", "input", messages_in, rank=13),
    Source("gcp.vertex.agent.llm_response", "output", messages_in, rank=13),
    Source("agentmark.request.input", "input", messages_in, rank=14),
    Source("agentmark.response.output", "output", messages_in, rank=14),
    Source("agentmark.input", "input", messages_in, rank=15),
    Source("agentmark.output", "output", messages_in, rank=15),
    Source("gen_ai.request.input", "input", messages_in, rank=16),
    Source("gen_ai.response.output", "output", messages_in, rank=16),
    Source("mlflow.spanInputs", "input", messages_in, rank=17),
    Source("mlflow.spanOutputs", "output", messages_in, rank=17),
    Source("lmnr.span.input", "input", messages_in, rank=18),
    Source("lmnr.span.output", "output", messages_in, rank=18),
    Source("input.value", "input", messages_in, rank=19),
    Source("output.value", "output", messages_in, rank=19),
    Source("gen_ai.prompt", "input", messages_in, rank=20),
    Source("gen_ai.completion", "output", messages_in, rank=20),
    Source("traceloop.entity.input", "input", _encoded, rank=21),
    Source("traceloop.entity.output", "output", _encoded, rank=21),
)
"""`llm.input_messages.` and its like stand for all keys that begin so (`indexed`); `events.*` for events.

The two with `gen_ai.prompt.` come from Traceloop up to 0.46, `gen_ai.prompt` from OpenTelemetry up to 1.27.
"""
RESENT: Final = frozenset(one.key for one in SOURCES if one.read is messages_in and one.direction == "input")
"""Where a call of a model sends again what was said before, in JSON."""
SYSTEM: Final = "gen_ai.system_instructions"
_EXPECTED: Final[Mapping[Direction, Speaker]] = {"input": "user", "output": "assistant"}


def _ranked(direction: Direction) -> tuple[tuple[Source, ...], ...]:
    ordered = sorted((one for one in SOURCES if one.direction == direction), key=lambda one: one.rank)
    return tuple(tuple(group) for _, group in groupby(ordered, key=lambda one: one.rank))


_RANKED: Final[Mapping[Direction, tuple[tuple[Source, ...], ...]]] = {
    "input": _ranked("input"),
    "output": _ranked("output"),
}
_PLACES: Final[Mapping[Direction, Mapping[str, int]]] = {
    direction: {source.key: place for place, group in enumerate(ranked) for source in group}
    for direction, ranked in _RANKED.items()
}
"""By key, where in `_RANKED` its source stands."""


def structured(facts: Mapping[str, Any], direction: Direction) -> list[Message]:
    """What OpenTelemetry's own attribute says: better than anything else."""
    return _together(_RANKED[direction][0], facts, _EXPECTED[direction], []) or []


def best(facts: Mapping[str, Any], direction: Direction) -> list[Message]:
    """The messages of the best source; where none has messages, what the best says all the same."""
    speaker = _EXPECTED[direction]
    unread: list[Source] = []
    places = {place for key in facts if (place := _PLACES[direction].get(key)) is not None}
    for group in (_RANKED[direction][place] for place in sorted(places)):
        found = _together(group, facts, speaker, unread)
        if found:
            return found
    return next(filter(None, (dialogue.whole(opened(_plain(facts[one.key])), speaker) for one in unread)), [])


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, history.Text) else value


def _together(
    group: tuple[Source, ...], facts: Mapping[str, Any], speaker: Speaker, unread: list[Source]
) -> list[Message]:
    """The messages of sources of one rank; where several spoke, they told parts of one message."""
    spoke: list[list[Message]] = []
    for source in group:
        if source.key in facts:
            found = source.read(facts[source.key], speaker)
            if found:
                spoke.append(found)
            elif found is None:
                unread.append(source)
    if len(spoke) > 1 and all(len(said) == 1 for said in spoke):
        return [Message(speaker, [part for said in spoke for part in said[0].parts])]
    return [one for said in spoke for one in said]
