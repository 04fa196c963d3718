"""pydantic-ai's own instrumentation, with plain OpenTelemetry around it."""
# record: pydantic_ai pydantic-ai-slim[openai]==2.68.0 opentelemetry-exporter-otlp-proto-http==1.45.2 VERSION=5
# record: pydantic_ai_format6 pydantic-ai-slim[openai]==2.68.0 opentelemetry-exporter-otlp-proto-http==1.45.2
# ... VERSION=6
# record: pydantic_ai_format2 pydantic-ai-slim[openai]==2.68.0 opentelemetry-exporter-otlp-proto-http==1.45.2
# ... VERSION=2
# record: pydantic_ai_1 pydantic-ai-slim[openai]==1.0.10 openai==1.109.1 opentelemetry-sdk==1.37.0
# ... opentelemetry-exporter-otlp-proto-http==1.37.0 VERSION=2 OLD=1
# record: pydantic_ai_1_events pydantic-ai-slim[openai]==1.0.10 openai==1.109.1 opentelemetry-sdk==1.37.0
# ... opentelemetry-exporter-otlp-proto-http==1.37.0 VERSION=1 OLD=1

import os
from contextlib import nullcontext

from opentelemetry import trace
from otel import set_up

provider = set_up()
from pydantic_ai import Agent  # noqa: E402 - after the provider is there
from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: E402
from pydantic_ai_desk import talk  # noqa: E402

Agent.instrument_all(InstrumentationSettings(version=int(os.environ["VERSION"])))
if os.environ.get("OLD"):
    # This version knows no conversation: the program has a span of its own.
    tracer = trace.get_tracer("order-desk")

    def around(session: str, user: str) -> object:
        return tracer.start_as_current_span("turn", attributes={"session.id": session, "user.id": user})

    talk(around, lambda _session, _user: {})
else:
    talk(
        lambda _session, _user: nullcontext(),
        lambda session, user: {"conversation_id": session, "metadata": {"user_id": user, "shop": "north"}},
    )
provider.shutdown()
