"""OpenInference's instrumentation of OpenAI, with the session in `using_attributes`."""
# requires: openai==3.54.0 opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
# record: openinference_openai openinference-instrumentation-openai==0.1.66

import openai
from desk import turn
from openinference.instrumentation import OITracer, TraceConfig, using_attributes, using_session
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from otel import set_up
from story import SESSIONS, get_order, log

provider = set_up()
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = OITracer(trace.get_tracer("order-desk"), config=TraceConfig())
client = openai.OpenAI()


@tracer.tool(name="get_order")
def traced_tool(order_id: str) -> str:
    return get_order(order_id)


@tracer.agent(name="order-desk")
def one_turn(said: str) -> str | None:
    return turn(client, history, said, traced_tool)


for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        with using_attributes(
            session_id=session, user_id=user, metadata={"shop": "north", "attempt": 1}, tags=["desk", "beta"]
        ):
            log(session, user, said, one_turn(said))
with using_session("desk-alone-3"):
    thanks = client.responses.create(model="gpt-4o-mini", instructions="Be brief.", input="Thank you!")
    log("desk-alone-3", None, "Thank you!", thanks.output_text)
    client.embeddings.create(model="text-embedding-3-small", input=["order A-1001", "order A-1002"])
provider.shutdown()
