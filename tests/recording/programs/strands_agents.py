"""Strands agents: an agent with a tool and an agent as a tool; the session stands in `trace_attributes`."""
# requires: strands-agents[openai,otel]==1.62.0
# record: strands
# record: strands_latest OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental,gen_ai_span_attributes_only
# record: strands_unredacted OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental,gen_ai_tool_definitions

import os

from story import MODEL, SESSIONS_WITH_REFUND, SYSTEM, log
from story import get_order as look_up
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.telemetry import StrandsTelemetry

telemetry = StrandsTelemetry().setup_otlp_exporter()
model = OpenAIModel(
    client_args={"base_url": os.environ["OPENAI_BASE_URL"], "api_key": "no-key", "max_retries": 0}, model_id=MODEL
)


@tool
def get_order(order_id: str) -> str:
    """Look up the state of an order by its number."""
    return look_up(order_id)


@tool
def ask_refund_desk(question: str) -> str:
    """Ask the refund desk about a refund."""
    desk = Agent(model=model, name="refund_desk", system_prompt="You decide about refunds.", callback_handler=None)
    return str(desk(question))


for session, user, messages in SESSIONS_WITH_REFUND:
    agent = Agent(
        model=model,
        name="order_desk",
        system_prompt=SYSTEM,
        tools=[get_order, ask_refund_desk],
        callback_handler=None,
        trace_attributes={"session.id": session, "user.id": user, "tags": ["desk", "beta"]},
    )
    for said in messages:
        try:
            log(session, user, said, str(agent(said)).strip())
        except Exception:  # noqa: BLE001 - the failing model call ends the turn
            log(session, user, said, None)
telemetry.tracer_provider.shutdown()
