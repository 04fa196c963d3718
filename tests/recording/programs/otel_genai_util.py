"""OpenTelemetry's own helper for applications (opentelemetry-util-genai): agents, tools, and a conversation id."""
# requires: openai==3.54.0 opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
# record: otel_genai_util opentelemetry-instrumentation-genai-openai==1.3b0
# ... OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only

import openai
from desk import turn
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.types import InputMessage, OutputMessage, Text
from otel import set_up
from story import SESSIONS, get_order, log

provider = set_up()
OpenAIInstrumentor().instrument()
handler = TelemetryHandler()


def traced_tool(order_id: str) -> str:
    with handler.tool("get_order", tool_type="function", agent_name="order-desk") as tool:
        tool.arguments = {"order_id": order_id}
        tool.tool_result = get_order(order_id)
        return tool.tool_result


client = openai.OpenAI()
for session, user, messages in SESSIONS:
    history = []
    for said in messages:
        with handler.invoke_local_agent(agent_name="order-desk", conversation_id=session) as agent:
            agent.input_messages = [InputMessage(role="user", parts=[Text(content=said)])]
            answer = turn(client, history, said, traced_tool)
            if answer:
                parts = [Text(content=answer)]
                agent.output_messages = [OutputMessage(role="assistant", parts=parts, finish_reason="stop")]
            log(session, user, said, answer)
provider.shutdown()
