"""LangSmith's SDK in its OpenTelemetry mode: `traceable` and its wrapped OpenAI client."""
# record: langsmith langsmith[otel]==0.15.0 openai==3.54.0 LANGSMITH_TRACING=true LANGSMITH_OTEL_ENABLED=true
# ... LANGSMITH_OTEL_ONLY=true LANGSMITH_API_KEY=no-key LANGSMITH_PROJECT=order-desk LANGSMITH_ENDPOINT=$COLLECTOR

import openai
from desk import turn
from langsmith import Client, traceable
from langsmith.wrappers import wrap_openai
from otel import set_up
from story import SESSIONS, get_order, log

provider = set_up()
langsmith = Client()
client = wrap_openai(openai.OpenAI(), tracing_extra={"client": langsmith})
traced_tool = traceable(name="get_order", run_type="tool")(get_order)


@traceable(name="order_desk", run_type="chain")
def one_turn(said: str) -> str | None:
    return turn(client, history, said, traced_tool)


for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        extra = {
            "client": langsmith,
            "metadata": {"session_id": session, "user_id": user},
            "tags": ["desk", "beta"],
        }
        log(session, user, said, one_turn(said, langsmith_extra=extra))
langsmith.flush()
provider.force_flush()
provider.shutdown()
