"""The OpenAI Agents SDK through OpenInference, with `using_attributes`; BARE: with the SDK's group id alone."""
# requires: opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
# record: openai_agents_openinference openai-agents==0.24.0 openinference-instrumentation-openai-agents==2.6.0
# record: openai_agents_openinference_bare openai-agents==0.24.0
# ... openinference-instrumentation-openai-agents==2.6.0 BARE=1

import os

from agents_desk import talk
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from otel import set_up

provider = set_up()
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
talk(None if os.environ.get("BARE") else lambda session, user: using_attributes(session_id=session, user_id=user))
provider.shutdown()
