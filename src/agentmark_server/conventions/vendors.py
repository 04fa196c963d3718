"""What the other ecosystems write.

Langfuse, Traceloop, the Vercel AI SDK, Laminar, Logfire and pydantic-ai, MLflow, LangSmith, OpenLIT, W&B Weave,
Google ADK, Mastra, Opik, PostHog, Datadog.

One table each; where they use OpenTelemetry's or OpenInference's keys, those tables hold.
"""

from typing import Final

from agentmark_server.conventions import previews
from agentmark_server.conventions.previews import newest, newest_or_text
from agentmark_server.conventions.rules import (
    FRAMEWORK_KEY,
    GENAI_SESSION,
    KEY,
    LANGFUSE,
    SESSION,
    SPREAD,
    THREAD,
    Prefixes,
    Rule,
    Table,
    dollars,
    json_text,
    kinds,
    preview,
    text,
    texts,
    tokens,
    usage,
)
from agentmark_server.model import Kind, Role

_CALL: Final = (Kind.LLM, Role.CALL)
_EMBEDDING: Final = (Kind.EMBEDDING, Role.CALL)
_AGENT: Final = (Kind.AGENT, Role.ROLL_UP)
_CHAIN: Final = (Kind.FUNCTION, Role.ROLL_UP)
_TOOL: Final = (Kind.TOOL, Role.UNKNOWN)
_RETRIEVAL: Final = (Kind.RETRIEVAL, Role.UNKNOWN)
_GUARDRAIL: Final = (Kind.GUARDRAIL, Role.UNKNOWN)
_OTHER: Final = (Kind.FUNCTION, Role.UNKNOWN)

_USAGE_NAMES: Final = {
    "input": "input_tokens",
    "input_tokens": "input_tokens",
    "prompt_tokens": "input_tokens",
    "output": "output_tokens",
    "output_tokens": "output_tokens",
    "completion_tokens": "output_tokens",
    "input_cached_tokens": "cached_tokens",
    "input_cache_read": "cached_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "input_cache_creation": "cache_write_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "output_reasoning": "reasoning_tokens",
    "prompt_tokens_details.cached_tokens": "cached_tokens",
    "input_tokens_details.cached_tokens": "cached_tokens",
    "completion_tokens_details.reasoning_tokens": "reasoning_tokens",
    "output_tokens_details.reasoning_tokens": "reasoning_tokens",
    "input_token_details.cache_read": "cached_tokens",
    "output_token_details.reasoning": "reasoning_tokens",
}

# https://langfuse.com/integrations/native/opentelemetry
_LANGFUSE: Final[Table] = {
    "langfuse.session.id": Rule(KEY, text, rank=LANGFUSE),
    "langfuse.user.id": Rule("user_id", text, rank=1),
    "langfuse.trace.name": Rule("trace_name", text, rank=1),
    "langfuse.trace.tags": Rule("tags", texts, rank=1),
    "langfuse.environment": Rule("environment", text),
    "langfuse.release": Rule("release", text),
    "langfuse.observation.type": Rule(
        "kind",
        kinds(
            {
                "generation": _CALL,
                "embedding": _EMBEDDING,
                "agent": _AGENT,
                "chain": _CHAIN,
                "tool": _TOOL,
                "retriever": _RETRIEVAL,
                "guardrail": _GUARDRAIL,
                "evaluator": _OTHER,
            }
        ),
        rank=2,
    ),
    "langfuse.observation.model.name": Rule("model", text, rank=1),
    "langfuse.observation.prompt.name": Rule("prompt_name", text, rank=2),
    "langfuse.observation.usage_details": Rule(SPREAD, usage(_USAGE_NAMES), rank=1),
    "langfuse.observation.cost_details": Rule(SPREAD, usage({"total": "cost"}), rank=1),
    "langfuse.observation.input": Rule("input", newest_or_text("user"), rank=2),
    "langfuse.observation.output": Rule("output", newest_or_text("assistant"), rank=2),
}

