"""OpenInference's instrumentation of LangChain: an agent with a tool."""
# requires: opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
# record: openinference_langchain langchain==1.4.7 langchain-openai==1.7.3 langgraph==1.2.22
# ... openinference-instrumentation-langchain==0.1.80
# record: openinference_langchain_thread langchain==1.4.7 langchain-openai==1.7.3 langgraph==1.2.22
# ... openinference-instrumentation-langchain==0.1.80 THREAD=1

import os
from contextlib import nullcontext

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from openinference.instrumentation import using_attributes
from openinference.instrumentation.langchain import LangChainInstrumentor
from otel import set_up
from story import MODEL, SESSIONS, SYSTEM, log
from story import get_order as look_up

provider = set_up()
LangChainInstrumentor().instrument(tracer_provider=provider)


@tool
def get_order(order_id: str) -> str:
    """Look up the state of an order by its number."""
    return look_up(order_id)


model = ChatOpenAI(model=MODEL, max_retries=0, temperature=0.2)
agent = create_agent(model, [get_order], system_prompt=SYSTEM, name="order_desk", checkpointer=InMemorySaver())
for session, user, messages in SESSIONS:
    for said in messages:
        # With THREAD only LangGraph's own thread tells the session, as in a program that knows no OpenInference.
        known = nullcontext() if os.environ.get("THREAD") else using_attributes(session_id=session, user_id=user)
        config = {"configurable": {"thread_id": session}, "metadata": {"user_id": user}, "tags": ["desk"]}
        with known:
            try:
                state = agent.invoke({"messages": [{"role": "user", "content": said}]}, config)
                log(session, user, said, state["messages"][-1].content)
            except Exception:  # noqa: BLE001 - the failing tool and the failing model call end the turn
                log(session, user, said, None)
provider.shutdown()
