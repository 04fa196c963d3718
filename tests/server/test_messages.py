"""Messages of every convention as one list: recorded spans of real libraries, tables of shapes, and a fuzz."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmark_server import otlp
from agentmark_server.conventions.messages import (
    Image,
    Message,
    Messages,
    Other,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    messages,
)
from agentmark_server.conventions.messages.sources import SOURCES

RECORDED = sorted((Path(__file__).parent / "conventions").glob("*.json"))
SAID = 'Grüße 👋\n"x"'


class Recorded(NamedTuple):
    """A recorded span, what it says, and all that its trace says of itself."""

    trace_id: bytes
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    said: Messages


def plain(value: dict[str, Any]) -> Any:
    for kind, inner in value.items():
        match kind:
            case "arrayValue":
                return [plain(item) for item in inner.get("values", [])]
            case "kvlistValue":
                return fields(inner.get("values", []))
            case _:
                return inner
    return None


def fields(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: plain(pair["value"]) for pair in pairs}


def log_events(logs: list[Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The log records of each span, as the span's events."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    records = [
        record
        for request in logs
        for resource in request["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    for record in records:
        body = plain(record.get("body") or {})
        told = fields(record.get("attributes", [])) | (body if isinstance(body, dict) else {})
        found[record.get("spanId", "")].append((record.get("eventName", ""), told))
    return found


def recorded(path: Path) -> list[Recorded]:
    file = json.loads(path.read_text())
    logs = log_events(file["logs"])
    spans = []
    for request in file["requests"]:
        for raw in otlp.spans_of_json(json.dumps(request).encode()):
            assert isinstance(raw, otlp.RawSpan)
            view = otlp.view(raw)
            assert not isinstance(view, otlp.RejectedSpan)
            events = [*view.events, *logs[view.span_id.hex()]]
            attributes = {key: view.attributes[key] for key in view.attributes}
            said = messages(view.attributes, events, span_name=view.name)
            spans.append(Recorded(view.trace_id, attributes, events, said))
    return spans


def parts(said: list[Message], role: str | None = None) -> list[Part]:
    return [part for one in said for part in one.parts if role in {None, one.role}]


def texts(said: list[Message], role: str) -> set[str]:
    return {squeezed(part.content) for part in parts(said, role) if isinstance(part, Text)}


def squeezed(text: str) -> str:
    """Without white space: some libraries end a text with a line's end, or write JSON anew."""
    return "".join(text.split())


def traces_of(spans: list[Recorded], session_id: str | None) -> Iterator[list[Recorded]]:
    """The traces of a session, where spans tell whose they are; otherwise all."""
    by_trace: dict[bytes, list[Recorded]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace_id].append(span)
    named = [trace for trace in by_trace.values() if any(session_id in span.attributes.values() for span in trace)]
    return iter(named or by_trace.values())


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_turns(path: Path) -> None:
    """What a user said in a turn, and what was answered, are messages of one trace of the session."""
    file = json.loads(path.read_text())
    content = json.dumps([file["requests"], file["logs"]])
    spans = recorded(path)
    for turn in file["truth"]["turns"]:
        if json.dumps(turn["input"])[1:-1] not in content:
            continue  # not recorded at all: content is off, or the library leaves failed calls out
        given_to = squeezed(turn["input"])
        answer = turn["output"] and squeezed(turn["output"])
        assert any(
            any(given_to in texts(span.said.input, "user") for span in trace)
            and (answer is None or any(answer in texts(span.said.output, "assistant") for span in trace))
            for trace in traces_of(spans, turn["session_id"])
        ), turn


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_tool_calls(path: Path) -> None:
    """Each call that a model makes has its name, and its arguments as an object."""
    spans = recorded(path)
    made = [part for span in spans for part in parts(span.said.output) if isinstance(part, ToolCall)]
    content = path.read_text()
    if "A-1001" in content.split('"truth"')[0] and made:
        assert ("get_order", {"order_id": "A-1001"}) in [(call.name, call.arguments) for call in made]
    assert all(call.name for call in made)
    assert all(isinstance(call.arguments, dict) or call.arguments is None for call in made)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_tool_spans(path: Path) -> None:
    """The span of a tool has its call as input and its result, if any is recorded, as output."""
    for span in recorded(path):
        if span.attributes.get("gen_ai.operation.name") == "execute_tool":
            (call,) = parts(span.said.input)
            assert isinstance(call, ToolCall)
            assert call.name == span.attributes["gen_ai.tool.name"]
            assert call.id == span.attributes.get("gen_ai.tool.call.id")
            assert all(isinstance(part, ToolResult) for part in parts(span.said.output, "tool"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_content_is_read(path: Path) -> None:
    """A span with content of a convention says something, in words that were recorded, and nothing raw."""
    answers = {"gen_ai.output.messages", "llm.output_messages.0.message.content", "ai.response.text"}
    asked = {"gen_ai.input.messages", "llm.input_messages.0.message.content", "ai.prompt.messages", "events"}
    for span in recorded(path):
        if any(span.attributes.get(key) for key in asked):
            assert span.said.input
        if any(span.attributes.get(key) for key in answers):
            assert span.said.output
        model_call = span.attributes.get("gen_ai.operation.name") == "chat"
        assert not model_call or not any(isinstance(part, Other) for part in parts(span.said.input))


def user(*said: Part) -> list[Message]:
    return [Message("user", list(said))]


def assistant(*said: Part) -> list[Message]:
    return [Message("assistant", list(said))]


def tool(*said: Part) -> list[Message]:
    return [Message("tool", list(said))]


def system(text: str) -> list[Message]:
    return [Message("system", [Text(text)])]


HI = user(Text("Hi"))
HELLO = assistant(Text("Hello"))
CALL = ToolCall("c1", "look", {"at": "sky"})
ARGUMENTS = '{"at": "sky"}'
OPENAI_CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ARGUMENTS}}
RESULT = ToolResult("c1", None, "blue")
PNG = Image(media_type="image/png", data="iVBOR")
AT = Image(url="https://x.test/a.png")

