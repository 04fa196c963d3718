"""Google's Agent Development Kit: an agent with a tool and a sub-agent, on Gemini's API or through LiteLLM."""
# requires: opentelemetry-exporter-otlp-proto-http==1.44.0 google-adk==2.13.0
# record: google_adk
# record: google_adk_latest OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental
# ... OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_AND_EVENT
# record: google_adk_schema1 ADK_TELEMETRY_SCHEMA_VERSION_OPT_IN=1
# record: google_adk_litellm litellm==1.106.2 mcp==2.3.0 LITELLM=1 LITELLM_LOCAL_MODEL_COST_MAP=True

import asyncio
import os

os.environ["GOOGLE_API_KEY"] = "no-key"
os.environ["GOOGLE_GEMINI_BASE_URL"] = os.environ["MODEL_URL"]
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from otel import set_up

provider = set_up()
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(logs)
from google.adk.agents import LlmAgent  # noqa: E402 - after the providers are there
from google.adk.runners import InMemoryRunner  # noqa: E402
from google.adk.tools.agent_tool import AgentTool  # noqa: E402
from google.genai import types  # noqa: E402
from story import SESSIONS_WITH_REFUND, SYSTEM, get_order, log  # noqa: E402

model = "gemini-2.5-flash"
if os.environ.get("LITELLM"):
    from google.adk.models.lite_llm import LiteLlm

    model = LiteLlm(model="openai/gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], num_retries=0)
refunds = LlmAgent(
    name="refund_desk", model=model, instruction="You decide about refunds.", description="Refunds."
)
orders = LlmAgent(name="order_desk", model=model, instruction=SYSTEM, tools=[get_order, AgentTool(refunds)])


async def main() -> None:
    runner = InMemoryRunner(agent=orders, app_name="shop")
    for session, user, messages in SESSIONS_WITH_REFUND:
        await runner.session_service.create_session(app_name="shop", user_id=user, session_id=session)
        for said in messages:
            answer = None
            message = types.Content(role="user", parts=[types.Part(text=said)])
            try:
                async for event in runner.run_async(user_id=user, session_id=session, new_message=message):
                    if event.is_final_response() and event.content and event.content.parts:
                        answer = event.content.parts[0].text
            except Exception:  # noqa: BLE001 - the failing tool and the failing model call end the turn
                answer = None
            log(session, user, said, answer)


asyncio.run(main())
provider.shutdown()
logs.shutdown()
