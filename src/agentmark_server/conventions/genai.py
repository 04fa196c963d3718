"""OpenTelemetry's semantic conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from typing import Any, Final

from agentmark_server.conventions.rules import Rule, parsed, preview, text, tokens
from agentmark_server.model import Kind, Role, Value

OPERATIONS: Final = {
    "chat": (Kind.LLM, Role.CALL),
    "text_completion": (Kind.LLM, Role.CALL),
    "generate_content": (Kind.LLM, Role.CALL),
    "embeddings": (Kind.EMBEDDING, Role.CALL),
    "create_agent": (Kind.AGENT, Role.ROLL_UP),
    "invoke_agent": (Kind.AGENT, Role.ROLL_UP),
    "invoke_workflow": (Kind.AGENT, Role.ROLL_UP),
    "execute_tool": (Kind.TOOL, Role.UNKNOWN),
    "retrieval": (Kind.RETRIEVAL, Role.UNKNOWN),
}


def _newest(value: Value, role: str) -> str | None:
    """The start of the last text that `role` says in a list of `{role, parts}`."""
    messages = parsed(value)
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == role:
            return preview(" ".join(_texts(message.get("parts"))))
    return None


def _texts(parts: Any) -> list[str]:
    found = parts if isinstance(parts, list) else []
    return [str(p.get("content")) for p in found if isinstance(p, dict) and p.get("type") == "text"]


SPAN: Final = {
    "gen_ai.conversation.id": Rule("framework_key", text, rank=6),
    "gen_ai.operation.name": Rule("operation", lambda value: OPERATIONS.get(str(value))),
    "gen_ai.response.model": Rule("model", text),
    "gen_ai.request.model": Rule("model", text, rank=1),
    "gen_ai.agent.name": Rule("agent", text),
    "gen_ai.usage.input_tokens": Rule("input_tokens", tokens),
    "gen_ai.usage.prompt_tokens": Rule("input_tokens", tokens, rank=1),
    "gen_ai.usage.output_tokens": Rule("output_tokens", tokens),
    "gen_ai.usage.completion_tokens": Rule("output_tokens", tokens, rank=1),
    "gen_ai.usage.cache_read.input_tokens": Rule("cached_tokens", tokens),
    "gen_ai.usage.reasoning.output_tokens": Rule("reasoning_tokens", tokens),
    "gen_ai.input.messages": Rule("input", lambda value: _newest(value, "user"), rank=1),
    "gen_ai.output.messages": Rule("output", lambda value: _newest(value, "assistant"), rank=1),
}