# What one message's content says, in the words of each library, and the parts that come out.
BLOCKS: list[tuple[Any, list[Part]]] = [
    (SAID, [Text(SAID)]),
    ("", []),
    ([{"type": "text", "text": "a"}, {"type": "text", "text": ""}, "b"], [Text("a"), Text("b")]),
    ({"type": "input_text", "text": "a"}, [Text("a")]),
    ([{"type": "output_text", "text": "a", "annotations": []}], [Text("a")]),
    ([{"type": "text", "content": "a"}], [Text("a")]),
    ([{"type": "text", "text": {"value": "a", "annotations": []}}], [Text("a")]),
    ([{"text": "a"}, {"text": "b", "thought": True}], [Text("a"), Reasoning("b")]),
    ([{"type": "refusal", "refusal": "no"}], [Text("no")]),
    ([{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}], [AT]),
    ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}], [PNG]),
    ([{"type": "input_image", "image_url": "https://x.test/a.png"}], [AT]),
    ([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}], [PNG]),
    ([{"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}], [AT]),
    ([{"type": "image", "image": "https://x.test/a.png"}], [AT]),
    ([{"type": "image", "image": "iVBOR", "mimeType": "image/png"}], [PNG]),
    ([{"type": "image", "base64": "iVBOR", "mime_type": "image/png"}], [PNG]),
    ([{"type": "file", "data": "iVBOR", "mediaType": "image/png"}], [PNG]),
    ([{"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBOR"}], [PNG]),
    ([{"type": "uri", "modality": "image", "uri": "https://x.test/a.png"}], [AT]),
    ([{"type": "image-url", "url": "https://x.test/a.png"}], [AT]),
    ([{"inlineData": {"mimeType": "image/png", "data": "iVBOR"}}], [PNG]),
    ([{"image": {"format": "png", "source": {"bytes": "iVBOR"}}}], [PNG]),
    ([{"type": "image"}], [Other({"type": "image"})]),
    ([{"type": "file", "file_id": "f"}], [Other({"type": "file", "file_id": "f"})]),
    ([{"type": "thinking", "thinking": "hm", "signature": "s"}], [Reasoning("hm")]),
    ([{"type": "reasoning", "content": "hm"}], [Reasoning("hm")]),
    ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}], [Reasoning("hm")]),
    ([{"reasoningContent": {"reasoningText": {"text": "hm"}}}], [Reasoning("hm")]),
    ([{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "sky"}}], [CALL]),
    ([{"type": "tool_call", "id": "c1", "name": "look", "arguments": ARGUMENTS}], [CALL]),
    ([{"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "sky"}}], [CALL]),
    ([{"type": "tool-call", "toolCallId": "c1", "toolName": "look", "args": {"at": "sky"}}], [CALL]),
    ([{"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": "sky"}}}], [CALL]),
    ([{"functionCall": {"id": "c1", "name": "look", "args": {"at": "sky"}}}], [CALL]),
    ([{"type": "tool_call", "name": "look", "arguments": "{sky"}], [ToolCall(None, "look", "{sky")]),
    ([{"type": "tool_call", "id": 3, "name": "look"}], [ToolCall(None, "look", None)]),
    ([{"type": "tool_call", "name": 5}], [Other({"type": "tool_call", "name": 5})]),
    ([{"type": "audio", "data": "x"}], [Other({"type": "audio", "data": "x"})]),
    ([{"type": "text", "text": 5}], [Other({"type": "text", "text": 5})]),
    (5, [Other(5)]),
    ([None, 1, [2]], [Other(1), Other([2])]),
    ({"a": 1}, [Other({"a": 1})]),
]


