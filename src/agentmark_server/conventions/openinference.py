"""OpenInference, as Arize Phoenix's instrumentations write it.

https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md
"""

from typing import Any, Final

from agentmark_server.conventions.previews import newest_or_text
from agentmark_server.conventions.rules import (
    KEY,
    METADATA,
    SESSION,
    THREAD,
    Rule,
    Table,
    dollars,
    kinds,
    parsed,
    text,
    texts,
    tokens,
)
from agentmark_server.model import Kind, Role, Value

KINDS: Final = {
    "llm": (Kind.LLM, Role.CALL),
    "embedding": (Kind.EMBEDDING, Role.CALL),
    "agent": (Kind.AGENT, Role.ROLL_UP),
    "chain": (Kind.FUNCTION, Role.ROLL_UP),
    "tool": (Kind.TOOL, Role.UNKNOWN),
    "retriever": (Kind.RETRIEVAL, Role.UNKNOWN),
    "reranker": (Kind.RETRIEVAL, Role.UNKNOWN),
    "guardrail": (Kind.GUARDRAIL, Role.UNKNOWN),
    "evaluator": (Kind.FUNCTION, Role.UNKNOWN),
    "prompt": (Kind.FUNCTION, Role.UNKNOWN),
}

IN_METADATA: Final[Table] = {
    "session_id": Rule(KEY, text, rank=SESSION),
    "conversation_id": Rule(KEY, text, rank=SESSION),
    "thread_id": Rule(KEY, text, rank=THREAD),
    "user_id": Rule("user_id", text, rank=5),
}
"""What else the names in the object of metadata say."""


def _metadata(value: Value) -> dict[str, Any] | None:
    """A JSON object of metadata."""
    shape = parsed(value)
    return shape if isinstance(shape, dict) else None


SPAN: Final[Table] = {
    "openinference.span.kind": Rule("kind", kinds(KINDS), rank=1),
    "metadata": Rule(METADATA, _metadata),
    "tag.tags": Rule("tags", texts, rank=1),
    "llm.model_name": Rule("model", text, rank=1),
    "embedding.model_name": Rule("model", text, rank=3),
    "llm.provider": Rule("provider", text, rank=2),
    "llm.system": Rule("provider", text, rank=3),
    "llm.token_count.prompt": Rule("input_tokens", tokens, rank=2),
    "llm.token_count.completion": Rule("output_tokens", tokens, rank=2),
    "llm.token_count.prompt_details.cache_read": Rule("cached_tokens", tokens, rank=2),
    "llm.token_count.prompt_details.cache_write": Rule("cache_write_tokens", tokens, rank=2),
    "llm.token_count.completion_details.reasoning": Rule("reasoning_tokens", tokens, rank=2),
    "llm.cost.total": Rule("cost", dollars),
    "agent.name": Rule("agent", text, rank=1),
    "input.value": Rule("input", newest_or_text("user"), rank=4),
    "output.value": Rule("output", newest_or_text("assistant"), rank=4),
}
