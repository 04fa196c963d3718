"""OpenTelemetry's semantic conventions for generative AI, now and as they were.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from typing import Final

from agentmark_server.conventions.previews import newest
from agentmark_server.conventions.rules import (
    CONVERSATION,
    FRAMEWORK_KEY,
    Rule,
    Table,
    dollars,
    kinds,
    preview,
    text,
    tokens,
)
from agentmark_server.model import Kind, Role

OPERATIONS: Final = {
    "chat": (Kind.LLM, Role.CALL),
    "text_completion": (Kind.LLM, Role.CALL),
    "generate_content": (Kind.LLM, Role.CALL),
    "embeddings": (Kind.EMBEDDING, Role.CALL),
    "create_agent": (Kind.AGENT, Role.ROLL_UP),
    "invoke_agent": (Kind.AGENT, Role.ROLL_UP),
    "invoke_workflow": (Kind.AGENT, Role.ROLL_UP),
    "agent_step": (Kind.FUNCTION, Role.ROLL_UP),  # the Vercel AI SDK's
    "execute_tool": (Kind.TOOL, Role.UNKNOWN),
    "retrieval": (Kind.RETRIEVAL, Role.UNKNOWN),
}

SPAN: Final[Table] = {
    "gen_ai.conversation.id": Rule(FRAMEWORK_KEY, text, rank=CONVERSATION),
    "gen_ai.operation.name": Rule("kind", kinds(OPERATIONS), rank=5),
    "gen_ai.provider.name": Rule("provider", text),
    "gen_ai.system": Rule("provider", text, rank=1),
    "gen_ai.response.model": Rule("model", text),
    "gen_ai.request.model": Rule("model", text, rank=2),
    "gen_ai.response.id": Rule("response_id", text),
    "gen_ai.agent.name": Rule("agent", text),
    "gen_ai.prompt.name": Rule("prompt_name", text, rank=1),
    "gen_ai.usage.input_tokens": Rule("input_tokens", tokens),
    "gen_ai.usage.prompt_tokens": Rule("input_tokens", tokens, rank=1),
    "gen_ai.usage.output_tokens": Rule("output_tokens", tokens),
    "gen_ai.usage.completion_tokens": Rule("output_tokens", tokens, rank=1),
    "gen_ai.usage.cache_read.input_tokens": Rule("cached_tokens", tokens),
    "gen_ai.usage.cache_creation.input_tokens": Rule("cache_write_tokens", tokens),
    "gen_ai.usage.cache_write.input_tokens": Rule("cache_write_tokens", tokens, rank=1),
    "gen_ai.usage.reasoning.output_tokens": Rule("reasoning_tokens", tokens),
    "gen_ai.usage.cost": Rule("cost", dollars, rank=3),
    "gen_ai.input.messages": Rule("input", newest("user"), rank=3),
    "gen_ai.output.messages": Rule("output", newest("assistant"), rank=3),
    "gen_ai.prompt": Rule("input", newest("user"), rank=6),
    "gen_ai.completion": Rule("output", newest("assistant"), rank=6),
    "gen_ai.tool.call.arguments": Rule("input", preview, rank=7),
    "gen_ai.tool.call.result": Rule("output", preview, rank=7),
}
