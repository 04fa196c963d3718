"""Attributes that belong to no ecosystem of language models: the general semantic conventions.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/
"""

from typing import Final

from agentmark_server.conventions.rules import Rule, text

SPAN: Final = {
    "session.id": Rule("application_key", text, rank=2),
    "user.id": Rule("user_id", text, rank=2),
    "enduser.id": Rule("user_id", text, rank=3),
}

RESOURCE: Final = {
    "service.name": Rule("service", text),
    "service.version": Rule("release", text),
    "deployment.environment.name": Rule("environment", text),
    "deployment.environment": Rule("environment", text, rank=1),
}