@pytest.mark.parametrize(("content", "expected"), BLOCKS, ids=str)
def test_blocks(content: Any, expected: list[Part]) -> None:
    """Each part of a content comes out as what it is, in JSON and in structured attributes alike."""
    said = [{"role": "user", "content": content}]
    for value in (json.dumps(said), said):
        assert messages({"gen_ai.input.messages": value}).input == (
            [Message("user", expected)] if expected else []
        )


RESULTS: list[tuple[Any, list[Message]]] = [
    ({"role": "tool", "tool_call_id": "c1", "content": "blue"}, tool(RESULT)),
    ({"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "blue"}]}, tool(RESULT)),
    ({"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "result": "blue"}]}, tool(RESULT)),
    (
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "blue"}]},
        tool(RESULT),
    ),
    (
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "blue"}]}}]},
        tool(RESULT),
    ),
    (
        {
            "role": "tool",
            "content": [
                {
                    "type": "tool-result",
                    "toolCallId": "c1",
                    "toolName": "look",
                    "output": {"type": "text", "value": 1},
                }
            ],
        },
        tool(ToolResult("c1", "look", 1)),
    ),
    ({"role": "function", "name": "look", "content": '{"a": [1]}'}, tool(ToolResult(None, "look", {"a": [1]}))),
    (
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"a": 1}}}]},
        tool(ToolResult(None, "look", {"a": 1})),
    ),
    ({"type": "function_call_output", "call_id": "c1", "output": "blue"}, tool(RESULT)),
    ({"type": "tool", "data": {"content": "blue", "tool_call_id": "c1", "id": "m"}}, tool(RESULT)),
    (
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "blue"},
                {"type": "text", "text": "Hi"},
            ],
        },
        user(RESULT, Text("Hi")),
    ),
]


@pytest.mark.parametrize(("message", "expected"), RESULTS, ids=str)
def test_results(message: Any, expected: list[Message]) -> None:
    """What a tool gave back is a result with its call's id, whoever carries it."""
    assert messages({"input.value": json.dumps({"messages": [message]})}).input == expected


SYSTEM = system("Be kind.")
LANGCHAIN = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "schema", "HumanMessage"],
    "kwargs": {"content": "Hi"},
}

