"""Attributes that belong to no ecosystem of language models: the general semantic conventions.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/
"""

from typing import Final

from agentmark_server.conventions.rules import (
    BARE,
    FRAMEWORK_KEY,
    GENERAL,
    KEY,
    RESOURCE,
    Rule,
    Table,
    json_text,
    text,
)

SPAN: Final[Table] = {
    "session.id": Rule(KEY, json_text, rank=GENERAL),  # in quotes where MLflow wrote it
    "session_id": Rule(FRAMEWORK_KEY, text, rank=BARE),
    "user.id": Rule("user_id", json_text, rank=2),
    "enduser.id": Rule("user_id", text, rank=3),
}

RESOURCES: Final[Table] = {
    "session.id": Rule(FRAMEWORK_KEY, text, rank=RESOURCE),
    "service.name": Rule("service", text),
    "service.version": Rule("release", text, rank=1),
    "deployment.environment.name": Rule("environment", text, rank=1),
    "deployment.environment": Rule("environment", text, rank=2),
}

SESSION_BY_FRAMEWORK: Final = (
    "@opentelemetry/instrumentation-",
    "opentelemetry.instrumentation.",
    "com.anthropic.claude_code",
    "claude_agent_sdk",
    "opentelemetry.instrumentation.claude",
)
"""Beginnings of scopes whose `session.id` is a browser's, a protocol's or an agent program's own."""
