"""Laminar's SDK: `observe` with a session and a user."""
# record: laminar lmnr==0.8.2 openai==3.54.0

import os

import openai
from desk import turn
from lmnr import Laminar, observe
from story import SESSIONS, get_order, log

port = int(os.environ["COLLECTOR_URL"].rsplit(":", 1)[1])
Laminar.initialize(project_api_key="no-key", base_url="http://127.0.0.1", http_port=port, force_http=True)
client = openai.OpenAI()
traced_tool = observe(name="get_order", span_type="TOOL")(get_order)

for session, user, messages in SESSIONS:
    history: list = []

    @observe(
        name="order_desk", session_id=session, user_id=user, metadata={"shop": "north"}, tags=["desk", "beta"]
    )
    def one_turn(said: str, history: list) -> str | None:
        return turn(client, history, said, traced_tool)

    for said in messages:
        log(session, user, said, one_turn(said, history))
Laminar.flush()
