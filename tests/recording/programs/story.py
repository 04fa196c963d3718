"""What the recorded programs have in common: who says what to the order desk, and the log of what was said.

It stands beside each program when it runs, and needs nothing but the standard library.
"""

import json
import sys

MODEL = "gpt-4o-mini"
SYSTEM = "You are the order desk of a small shop. Look orders up before you speak about them."

# Session, user, and the user's messages: the third of the first session is refused by the model server, and the
# order of the second session does not exist, so that the tool fails.
SESSIONS = [
    (
        "desk-ada-1",
        "ada@example.com",
        ["Hello, I am Ada.", "Where is my order A-1001?", "This message is far too long for you."],
    ),
    ("desk-grace-2", "grace@example.com", ["Please look up order B-9999."]),
]
# The same with one more turn, which the order desk hands to the refund desk: an agent of its own.
REFUND = "Can I have a refund?"
SESSIONS_WITH_REFUND = [
    (SESSIONS[0][0], SESSIONS[0][1], [*SESSIONS[0][2][:2], REFUND, SESSIONS[0][2][2]]),
    SESSIONS[1],
]
ORDERS = {"A-1001": "shipped on Monday, arrives on Thursday", "A-1002": "being packed"}


def get_order(order_id: str) -> str:
    """Look up the state of an order by its number."""
    if order_id not in ORDERS:
        raise LookupError(f"there is no order {order_id}")
    return f"Order {order_id} is {ORDERS[order_id]}."


TOOL_SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "description": "The order's number, such as A-1001"}},
    "required": ["order_id"],
    "additionalProperties": False,
}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "get_order", "description": get_order.__doc__, "parameters": TOOL_SCHEMA},
}


def log(session_id: str | None, user_id: str | None, said: str, answer: str | None) -> None:
    """Write one turn down as the program saw it; an answer of None says that the turn failed."""
    turn = {"session_id": session_id, "user_id": user_id, "input": said, "output": answer}
    sys.stdout.write("TURN " + json.dumps(turn) + "\n")
    sys.stdout.flush()
