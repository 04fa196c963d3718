"""Langfuse's SDK: `observe`, its OpenAI client, the session in `propagate_attributes` (in 3 on the trace)."""

# record: langfuse_5 langfuse==5.0.4 openai==3.54.0
# record: langfuse_4 langfuse==4.18.0 openai==2.8.1
# record: langfuse_3 langfuse==3.2.1 openai==1.109.1
import os
from contextlib import nullcontext

os.environ.update(
    LANGFUSE_PUBLIC_KEY="no-key",
    LANGFUSE_SECRET_KEY="no-key",  # noqa: S106 - there is no server that would want one
    LANGFUSE_HOST=os.environ["COLLECTOR_URL"],
    LANGFUSE_BASE_URL=os.environ["COLLECTOR_URL"],
    LANGFUSE_TRACING_ENVIRONMENT="shop-north",
    LANGFUSE_RELEASE="2026.11",
)
import langfuse
from desk import turn
from langfuse import get_client, observe
from langfuse.openai import OpenAI
from story import SESSIONS, get_order, log

client = OpenAI()
traced_tool = observe(name="get_order", as_type="span" if langfuse.__version__ < "3.3" else "tool")(get_order)
facts = {"tags": ["desk", "beta"], "metadata": {"shop": "north"}}
propagate = getattr(langfuse, "propagate_attributes", None)


@observe(name="order-desk-turn")
def one_turn(session: str, user: str, said: str) -> str | None:
    if not propagate:
        get_client().update_current_trace(name="Order desk", session_id=session, user_id=user, **facts)
    known = propagate(session_id=session, user_id=user, trace_name="Order desk", **facts) if propagate else None
    with known or nullcontext():
        return turn(client, history, said, traced_tool)


for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        log(session, user, said, one_turn(session, user, said))
if propagate:
    rating = get_client().start_as_current_observation(name="rating", as_type="generation", model="gpt-4o-mini")
else:
    rating = get_client().start_as_current_generation(name="rating", model="gpt-4o-mini")
with rating as generation:
    generation.update(
        output="good",
        usage_details={"input": 10, "output": 4, "cache_read_input_tokens": 6},
        cost_details={"input": 0.00001, "output": 0.00002, "total": 0.00003},
    )
    get_client().score_current_trace(name="helpful", value=1)
get_client().flush()
