"""The OpenAI Agents SDK through Logfire."""
# requires: opentelemetry-exporter-otlp-proto-http==1.45.2
# record: openai_agents_logfire openai-agents==0.24.0 logfire==5.2.0

import logfire
from agents import set_trace_processors
from agents_desk import talk

logfire.configure(send_to_logfire=False, console=False, service_name="order-desk", metrics=False)
set_trace_processors([])  # not OpenAI's own
logfire.instrument_openai_agents()
talk()
logfire.force_flush()