# https://www.traceloop.com/docs/openllmetry/tracing/association
_ASSOCIATION: Final = "traceloop.association.properties."
_TRACELOOP: Final[Table] = {
    _ASSOCIATION + "session_id": Rule(KEY, text, rank=SESSION),
    _ASSOCIATION + "conversation_id": Rule(KEY, text, rank=SESSION),
    _ASSOCIATION + "thread_id": Rule(KEY, text, rank=THREAD),
    _ASSOCIATION + "user_id": Rule("user_id", text, rank=1),
    _ASSOCIATION + "customer_id": Rule("user_id", text, rank=4),
    "traceloop.workflow.name": Rule("trace_name", text, rank=3),
    "traceloop.span.kind": Rule(
        "kind", kinds({"workflow": _CHAIN, "task": _CHAIN, "agent": _AGENT, "tool": _TOOL}), rank=6
    ),
    "llm.request.type": Rule(
        "kind", kinds({"chat": _CALL, "completion": _CALL, "embedding": _EMBEDDING, "rerank": _RETRIEVAL}), rank=4
    ),
    "gen_ai.usage.cache_read_input_tokens": Rule("cached_tokens", tokens, rank=3),
    "gen_ai.usage.cache_creation_input_tokens": Rule("cache_write_tokens", tokens, rank=3),
    "gen_ai.usage.reasoning_tokens": Rule("reasoning_tokens", tokens, rank=3),
    "traceloop.entity.input": Rule("input", newest_or_text("user"), rank=5),
    "traceloop.entity.output": Rule("output", newest_or_text("assistant"), rank=5),
}

# https://ai-sdk.dev/docs/ai-sdk-core/telemetry
# Since version 7 what telemetry is told stands under another beginning.
_AI_METADATA: Final = "ai.telemetry.metadata."
_AI_CONTEXT: Final = "ai.settings.context."
_AI_OPERATIONS: Final = {
    "ai.generatetext": _AGENT,
    "ai.streamtext": _AGENT,
    "ai.generateobject": _AGENT,
    "ai.streamobject": _AGENT,
    "ai.embed": _CHAIN,
    "ai.embedmany": _CHAIN,
    "ai.generatetext.dogenerate": _CALL,
    "ai.streamtext.dostream": _CALL,
    "ai.generateobject.dogenerate": _CALL,
    "ai.streamobject.dostream": _CALL,
    "ai.embed.doembed": _EMBEDDING,
    "ai.embedmany.doembed": _EMBEDDING,
    "ai.toolcall": _TOOL,
}
_AI_TOLD: Final[Table] = {
    "sessionId": Rule(KEY, text, rank=SESSION),
    "session_id": Rule(KEY, text, rank=SESSION),
    "threadId": Rule(KEY, text, rank=THREAD),
    "sessionName": Rule("session_name", text, rank=2),
    "session_name": Rule("session_name", text, rank=2),
    "userId": Rule("user_id", text, rank=1),
    "user_id": Rule("user_id", text, rank=1),
    "tags": Rule("tags", texts, rank=1),
}
_AI_PROVIDER_USAGE: Final = {
    "openai.cachedPromptTokens": "cached_tokens",
    "openai.reasoningTokens": "reasoning_tokens",
    "anthropic.cacheReadInputTokens": "cached_tokens",
    "anthropic.cacheCreationInputTokens": "cache_write_tokens",
}
_VERCEL: Final[Table] = {
    **{start + name: rule for start in (_AI_METADATA, _AI_CONTEXT) for name, rule in _AI_TOLD.items()},
    "ai.operationId": Rule("kind", kinds(_AI_OPERATIONS)),
    "ai.telemetry.functionId": Rule("trace_name", text, rank=2),
    "ai.model.id": Rule("model", text, rank=3),
    "ai.model.provider": Rule("provider", text, rank=3),
    "ai.response.model": Rule("model", text, rank=1),
    "ai.response.id": Rule("response_id", text, rank=1),
    "ai.usage.promptTokens": Rule("input_tokens", tokens, rank=4),
    "ai.usage.completionTokens": Rule("output_tokens", tokens, rank=4),
    "ai.usage.inputTokens": Rule("input_tokens", tokens, rank=3),
    "ai.usage.outputTokens": Rule("output_tokens", tokens, rank=3),
    "ai.usage.tokens": Rule("input_tokens", tokens, rank=5),
    "ai.usage.cachedInputTokens": Rule("cached_tokens", tokens, rank=4),
    "ai.usage.inputTokenDetails.cacheReadTokens": Rule("cached_tokens", tokens, rank=3),
    "ai.usage.inputTokenDetails.cacheWriteTokens": Rule("cache_write_tokens", tokens, rank=3),
    "ai.usage.reasoningTokens": Rule("reasoning_tokens", tokens, rank=4),
    "ai.usage.outputTokenDetails.reasoningTokens": Rule("reasoning_tokens", tokens, rank=3),
    # Before version 6 only here.
    "ai.response.providerMetadata": Rule(SPREAD, usage(_AI_PROVIDER_USAGE), rank=7),
    "ai.prompt.messages": Rule("input", newest("user"), rank=2),
    "ai.prompt": Rule("input", newest_or_text("user"), rank=2),
    "ai.value": Rule("input", preview, rank=3),
    "ai.response.text": Rule("output", preview, rank=2),
    "ai.response.object": Rule("output", preview, rank=3),
    "ai.toolCall.args": Rule("input", preview, rank=6),
    "ai.toolCall.result": Rule("output", preview, rank=6),
}

