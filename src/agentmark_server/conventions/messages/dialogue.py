"""The one reader of JSON that holds messages, whoever wrote it: requests, responses, lists, states of graphs."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentmark_server.conventions.messages import blocks
from agentmark_server.conventions.messages.json_text import NESTED
from agentmark_server.conventions.messages.shapes import (
    Message,
    Other,
    Part,
    Reasoning,
    Speaker,
    Text,
    ToolCall,
    ToolResult,
)

_DEPTH: Final = 10
"""How deep messages lie at most in what libraries write."""
_SPEAKERS: Final[Mapping[str, Speaker]] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "ai", "model"), "assistant"),
    **dict.fromkeys(("tool", "function"), "tool"),
}
"""By role; LangChain's types and classes (`HumanMessageChunk`) without their ends are roles too."""
EVENTS: Final[Mapping[str, Speaker]] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""By event name. https://github.com/open-telemetry/semantic-conventions/blob/v1.36.0/docs/gen-ai/gen-ai-events.md"""

_CONTENTS: Final = ("content", "parts", "contents", "blocks", "text", "message")
_CALLS: Final = ("tool_calls", "toolCalls", "invalid_tool_calls")
_BESIDE: Final = ("function_call", "refusal", "audio")
_THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking")
_MESSAGE_NAMES: Final = frozenset((*_CONTENTS, *_CALLS, *_BESIDE, *_THOUGHTS, "data", "kwargs"))
_ENVELOPED: Final = ("message", "delta", "data", "kwargs")

_SYSTEM: Final = frozenset(
    ("system", "instructions", "system_prompt", "system_instruction", "systemInstruction", "system_instructions")
)
_HISTORY: Final = frozenset(("history", "chat_history"))
_NAMES: Final[Mapping[str, Speaker | None]] = {
    **dict.fromkeys(("input", "inputs", "prompt", "prompts", "question", "query"), "user"),
    **dict.fromkeys(("output", "outputs", "answer", "completion", "response", "result"), "assistant"),
    **dict.fromkeys(("choices", "candidates", "generations", "combined_chunk_content"), "assistant"),
    **dict.fromkeys(("messages", "contents", "text"), None),
}
"""Who speaks under a name in a request or a response; None: whoever is expected there."""
_REPEATS: Final = frozenset(("text", "combined_chunk_content"))
"""Texts that repeat the message beside them."""
_MARKS: Final = frozenset(
    ("model", "usage", "usage_metadata", "usageMetadata", "finish_reason", "generation_info", "llm_output")
)
"""Each says that the object is a model's request or response: what else is in it is settings and counts."""
_ABOUT: Final = _MARKS | {
    *("tools", "tool_choice", "functions", "stream", "stream_options", "temperature", "max_tokens", "top_p"),
    *("response_format", "config", "generation_config", "raw", "type", "object", "index", "event.name"),
}
"""Settings, counts and copies: never searched for messages."""
_LEADS: Final = frozenset(("role", "event.name", *_NAMES, *_SYSTEM)) | blocks.MARKS
"""An object with none of these, and with no object in it, says nothing."""
_BY_PART: Final[Mapping[type, Speaker]] = {ToolCall: "assistant", Reasoning: "assistant", ToolResult: "tool"}


def conversation(shape: Any, speaker: Speaker) -> list[Message] | None:
    """Every message in a JSON value, in order; `speaker` is who is expected. None where nothing looks like one."""
    return _found(shape, speaker, _DEPTH)


def whole(shape: Any, speaker: Speaker) -> list[Message]:
    """A value without messages as one message; settings alone and empty values are none."""
    if isinstance(shape, str):
        return [Message(speaker, [Text(shape)])] if shape.strip() else []
    if shape in (None, [], {}) or (isinstance(shape, dict) and _says_nothing(shape)):
        return []
    if isinstance(shape, list) and all(isinstance(item, str) for item in shape):
        return message({"content": shape}, speaker)
    return [Message(speaker, [Other(shape)])]


def _says_nothing(shape: dict[str, Any]) -> bool:
    """Settings alone, or names without values."""
    return ("model" in shape and shape.keys() <= _ABOUT) or all(value is None for value in shape.values())