# What stands under a key for a span's input, and the messages that come out.
INPUTS: list[tuple[str, Any, list[Message]]] = [
    ("gen_ai.input.messages", [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}], HI),
    ("gen_ai.input.messages", [{"role": "developer", "content": "Be kind."}], SYSTEM),
    ("gen_ai.input.messages", [{"role": "critic", "content": "Hi"}], user(Text("Hi"), Other({"role": "critic"}))),
    ("gen_ai.input.messages", [{"role": "user", "mood": 3}], user(Other({"mood": 3}))),
    ("gen_ai.prompt", [{"role": "user", "content": "Hi"}], HI),
    ("input.value", {"model": "m", "input": "Hi", "instructions": "Be kind."}, SYSTEM + HI),
    (
        "input.value",
        {"model": "m", "system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]},
        SYSTEM + HI,
    ),
    ("input.value", {"messages": [{"role": "user", "content": "Hi"}], "tools": [{"name": "x"}]}, HI),
    ("input.value", {"messages": [[LANGCHAIN]]}, HI),
    ("input.value", {"messages": [{"type": "human", "data": {"content": "Hi"}}]}, HI),
    ("input.value", {"messages": [["human", "Hi"]]}, HI),
    ("input.value", {"input": "Hi", "chat_history": [{"type": "ai", "content": "Hello"}]}, HELLO + HI),
    (
        "input.value",
        {"messages": [{"role": "user", "content": "Hi"}], "steps": 3},
        user(Other({"steps": 3})) + HI,
    ),
    ("input.value", {"question": "Hi", "depth": 3}, user(Other({"question": "Hi", "depth": 3}))),
    (
        "input.value",
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"n": 1}],
        HI + user(Other({"n": 1})),
    ),
    (
        "langfuse.observation.input",
        {"args": [], "kwargs": {"a": 1}},
        user(Other({"args": [], "kwargs": {"a": 1}})),
    ),
    ("langfuse.observation.input", {"kwargs": {"messages": [{"role": "user", "content": "Hi"}]}}, HI),
    ("ai.prompt", {"system": "Be kind.", "prompt": "Hi"}, SYSTEM + HI),
    ("ai.prompt", {"prompt": [{"role": "user", "content": "Hi"}]}, HI),
    ("ai.prompt.messages", [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], HI),
    ("request_data", {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}, HI),
    ("request_data", {"model": "m"}, []),
    (
        "gcp.vertex.agent.llm_request",
        {
            "model": "m",
            "config": {"system_instruction": "Be kind.", "tools": [{}]},
            "contents": [{"parts": [{"text": "Hi"}], "role": "user"}],
        },
        SYSTEM + HI,
    ),
    ("gcp.vertex.agent.llm_request", {}, []),
    ("mlflow.spanInputs", {"messages": [{"role": "user", "content": "Hi"}]}, HI),
    ("lmnr.span.input", [{"role": "user", "content": "Hi"}], HI),
    ("agentmark.input", {"order": 3}, user(Other({"order": 3}))),
    ("gen_ai.request.input", [{"role": "user", "content": "Hi"}], HI),
    ("agentmark.request.input", [{"role": "user", "content": "Hi"}], HI),
    ("traceloop.entity.input", None, []),
    ("gen_ai.system_instructions", [{"type": "text", "content": "Be kind."}], SYSTEM),
]

# The same for its output.
OUTPUTS: list[tuple[str, Any, list[Message]]] = [
    ("gen_ai.output.messages", [{"role": "assistant", "parts": [{"type": "text", "content": "Hello"}]}], HELLO),
    ("gen_ai.output.messages", [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}], HELLO),
    (
        "gen_ai.output.messages",
        [{"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]}],
        assistant(CALL),
    ),
    (
        "output.value",
        {
            "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]}}],
            "usage": {},
        },
        assistant(CALL),
    ),
    ("output.value", {"choices": [{"text": "Hello", "index": 0, "finish_reason": "stop"}]}, HELLO),
    (
        "output.value",
        {"role": "assistant", "reasoning_content": "hm", "content": "Hello"},
        assistant(Reasoning("hm"), Text("Hello")),
    ),
    ("output.value", {"role": "assistant", "content": "", "refusal": "no"}, assistant(Text("no"))),
    (
        "output.value",
        {"role": "assistant", "content": "", "audio": {"id": "a"}},
        assistant(Other({"audio": {"id": "a"}})),
    ),
    (
        "output.value",
        {"role": "assistant", "function_call": {"name": "look", "arguments": ARGUMENTS}},
        assistant(ToolCall(None, "look", {"at": "sky"})),
    ),
    (
        "output.value",
        {
            "model": "m",
            "instructions": "Be kind.",
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "id": "f", "call_id": "c1", "name": "look", "arguments": ARGUMENTS},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
            ],
        },
        assistant(Reasoning("hm"), CALL) + HELLO,
    ),
    (
        "output.value",
        {"role": "assistant", "type": "message", "content": [{"type": "text", "text": "Hello"}], "model": "m"},
        HELLO,
    ),
    (
        "output.value",
        {
            "generations": [
                [
                    {
                        "text": "Hello",
                        "generation_info": {},
                        "message": {"type": "AIMessage", "kwargs": {"content": "Hello", "type": "ai"}},
                    }
                ]
            ],
            "llm_output": {},
        },
        HELLO,
    ),
    ("output.value", {"generations": [[{"text": "Hello", "type": "Generation"}]], "llm_output": None}, HELLO),
    (
        "output.value",
        {
            "type": "ai",
            "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "sky"}}],
            "tool_calls": [{"name": "look", "args": {"at": "sky"}, "id": "c1", "type": "tool_call"}],
        },
        assistant(CALL),
    ),
    ("output.value", {"candidates": [{"content": {"parts": [{"text": "Hello"}], "role": "model"}}]}, HELLO),
    (
        "output.value",
        [{"update": {"messages": [{"type": "ai", "data": {"content": "Hello"}}]}, "goto": []}],
        HELLO,
    ),
    ("output.value", {"output": "Hello"}, HELLO),
    ("output.value", {"output": None}, []),
    ("output.value", {"documents": [{"text": "a"}]}, assistant(Other({"documents": [{"text": "a"}]}))),
    ("response_data", {"message": {"role": "assistant", "content": "Hello"}, "usage": {}}, HELLO),
    ("response_data", {"message": {"content": "Hello"}, "usage": {}}, HELLO),
    ("response_data", {"combined_chunk_content": "Hello", "usage": {}}, HELLO),
    ("gcp.vertex.agent.llm_response", {"content": {"parts": [{"text": "Hello"}], "role": "model"}}, HELLO),
    ("ai.response.object", '{"mood": "calm"}', assistant(Text('{"mood": "calm"}'))),
    ("ai.response.toolCalls", [{"toolCallId": "c1", "toolName": "look", "input": ARGUMENTS}], assistant(CALL)),
    ("final_result", "Hello", HELLO),
    ("mlflow.spanOutputs", '"Hello"', HELLO),
    ("lmnr.span.output", '"Hello"', HELLO),
    ("gen_ai.completion", "Hello", HELLO),
    ("agentmark.output", "Hello", HELLO),
    ("gen_ai.response.output", {"role": "assistant", "content": "Hello"}, HELLO),
    ("traceloop.entity.output", "null", []),
]


