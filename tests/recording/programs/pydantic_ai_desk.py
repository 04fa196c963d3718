"""Two agents of pydantic-ai: the order desk with a tool, and a refund desk that it asks through another tool."""

from typing import Any

from pydantic_ai import Agent
from story import MODEL, SESSIONS_WITH_REFUND, SYSTEM, log
from story import get_order as look_up

refunds = Agent(f"openai:{MODEL}", name="refund_desk", instructions="You decide about refunds. Be brief.")
orders = Agent(f"openai:{MODEL}", name="order_desk", instructions=SYSTEM)


@orders.tool_plain
def get_order(order_id: str) -> str:
    """Look up the state of an order by its number."""
    return look_up(order_id)


@orders.tool_plain
async def ask_refund_desk(question: str) -> str:
    """Ask the refund desk about a refund."""
    return (await refunds.run(question)).output


def talk(around: Any, options: Any) -> None:
    """Play the story: `around` gives a context around a turn, `options` the keywords of `run_sync`."""
    for session, user, messages in SESSIONS_WITH_REFUND:
        history: Any = None
        for said in messages:
            with around(session, user):
                try:
                    result = orders.run_sync(said, message_history=history, **options(session, user))
                except Exception:  # noqa: BLE001 - the failing tool and the failing model call end the turn
                    log(session, user, said, None)
                else:
                    history = result.all_messages()
                    log(session, user, said, result.output)