def message(item: Mapping[str, Any], speaker: Speaker) -> list[Message]:
    """An object that is a message, in one list; without anything said, an empty one."""
    holder = _holder(item)
    said = _content(holder)
    found = blocks.parts(said)
    if speaker == "tool" and found and all(type(part) is ToolCall for part in found):
        speaker = "assistant"  # Strands lets the tool say what it was called with
    if speaker == "tool" and not any(type(part) is ToolResult for part in found):
        found = [_tool_result(holder, said)] if said is not None else []
    beside = holder.get("additional_kwargs")
    holders = (holder, beside) if isinstance(beside, dict) else (holder,)
    for each in holders:
        found = [*_thoughts(each, found), *found, *_beside(each), *_calls(each, found)]
    if not found and _MESSAGE_NAMES.isdisjoint(holder):
        rest = {name: value for name, value in holder.items() if name not in {"role", "event.name"} and value}
        found = [Other(rest)] if rest else []
    elif found and isinstance(item.get("role"), str) and role(item) is None:
        found.append(Other({"role": item["role"]}))
    if found and all(type(part) is ToolResult for part in found):
        speaker = "tool"  # Anthropic and pydantic-ai let the user say what a tool gave back
    return [Message(speaker, found)] if found else []


def role(item: Mapping[str, Any]) -> Speaker | None:
    """Who speaks: by `role`, the event's name, or LangChain's type or class; None for what is no message."""
    said = item.get("role")
    if isinstance(said, str):
        return _SPEAKERS.get(said.lower())
    event = item.get("event.name")
    if isinstance(event, str):
        return EVENTS.get(event)
    path = item.get("id")
    for name in (item.get("type"), path[-1] if isinstance(path, list) and path else None):
        if isinstance(name, str):
            speaker = _SPEAKERS.get(name.lower().removesuffix("chunk").removesuffix("message"))
            if speaker and not _MESSAGE_NAMES.isdisjoint(item):
                return speaker
    return None