@pytest.mark.parametrize(("key", "value", "expected"), INPUTS, ids=str)
def test_inputs(key: str, value: Any, expected: list[Message]) -> None:
    """The messages under each key for inputs are found, in JSON and in structured attributes alike."""
    assert messages({key: json.dumps(value)} if value is not None else {}).input == expected
    assert messages({key: value}) == Messages(expected, [])


@pytest.mark.parametrize(("key", "value", "expected"), OUTPUTS, ids=str)
def test_outputs(key: str, value: Any, expected: list[Message]) -> None:
    """The messages under each key for outputs are found, in JSON and in structured attributes alike."""
    assert messages({key: value if isinstance(value, str) else json.dumps(value)}).output == expected
    assert messages({key: value}) == Messages([], expected)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: f"{source.rank}-{source.key}")
def test_every_key_is_read(source: Any) -> None:
    """Text under any key of the table comes out as the text of who is expected there."""
    expected = {"input": "user", "output": "assistant"}[source.direction]
    if source.key.startswith("events."):
        return
    if source.key.endswith("."):
        infix = "message." if source.key.startswith("llm.") else ""
        attributes: dict[str, Any] = {
            f"{source.key}0.{infix}role": expected,
            f"{source.key}0.{infix}content": SAID,
        }
    elif source.key in {"pydantic_ai.all_messages", "all_messages_events", "events"}:
        attributes = {source.key: json.dumps([{"role": expected, "content": SAID}])}
    elif source.key == "ai.values":
        attributes = {source.key: [json.dumps(SAID)]}
    elif source.key == "ai.response.reasoning":
        assert messages({source.key: SAID}).output == assistant(Reasoning(SAID))
        return
    else:
        attributes = {source.key: SAID}
    found = messages(attributes)
    assert (found.input if source.direction == "input" else found.output) == [Message(expected, [Text(SAID)])]  # type: ignore[arg-type]


def test_openinference() -> None:
    """OpenInference's attributes, one for each field of each message, come together again, in their order."""
    at = "llm.input_messages."
    found = messages(
        {
            f"{at}10.message.role": "assistant",
            f"{at}10.message.tool_calls.0.tool_call.id": "c1",
            f"{at}10.message.tool_calls.0.tool_call.function.name": "look",
            f"{at}10.message.tool_calls.0.tool_call.function.arguments": ARGUMENTS,
            f"{at}9.message.role": "user",
            f"{at}9.message.contents.0.message_content.type": "text",
            f"{at}9.message.contents.0.message_content.text": "Hi",
            f"{at}9.message.contents.1.message_content.type": "image",
            f"{at}9.message.contents.1.message_content.image.image.url": "https://x.test/a.png",
            f"{at}11.message.role": "tool",
            f"{at}11.message.tool_call_id": "c1",
            f"{at}11.message.content": "blue",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "Hello",
            "input.value": "something else",
        }
    )
    assert found == Messages(user(Text("Hi"), AT) + assistant(CALL) + tool(RESULT), HELLO)


