"""Logfire's instrumentation of pydantic-ai; the session and the user are baggage, as Logfire's documents say."""
# requires: opentelemetry-exporter-otlp-proto-http==1.45.2
# record: logfire_pydantic_ai logfire==5.2.0 pydantic-ai-slim[openai]==2.68.0

from collections.abc import Iterator
from contextlib import contextmanager

import logfire

logfire.configure(send_to_logfire=False, console=False, service_name="order-desk", metrics=False)
logfire.instrument_pydantic_ai()
from pydantic_ai_desk import talk  # noqa: E402 - after the instrumentation


@contextmanager
def around(session: str, user: str) -> Iterator[None]:
    with logfire.set_baggage(session_id=session, user_id=user), logfire.span("turn of {user}", user=user):
        yield


talk(around, lambda session, _user: {"conversation_id": session})
logfire.force_flush()
