"""MLflow's autologging of OpenAI, exported over OTLP, with the session and the user as its documents say."""
# requires: opentelemetry-sdk==1.39.0 opentelemetry-exporter-otlp-proto-http==1.39.0 openai==3.54.0
# record: mlflow mlflow==3.17.2
# record: mlflow_genai mlflow==3.17.2 MLFLOW_ENABLE_OTEL_GENAI_SEMCONV=true
# record: mlflow_marked mlflow==3.17.2 MARKED=1

import os

os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["COLLECTOR_URL"] + "/v1/traces"
os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
import openai
from desk import turn
from mlflow.entities import SpanType
from story import SESSIONS, get_order, log

mlflow.set_tracking_uri("file:./mlruns")
mlflow.openai.autolog()
client = openai.OpenAI()
traced_tool = mlflow.trace(get_order, span_type=SpanType.TOOL)


@mlflow.trace(name="order_desk", span_type=SpanType.AGENT)
def one_turn(session: str, user: str, said: str) -> str | None:
    mlflow.update_current_trace(
        tags={"shop": "north"}, metadata={"mlflow.trace.user": user, "mlflow.trace.session": session}
    )
    if os.environ.get("MARKED"):  # what reaches OTLP: attributes that the program sets on the span itself
        mlflow.get_current_active_span().set_attributes({"session.id": session, "user.id": user})
    return turn(client, history, said, traced_tool)


for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        log(session, user, said, one_turn(session, user, said))
mlflow.flush_trace_async_logging()