def test_traceloop() -> None:
    """Traceloop's attributes come together again, with blocks out of the text that they were packed into."""
    found = messages(
        {
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": json.dumps([{"type": "text", "text": "Hi"}]),
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "look",
            "gen_ai.completion.0.tool_calls.0.arguments": ARGUMENTS,
            "gen_ai.completion.0.finish_reason": "tool_calls",
        }
    )
    assert found == Messages(HI, assistant(CALL))


def test_hostile_indices() -> None:
    """Numbers of any size, names of any depth, and a value that is also an object cost nothing."""
    deep = ".a" * 5000
    found = messages(
        {
            "llm.input_messages.999999999.message.content": "last",
            "llm.input_messages.1.message.content": "first",
            "llm.input_messages.99999999999999999999.message.content": "no number",
            f"llm.input_messages.2{deep}": "deep",
            "gen_ai.completion.0": "bare",
            "gen_ai.completion.0.content": "Hello",
            "gen_ai.completion.0.content.x": "also",
        }
    )
    assert [text for text in found.input if text.parts in ([Text("first")], [Text("last")])] == [
        found.input[0],
        found.input[-1],
    ]
    assert found.output == HELLO


def test_vercel_answer_is_one_message() -> None:
    """The AI SDK's reasoning, text and calls of one response are one message."""
    found = messages(
        {
            "ai.response.toolCalls": json.dumps([{"toolCallId": "c1", "toolName": "look", "args": ARGUMENTS}]),
            "ai.response.text": "Hello",
            "ai.response.reasoning": "hm",
        }
    )
    assert found.output == assistant(Reasoning("hm"), Text("Hello"), CALL)


def test_whole_conversations() -> None:
    """Of a whole conversation, what the model said last is the output, and all before it the input."""
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    for key in ("pydantic_ai.all_messages", "all_messages_events", "events"):
        assert messages({key: json.dumps(said)}) == Messages(HI, HELLO)
        assert messages({key: json.dumps(said[:1])}) == Messages(HI, [])
    choice = {"event.name": "gen_ai.choice", "index": 0, "message": said[1]}
    assert messages({"events": json.dumps([*said, choice])}) == Messages(HI + HELLO, HELLO)


def test_span_events() -> None:
    """The events of old conventions are messages, with their bodies as attributes, as JSON, or in a log record."""
    assert messages(
        {},
        [
            ("gen_ai.system.message", {"content": "Be kind."}),
            ("gen_ai.user.message", {"content": "Hi", "gen_ai.system": "openai"}),
            ("gen_ai.assistant.message", {"tool_calls": json.dumps([OPENAI_CALL])}),
            ("gen_ai.tool.message", {"id": "c1", "content": "blue"}),
            ("gen_ai.choice", {"index": 0, "message": json.dumps({"role": "assistant", "content": "Hello"})}),
            ("exception", {"exception.message": "x"}),
        ],
    ) == Messages(SYSTEM + HI + assistant(CALL) + tool(RESULT), HELLO)
    bodies = [
        ("gen_ai.user.message", {"gen_ai.event.content": json.dumps({"role": "user", "content": "Hi"})}),
        ("gen_ai.choice", {"message": json.dumps([{"text": "Hello"}])}),
    ]
    assert messages({}, bodies) == Messages(HI, HELLO)
    assert messages({}, [("gen_ai.user.message", {"content": '"Hi"'})]).input == user(Text('"Hi"'))
    assert messages({}, [("gen_ai.user.message", {"content": "<elided>"})]).input == []


def test_events_with_attributes() -> None:
    """Events that carry the attributes of a convention are read as those."""
    details = {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]}
    assert messages({}, [("gen_ai.client.inference.operation.details", details)]).input == HI
    old = [
        ("gen_ai.content.prompt", {"gen_ai.prompt": "Hi"}),
        ("gen_ai.content.completion", {"gen_ai.completion": "Hello"}),
    ]
    assert messages({}, old) == Messages(HI, HELLO)


def test_instructions_come_first() -> None:
    """System instructions stand before the input, once."""
    first = {"gen_ai.system_instructions": '[{"type": "text", "content": "Be kind."}]'}
    assert messages(first | {"gen_ai.input.messages": '[{"role": "user", "content": "Hi"}]'}).input == SYSTEM + HI
    both = '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]'
    assert messages(first | {"gen_ai.input.messages": both}).input == SYSTEM + HI
    assert messages({"gen_ai.system_instructions": "Be kind."}).input == SYSTEM