# https://docs.lmnr.ai/tracing/otel
_LAMINAR_ASSOCIATION: Final = "lmnr.association.properties."
_LAMINAR: Final[Table] = {
    _LAMINAR_ASSOCIATION + "session_id": Rule(KEY, text, rank=SESSION),
    _LAMINAR_ASSOCIATION + "user_id": Rule("user_id", text, rank=1),
    _LAMINAR_ASSOCIATION + "tags": Rule("tags", texts, rank=1),
    "lmnr.span.type": Rule("kind", kinds({"llm": _CALL, "tool": _TOOL, "default": _OTHER}), rank=3),
    "lmnr.span.input": Rule("input", newest_or_text("user"), rank=5),
    "lmnr.span.output": Rule("output", newest_or_text("assistant"), rank=5),
    "gen_ai.usage.input_cost": Rule("input_cost", dollars),
    "gen_ai.usage.output_cost": Rule("output_cost", dollars),
}

# https://logfire.pydantic.dev/docs/, https://ai.pydantic.dev/logfire/
_LOGFIRE: Final[Table] = {
    "group_id": Rule(KEY, text, rank=THREAD),
    "operation.cost": Rule("cost", dollars, rank=2),
    "gen_ai.usage.raw": Rule(SPREAD, usage(_USAGE_NAMES), rank=6),
    "response_data": Rule(SPREAD, previews.of_response(_USAGE_NAMES), rank=6),
    "request_data": Rule("input", newest_or_text("user"), rank=6),
    "events": Rule(SPREAD, previews.of_event_list, rank=5),
    "gen_ai.usage.details.cached_tokens": Rule("cached_tokens", tokens, rank=5),
    "gen_ai.usage.details.cache_read_tokens": Rule("cached_tokens", tokens, rank=5),
    "gen_ai.aggregated_usage.input_tokens": Rule("input_tokens", tokens, rank=8),
    "gen_ai.aggregated_usage.output_tokens": Rule("output_tokens", tokens, rank=8),
    "gen_ai.aggregated_usage.cache_read.input_tokens": Rule("cached_tokens", tokens, rank=8),
    "gen_ai.aggregated_usage.details.reasoning_tokens": Rule("reasoning_tokens", tokens, rank=8),
    "gen_ai.usage.details.reasoning_tokens": Rule("reasoning_tokens", tokens, rank=4),
    "pydantic_ai.all_messages": Rule("input", newest("user"), rank=4),
    "all_messages_events": Rule("input", newest("user"), rank=5),
    "final_result": Rule("output", preview, rank=4),
    "tool_arguments": Rule("input", preview, rank=7),
    "tool_response": Rule("output", preview, rank=7),
    "agent_name": Rule("agent", text, rank=2),
}