def _holder(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a message's fields are: in itself, or in LangChain's `data` or `kwargs`, or an event's `message`."""
    if "content" not in item and "parts" not in item:
        for name in _ENVELOPED:
            inner = item.get(name)
            if isinstance(inner, dict):
                return inner
    return item


def _content(holder: Mapping[str, Any]) -> Any:
    for name in _CONTENTS:
        value = holder.get(name)
        if value not in (None, "", []):
            return value
    return holder.get("content")


def _tool_result(holder: Mapping[str, Any], said: Any) -> Part:
    identity = holder.get("tool_call_id", holder.get("id"))
    name = holder.get("name")
    return ToolResult(
        id=identity if isinstance(identity, str) else None,
        name=name if isinstance(name, str) else None,
        content=blocks.result(said),
    )


def _thoughts(holder: Mapping[str, Any], found: list[Part]) -> list[Part]:
    """What DeepSeek, OpenRouter and LangChain put beside the content."""
    if any(type(part) is Reasoning for part in found):
        return []
    said = next((said for name in _THOUGHTS if isinstance(said := holder.get(name), str) and said), None)
    return [Reasoning(said)] if said else []


def _beside(holder: Mapping[str, Any]) -> Iterator[Part]:
    for name in _BESIDE:
        value = holder.get(name)
        if value:
            yield blocks.part({name: value})
    yield from blocks.parts(holder.get("images") or None)  # OpenRouter


def _calls(holder: Mapping[str, Any], found: list[Part]) -> Iterator[Part]:
    """The calls beside a content; some libraries repeat there what is in the content."""
    known = {part.id for part in found if type(part) is ToolCall and part.id}
    for name in _CALLS:
        calls = holder.get(name)
        for item in calls if isinstance(calls, list) else []:
            part = (blocks.tool_call(item) if isinstance(item, dict) else None) or Other(item)
            if type(part) is not ToolCall or part.id not in known:
                yield part


def _found(shape: Any, speaker: Speaker, depth: int) -> list[Message] | None:
    """The messages within; None where nothing looks like one."""
    if depth == 0:
        return None
    if isinstance(shape, list):
        return _pair(shape) or _found_in_list(shape, speaker, depth - 1)
    if not isinstance(shape, dict) or _is_plain(shape):
        return None
    who = role(shape)
    if who:
        return message(shape, who)
    piece = blocks.block(shape)
    if piece:
        return [Message(_BY_PART.get(type(piece), speaker), [piece])]
    if "role" in shape and not _MESSAGE_NAMES.isdisjoint(shape):
        return message(shape, speaker)
    return _found_in_envelope(shape, speaker, depth - 1)


def _is_plain(shape: dict[str, Any]) -> bool:
    """Whether an object is data at the first glance, as most are in a long list of data."""
    return _LEADS.isdisjoint(shape) and not any(isinstance(value, NESTED) for value in shape.values())


def _pair(shape: list[Any]) -> list[Message] | None:
    """LangChain's shortest message: `["human", "Hello"]`."""
    if len(shape) == 2 and all(isinstance(item, str) for item in shape) and shape[0] in _SPEAKERS:  # noqa: PLR2004
        return [Message(_SPEAKERS[shape[0]], [Text(shape[1])])]
    return None


def _found_in_list(items: list[Any], speaker: Speaker, depth: int) -> list[Message] | None:
    """Messages; blocks that stand without one, side by side, are one message."""
    found = _joined(items, speaker, depth, None)
    return found and found[0]


def listed(
    items: list[Any], speaker: Speaker, before: tuple[list[Message], bool] | None = None
) -> tuple[list[Message], bool] | None:
    """What `conversation` gives for a list of objects, and whether it ends with a block that stands alone.

    `before` is what it gave for the items before them.
    """
    return _joined(items, speaker, _DEPTH - 1, before)


def _joined(
    items: list[Any], speaker: Speaker, depth: int, before: tuple[list[Message], bool] | None
) -> tuple[list[Message], bool] | None:
    each = [_found(item, speaker, depth) if isinstance(item, NESTED) else None for item in items]
    if before is None and all(found is None for found in each):
        return None
    said, loose = (list(before[0]), before[1]) if before else ([], False)
    for item, found in zip(items, each, strict=True):
        here = whole(item, speaker) if found is None else found
        alone = found is None or (isinstance(item, dict) and role(item) is None and blocks.block(item) is not None)
        if loose and alone and here and said[-1].role == here[0].role:
            said[-1] = Message(said[-1].role, [*said[-1].parts, *here[0].parts])
        else:
            said.extend(here)
        loose = alone and bool(said)
    return said, loose


def _found_in_envelope(shape: dict[str, Any], speaker: Speaker, depth: int) -> list[Message] | None:
    """What a request, a response or a state says: system first, then its history, then the rest in its order."""
    system: list[Message] = []
    history: list[Message] = []
    said: list[Message] = []
    texts: list[tuple[str, Message]] = []
    rest: dict[str, Any] = {}
    marked = not _MARKS.isdisjoint(shape) or shape.get("type") == "Generation"
    silent = False
    for name, value in shape.items():
        if value in (None, "", [], {}) or name in _ABOUT:
            continue
        if name in _SYSTEM and (marked or speaker != "assistant"):
            # A response repeats the request's instructions.
            system += _instructions(value) if speaker != "assistant" else []
            continue
        found = _under(name, value, speaker, depth)
        if found is None:
            spoken = _spoken(name, value, speaker)
            texts += [(name, one) for one in spoken]
            if not spoken:
                rest[name] = value
        else:
            silent = silent or not found
            (history if name in _HISTORY else said).extend(found)
    system += _configured(shape.get("config"))
    real = bool(system or history or said or silent)
    texts = [(name, one) for name, one in texts if not (said and name in _REPEATS)]
    if not real and not (texts and (marked or (depth == _DEPTH - 1 and not rest))):
        return None  # texts alone, deep in data, are data
    if rest and not marked:
        history.insert(0, Message(speaker, [Other(rest)]))
    return system + history + said + [one for _, one in texts]


def _under(name: str, value: Any, speaker: Speaker, depth: int) -> list[Message] | None:
    """The messages under a name of an envelope."""
    expected = _NAMES.get(name) or speaker
    if name in {"message", "delta"} and isinstance(value, dict) and role(value) is None and "content" in value:
        return message(value, expected)
    return _found(value, expected, depth)


def _spoken(name: str, value: Any, speaker: Speaker) -> list[Message]:
    """A text, or a list of them, under the name of somebody who speaks."""
    if name not in _NAMES or not isinstance(value, str | list):
        return []
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return []
    return whole(value, _NAMES[name] or speaker)


def _configured(config: Any) -> list[Message]:
    """Gemini's system instruction, which ADK puts into `config`."""
    if not isinstance(config, dict):
        return []
    return [one for name in sorted(_SYSTEM & config.keys()) for one in _instructions(config[name])]


def _instructions(value: Any) -> list[Message]:
    said = blocks.parts(value)
    return [Message("system", said)] if said else []