TOOLS: list[dict[str, Any]] = [
    {"gen_ai.tool.name": "look", "gen_ai.tool.call.arguments": ARGUMENTS, "gen_ai.tool.call.result": '"blue"'},
    {"gen_ai.tool.name": "look", "tool_arguments": ARGUMENTS, "tool_response": "blue"},
    {"ai.toolCall.name": "look", "ai.toolCall.args": ARGUMENTS, "ai.toolCall.result": '"blue"'},
    {"tool.name": "look", "input.value": ARGUMENTS, "output.value": "blue"},
    {"openinference.span.kind": "TOOL", "input.value": ARGUMENTS, "output.value": "blue"},
    {
        "traceloop.span.kind": "tool",
        "traceloop.entity.name": "look",
        "traceloop.entity.input": '{"args": [], "kwargs": {"at": "sky"}}',
        "traceloop.entity.output": '"blue"',
    },
    {
        "langfuse.observation.type": "tool",
        "langfuse.observation.input": ARGUMENTS,
        "langfuse.observation.output": "blue",
    },
    {"mlflow.spanType": '"TOOL"', "mlflow.spanInputs": ARGUMENTS, "mlflow.spanOutputs": '"blue"'},
    {"lmnr.span.type": "TOOL", "lmnr.span.input": ARGUMENTS, "lmnr.span.output": '"blue"'},
    {
        "gen_ai.tool.name": "look",
        "gcp.vertex.agent.llm_request": "{}",
        "gcp.vertex.agent.tool_call_args": ARGUMENTS,
        "gcp.vertex.agent.tool_response": "blue",
    },
    {"langsmith.span.kind": "tool", "gen_ai.prompt": ARGUMENTS, "gen_ai.completion": '{"output": "blue"}'},
    {"logfire.msg_template": "Function: {name}", "name": "look", "input": ARGUMENTS, "output": "blue"},
]


@pytest.mark.parametrize("attributes", TOOLS, ids=str)
def test_tool_spans(attributes: dict[str, Any]) -> None:
    """The span of a tool is a call as input, with its arguments parsed, and a result as output."""
    found = messages(attributes, span_name="look")
    assert found.input == assistant(ToolCall(None, "look", {"at": "sky"}))
    assert found.output == tool(ToolResult(None, "look", "blue"))
    named = messages(attributes | {"gen_ai.tool.call.id": "c1"}, span_name="look")
    assert named == Messages(assistant(CALL), tool(ToolResult("c1", "look", "blue")))


def test_tool_span_without_result() -> None:
    """A tool that gave nothing back has no output; one whose arguments were not recorded has none."""
    assert messages({"gen_ai.tool.name": "look"}) == Messages(assistant(ToolCall(None, "look", None)), [])


def test_tool_named_on_a_call() -> None:
    """A model's span that names the tool which the model called is a model's span."""
    said = {"gen_ai.operation.name": "chat", "gen_ai.tool.name": "look", "input.value": "Hi"}
    assert messages(said).input == HI


def test_structured_first() -> None:
    """OpenTelemetry's messages win over those of any other convention on the span."""
    best = {"gen_ai.input.messages": '[{"role": "user", "content": "Hi"}]'}
    others = dict.fromkeys(("input.value", "ai.prompt", "langfuse.observation.input", "gen_ai.prompt"), "other")
    assert messages(others | best).input == HI


def test_messages_win_over_text() -> None:
    """A source with messages wins over a better one without; of malformed JSON the text is kept."""
    cut = '[{"role": "user", "content": "Hi'
    assert (
        messages({"gen_ai.input.messages": cut, "input.value": '[{"role": "user", "content": "Hi"}]'}).input == HI
    )
    assert messages({"gen_ai.input.messages": cut}).input == user(Text(cut))


