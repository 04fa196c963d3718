"""A tool's span: its arguments as the model's call, its result as the tool's answer.

OpenTelemetry: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
(`execute_tool`); the others where `sources` says.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from agentmark_server.conventions.messages import dialogue
from agentmark_server.conventions.messages.blocks import result
from agentmark_server.conventions.messages.json_text import opened
from agentmark_server.conventions.messages.shapes import Message, ToolCall, ToolResult
from agentmark_server.model import Value

_KINDS: Final = (
    *("openinference.span.kind", "langfuse.observation.type", "traceloop.span.kind", "mlflow.spanType"),
    *("lmnr.span.type", "langsmith.span.kind", "gen_ai.operation.name", "logfire.msg_template"),
)
_IS_TOOL: Final = frozenset(("tool", "execute_tool", "function: {name}"))
"""The last is what Logfire calls a tool of the OpenAI Agents SDK, whose attributes have bare names."""
_NAMES: Final = ("gen_ai.tool.name", "ai.toolCall.name", "tool.name", "traceloop.entity.name", "name")
_SAYS_TOOL: Final = _NAMES[:3]
_IDS: Final = ("gen_ai.tool.call.id", "ai.toolCall.id", "tool_call.id")
_ARGUMENTS: Final = (
    *("gen_ai.tool.call.arguments", "tool_arguments", "ai.toolCall.args", "gcp.vertex.agent.tool_call_args"),
    *("langfuse.observation.input", "traceloop.entity.input", "mlflow.spanInputs", "lmnr.span.input"),
    *("agentmark.input", "input.value", "gen_ai.prompt", "input"),
)
_RESULTS: Final = (
    *("gen_ai.tool.call.result", "tool_response", "ai.toolCall.result", "gcp.vertex.agent.tool_response"),
    *("langfuse.observation.output", "traceloop.entity.output", "mlflow.spanOutputs", "lmnr.span.output"),
    *("agentmark.output", "output.value", "gen_ai.completion", "output"),
)
_ARGUMENTS_EVENT: Final = ("gen_ai.tool.message", "content")
_RESULT_EVENT: Final = ("gen_ai.choice", "message")
"""Strands. https://github.com/strands-agents/sdk-python/blob/main/src/strands/telemetry/tracer.py"""

Attributes = Mapping[str, Value]


class ToolSpan(msgspec.Struct, frozen=True):
    """What a tool's span says; without a recorded result, no output."""

    input: list[Message]
    output: list[Message]


def tool_span(attributes: Attributes, events: Sequence[tuple[str, Attributes]], span_name: str) -> ToolSpan | None:
    """The call and the result of a tool's span; None for any other span."""
    if not _is_tool(attributes):
        return None
    name = next((said for key in _NAMES if isinstance(said := attributes.get(key), str) and said), span_name)
    arguments = _called_with(opened(_recorded(attributes, events, _ARGUMENTS, _ARGUMENTS_EVENT)))
    answer = _answered(opened(_recorded(attributes, events, _RESULTS, _RESULT_EVENT)))
    given = _message_of_tool(answer) or ToolResult(id=None, name=None, content=result(answer))
    identity = next((said for key in _IDS if isinstance(said := attributes.get(key), str)), given.id)
    output = ToolResult(id=identity, name=name or given.name, content=given.content)
    return ToolSpan(
        input=[Message("assistant", [ToolCall(id=identity, name=name, arguments=arguments)])],
        output=[Message("tool", [output])] if answer is not None else [],
    )


def _is_tool(attributes: Attributes) -> bool:
    """Whether a span says so, or names a tool and no other operation (OpenLIT names them on the model's span)."""
    kinds = (attributes.get(key) for key in _KINDS)
    if any(isinstance(kind, str) and kind.strip('"').lower() in _IS_TOOL for kind in kinds):
        return True
    named = any(isinstance(attributes.get(key), str) for key in _SAYS_TOOL)
    return named and "gen_ai.operation.name" not in attributes


def _recorded(
    attributes: Attributes,
    events: Sequence[tuple[str, Attributes]],
    keys: tuple[str, ...],
    event: tuple[str, str],
) -> Value:
    for key in keys:
        value = attributes.get(key)
        if value is not None:
            return value
    named, field = event
    return next((body.get(field) for name, body in events if name == named), None)


def _called_with(arguments: Any) -> Any:
    """The arguments by name, where a decorator wrote down how a Python function was called."""
    if isinstance(arguments, dict) and arguments.keys() == {"args", "kwargs"} and not arguments["args"]:
        return arguments["kwargs"]
    return arguments


def _answered(answer: Any) -> Any:
    """The result, which LangSmith wraps where it is no object."""
    return answer["output"] if isinstance(answer, dict) and answer.keys() == {"output"} else answer


def _message_of_tool(answer: Any) -> ToolResult | None:
    """The result in a message of a library's own, as LangChain's tools give back."""
    if not isinstance(answer, dict) or dialogue.role(answer) != "tool":
        return None
    said = [part for one in dialogue.message(answer, "tool") for part in one.parts]
    return said[0] if len(said) == 1 and isinstance(said[0], ToolResult) else None
