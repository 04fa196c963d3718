"""Traceloop's SDK (OpenLLMetry) with its decorators and association properties."""

# record: traceloop traceloop-sdk==0.62.4 openai==3.54.0 httpx==0.28.1
# record: traceloop_0_46 traceloop-sdk==0.46.2 openai==1.109.1 opentelemetry-sdk==1.37.0
# ... opentelemetry-exporter-otlp-proto-http==1.37.0
import os

import openai
from desk import turn
from story import SESSIONS, get_order, log
from traceloop.sdk import Traceloop, decorators
from traceloop.sdk.decorators import tool, workflow

Traceloop.init(app_name="order-desk", api_endpoint=os.environ["COLLECTOR_URL"], telemetry_enabled=False)
client = openai.OpenAI()
traced_tool = tool(name="get_order")(get_order)


@workflow(name="order_desk")
def one_turn(said: str) -> str | None:
    return turn(client, history, said, traced_tool)


for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        Traceloop.set_association_properties({"session_id": session, "user_id": user, "shop": "north"})
        log(session, user, said, one_turn(said))
if hasattr(decorators, "conversation"):

    @decorators.conversation("desk-alone-3")
    def thanks() -> str:
        return client.responses.create(
            model="gpt-4o-mini", instructions="Be brief.", input="Thank you!"
        ).output_text

    Traceloop.set_association_properties({})
    log("desk-alone-3", None, "Thank you!", thanks())
client.embeddings.create(model="text-embedding-3-small", input=["order A-1001"])