@pytest.mark.parametrize("key", [source.key for source in SOURCES] + ["gen_ai.system_instructions"])
def test_deep_json(key: str) -> None:
    """JSON nested 1,000 or 100,000 deep raises nothing, can be encoded, and as text is kept to the letter."""
    for depth in (90, 500, 1000, 100_000):
        for left, right in (("[", "]"), ('{"messages":[', "]}"), ('{"content":', "}")):
            text = left * depth + '"x"' + right * depth
            found = messages({key: text})
            assert b"x" in msgspec.json.encode(found) or key in {"events.input", "events.output"} or key[-1] == "."
            assert messages({key: f'[{{"role": "user", "content": {text}}}]'}) is not None
    value: Any = "x"
    for _ in range(1000):
        value = [value]
    msgspec.json.encode(
        messages({key: value, "gen_ai.prompt.0.content": value}, [("gen_ai.choice", {"message": value})])
    )


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"role": "user", "content": "x" * 100} for _ in range(45_000)]),
        json.dumps([{"role": "user", "content": "x" * 5_000_000}]),
        json.dumps({"numbers": list(range(700_000))}),
        json.dumps({"a": [{"b": n} for n in range(400_000)]}),
    ],
    ids=["many messages", "one message", "numbers", "objects"],
)
def test_speed(text: str) -> None:
    """Five million characters are read in well under a second (with room for a busy machine)."""
    assert len(text) > 4_500_000
    start = time.process_time()
    messages({"input.value": text})
    assert time.process_time() - start < 1.5


WORDS = sorted(
    {
        *(
            "role",
            "content",
            "parts",
            "type",
            "text",
            "message",
            "messages",
            "tool_calls",
            "function",
            "name",
            "id",
        ),
        *(
            "arguments",
            "input",
            "output",
            "args",
            "kwargs",
            "data",
            "image",
            "image_url",
            "url",
            "source",
            "system",
        ),
        *(
            "choices",
            "generations",
            "config",
            "model",
            "event.name",
            "tool_call",
            "message_content",
            "functionCall",
        ),
        *(
            "toolUse",
            "toolResult",
            "toolName",
            "result",
            "reasoning",
            "summary",
            "inlineData",
            "additional_kwargs",
        ),
    }
)
NAMED = sorted(
    {
        *(
            "user",
            "system",
            "assistant",
            "tool",
            "ai",
            "human",
            "text",
            "tool_use",
            "tool_result",
            "image",
            "thinking",
        ),
        *(
            "blob",
            "function_call",
            "reasoning",
            "gen_ai.choice",
            "gen_ai.user.message",
            "AIMessage",
            "data:,",
            "[{",
        ),
    }
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from(NAMED),
)
NAMES = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=25,
)
KINDS = st.fixed_dictionaries(
    {},
    optional={"gen_ai.tool.name": JSON, "openinference.span.kind": st.just("TOOL"), "gen_ai.tool.call.id": JSON},
)
INDEXED = st.builds(
    lambda prefix, number, rest: f"{prefix}{number}.{'.'.join(rest)}",
    st.sampled_from(["llm.input_messages.", "llm.output_messages.", "gen_ai.prompt.", "gen_ai.completion."]),
    st.integers(0, 3),
    st.lists(NAMES, max_size=4),
)
KEYS = st.one_of(
    st.sampled_from([source.key for source in SOURCES]), st.just("gen_ai.system_instructions"), INDEXED
)
VALUES = st.one_of(JSON, JSON.map(json.dumps), st.binary(max_size=4))
EVENTS = st.tuples(
    st.sampled_from(["gen_ai.user.message", "gen_ai.tool.message", "gen_ai.choice", "x"]),
    st.dictionaries(
        st.sampled_from(["content", "message", "tool_calls", "id", "gen_ai.event.content", "gen_ai.prompt"]),
        VALUES,
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4), KINDS, st.lists(EVENTS, max_size=3))
def test_any_json(attributes: dict[str, Any], kinds: dict[str, Any], events: list[Any]) -> None:
    """Any JSON under any known key gives messages, each with a part, that JSON keeps; and always the same."""
    found = messages(attributes | kinds, events)
    assert all(one.parts for one in found.input + found.output)
    encoded = msgspec.json.encode(found)
    assert msgspec.json.encode(msgspec.json.decode(encoded, type=Messages)) == encoded
    assert messages(dict(reversed((attributes | kinds).items())), events) == found


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["user", "assistant", "system"]))
def test_texts_are_kept(said: str, role: str) -> None:
    """What was said comes out to the letter, whatever it looks like."""
    expected = [Message(role, [Text(said)])]  # type: ignore[arg-type]
    assert messages({"gen_ai.input.messages": json.dumps([{"role": role, "content": said}])}).input == expected
    assert messages({"input.value": json.dumps({"messages": [{"role": role, "content": said}]})}).input == expected
