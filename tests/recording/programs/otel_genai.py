"""Plain OpenTelemetry with its own instrumentation of OpenAI; the app sets the session on its span of a turn."""
# requires: opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
# record: otel_genai_events opentelemetry-instrumentation-openai-v2==2.4b0 openai==2.8.1
# ... opentelemetry-util-genai==0.4b0
# ... OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true OLD=1
# record: otel_genai_latest opentelemetry-instrumentation-openai-v2==2.4b0 openai==2.8.1
# ... opentelemetry-util-genai==0.4b0
# ... OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental
# ... OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_and_event OLD=1
# record: otel_genai_renamed opentelemetry-instrumentation-genai-openai==1.3b0 openai==3.54.0
# ... OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_and_event
# ... OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT=true

import os

import openai
from desk import turn
from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from otel import set_up
from story import SESSIONS, get_order, log

provider = set_up()
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(logs)
if os.environ.get("OLD"):
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
else:
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
tracer = trace.get_tracer("order-desk")


def traced_tool(order_id: str) -> str:
    with tracer.start_as_current_span("execute_tool get_order") as span:
        span.set_attribute("gen_ai.operation.name", "execute_tool")
        span.set_attribute("gen_ai.tool.name", "get_order")
        return get_order(order_id)


client = openai.OpenAI()
for session, user, messages in SESSIONS:
    history = []
    for said in messages:
        with tracer.start_as_current_span("chat turn") as span:
            span.set_attribute("session.id", session)
            span.set_attribute("user.id", user)
            span.set_attribute("gen_ai.conversation.id", session)
            log(session, user, said, turn(client, history, said, traced_tool))
client.embeddings.create(model="text-embedding-3-small", input=["order A-1001", "order A-1002"])
if not os.environ.get("OLD"):  # the old package does not know the Responses API
    client.responses.create(model="gpt-4o-mini", instructions="Be brief.", input="Thank you!")
provider.shutdown()
logs.shutdown()
