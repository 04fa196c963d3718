"""Logfire's instrumentation of the OpenAI client."""
# requires: opentelemetry-exporter-otlp-proto-http==1.45.2
# record: logfire_openai logfire==5.2.0 openai==3.54.0

import logfire
import openai
from desk import turn
from story import SESSIONS, get_order, log

logfire.configure(send_to_logfire=False, console=False, service_name="order-desk", metrics=False)
client = openai.OpenAI()
logfire.instrument_openai(client)
traced_tool = logfire.instrument("get_order", extract_args=True, record_return=True)(get_order)

for session, user, messages in SESSIONS:
    history = []
    for said in messages:
        with logfire.set_baggage(session_id=session, user_id=user), logfire.span("turn", _tags=["desk"]):
            log(session, user, said, turn(client, history, said, traced_tool))
client.embeddings.create(model="text-embedding-3-small", input=["order A-1001"])
with logfire.span("turn", session_id="desk-alone-3"):
    reply = client.responses.create(model="gpt-4o-mini", instructions="Be brief.", input="Thank you!")
    log("desk-alone-3", None, "Thank you!", reply.output_text)
logfire.force_flush()
