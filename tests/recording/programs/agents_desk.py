"""The OpenAI Agents SDK: an order desk with a tool, which hands refunds over to another agent."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from agents import Agent, RunConfig, Runner, SQLiteSession, function_tool, trace
from story import MODEL, SESSIONS_WITH_REFUND, SYSTEM, log
from story import get_order as look_up


@function_tool
def get_order(order_id: str) -> str:
    """Look up the state of an order by its number."""
    return look_up(order_id)


refunds = Agent(name="refund_desk", model=MODEL, instructions="You decide about refunds. Be brief.")
orders = Agent(name="order_desk", model=MODEL, instructions=SYSTEM, tools=[get_order], handoffs=[refunds])


def talk(around: Callable[[str, str], AbstractContextManager[object]] | None = None) -> None:
    """Play the story: one `trace` of the SDK around each turn, its `group_id` is the session."""
    for session, user, messages in SESSIONS_WITH_REFUND:
        memory = SQLiteSession(session)
        for said in messages:
            config = RunConfig(workflow_name="Order desk", group_id=session, trace_metadata={"user_id": user})
            try:
                known = around(session, user) if around else nullcontext()
                with known, trace("Order desk", group_id=session, metadata={"user_id": user}):
                    result = Runner.run_sync(orders, said, session=memory, run_config=config)
            except Exception:  # noqa: BLE001 - the failing model call ends the turn
                log(session, user, said, None)
            else:
                log(session, user, said, str(result.final_output))