# https://mlflow.org/docs/latest/genai/tracing/
_MLFLOW_KINDS: Final = {
    "chat_model": _CALL,
    "llm": _CALL,
    "embedding": _EMBEDDING,
    "agent": _AGENT,
    "chain": _CHAIN,
    "tool": _TOOL,
    "retriever": _RETRIEVAL,
    "reranker": _RETRIEVAL,
    "guardrail": _GUARDRAIL,
}
_MLFLOW: Final[Table] = {
    # MLflow writes every value as JSON.
    "mlflow.trace.session": Rule(KEY, json_text, rank=SESSION),
    "mlflow.trace.user": Rule("user_id", json_text, rank=1),
    "mlflow.spanType": Rule("kind", kinds(_MLFLOW_KINDS), rank=3),
    "mlflow.chat.tokenUsage": Rule(SPREAD, usage(_USAGE_NAMES), rank=3),
    "mlflow.llm.cost": Rule(SPREAD, usage({"total_cost": "cost"}), rank=3),
    "mlflow.llm.model": Rule("model", json_text, rank=4),
    "mlflow.llm.provider": Rule("provider", json_text, rank=4),
    "mlflow.spanInputs": Rule("input", newest_or_text("user"), rank=5),
    "mlflow.spanOutputs": Rule("output", newest_or_text("assistant"), rank=5),
}

# https://docs.smith.langchain.com/observability/how_to_guides/trace_with_opentelemetry
# `langsmith.trace.session_id` is no session: LangSmith's own word for a project.
_LANGSMITH_METADATA: Final = "langsmith.metadata."
_LANGSMITH: Final[Table] = {
    _LANGSMITH_METADATA + "session_id": Rule(KEY, text, rank=SESSION),
    _LANGSMITH_METADATA + "conversation_id": Rule(KEY, text, rank=SESSION),
    _LANGSMITH_METADATA + "thread_id": Rule(KEY, text, rank=THREAD),
    _LANGSMITH_METADATA + "user_id": Rule("user_id", text, rank=1),
    "langsmith.span.kind": Rule(
        "kind",
        kinds({"llm": _CALL, "embedding": _EMBEDDING, "chain": _CHAIN, "tool": _TOOL, "retriever": _RETRIEVAL}),
        rank=4,
    ),
    "langsmith.span.tags": Rule("tags", texts, rank=1),
    _LANGSMITH_METADATA + "usage_metadata": Rule(SPREAD, usage(_USAGE_NAMES), rank=5),
}

_OTHERS: Final[Table] = {
    "gen_ai.session.id": Rule(KEY, text, rank=GENAI_SESSION),  # OpenLIT, as the next two
    "coding_agent.session.id": Rule(KEY, text, rank=SESSION),
    "gen_ai.user.id": Rule("user_id", text, rank=2),
    "wandb.thread_id": Rule(KEY, text, rank=THREAD),  # W&B Weave
    "gcp.vertex.agent.session_id": Rule(FRAMEWORK_KEY, text, rank=SESSION),  # Google ADK, as the next four
    "gcp.vertex.agent.llm_request": Rule("input", newest("user"), rank=6),
    "gcp.vertex.agent.llm_response": Rule("output", newest("assistant"), rank=6),
    "gcp.vertex.agent.tool_call_args": Rule("input", preview, rank=7),
    "gcp.vertex.agent.tool_response": Rule("output", preview, rank=7),
    "mastra.metadata.sessionId": Rule(KEY, text, rank=SESSION),
    "mastra.metadata.threadId": Rule(KEY, text, rank=THREAD),
    "mastra.metadata.userId": Rule("user_id", text, rank=1),
    "mastra.metadata.resourceId": Rule("user_id", text, rank=4),
    "gen_ai.usage.cached_input_tokens": Rule("cached_tokens", tokens, rank=4),  # Mastra
    "opik.thread_id": Rule(KEY, text, rank=THREAD),
    "$ai_session_id": Rule(KEY, text, rank=SESSION),  # PostHog
}

SPAN: Final[Table] = {
    **_LANGFUSE,
    **_TRACELOOP,
    **_VERCEL,
    **_LAMINAR,
    **_LOGFIRE,
    **_MLFLOW,
    **_LANGSMITH,
    **_OTHERS,
}

PREFIXES: Final[Prefixes] = {
    "langfuse.trace.metadata.": "metadata",
    _ASSOCIATION: "metadata",
    _AI_METADATA: "metadata",
    _AI_CONTEXT: "metadata",
    _LAMINAR_ASSOCIATION + "metadata.": "metadata",
    _LANGSMITH_METADATA: "metadata",
    "mastra.metadata.": "metadata",
}

RESOURCES: Final[Table] = {
    "langfuse.environment": Rule("environment", text),
    "langfuse.release": Rule("release", text),
}
