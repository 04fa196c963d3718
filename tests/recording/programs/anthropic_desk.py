"""The order desk over the `anthropic` client, which has spans of its own, and another instrumentation beside."""
# requires: anthropic==2.12.0 opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
# record: anthropic_openinference openinference-instrumentation-anthropic==3.1.0 WITH=openinference
# record: anthropic_traceloop opentelemetry-instrumentation-anthropic==0.62.4 WITH=traceloop
# record: anthropic_native WITH=

import os

import anthropic
from opentelemetry import trace
from otel import set_up
from story import SESSIONS, SYSTEM, TOOL_SCHEMA, get_order, log

provider = set_up()
if os.environ["WITH"] == "traceloop":
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=provider)
elif os.environ["WITH"] == "openinference":
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=provider)
tracer = trace.get_tracer("order-desk")
client = anthropic.Anthropic()
TOOLS = [{"name": "get_order", "description": get_order.__doc__, "input_schema": TOOL_SCHEMA}]


def answer(history: list) -> str:
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 500, "system": SYSTEM, "tools": TOOLS}
    reply = client.messages.create(messages=history, **asked)
    if reply.stop_reason == "tool_use":
        call = reply.content[0]
        wanted = {"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}
        history.append({"role": "assistant", "content": [wanted]})
        try:
            with tracer.start_as_current_span("get_order"):
                result = get_order(**call.input)
        except LookupError as error:
            result = f"error: {error}"
        history.append(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result}]}
        )
        with client.messages.stream(messages=history, **asked) as stream:
            text = "".join(stream.text_stream)
    else:
        text = reply.content[0].text
    history.append({"role": "assistant", "content": text})
    return text


for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        with tracer.start_as_current_span("turn", attributes={"session.id": session, "user.id": user}):
            history.append({"role": "user", "content": said})
            try:
                log(session, user, said, answer(history))
            except anthropic.BadRequestError:
                log(session, user, said, None)
provider.shutdown()
