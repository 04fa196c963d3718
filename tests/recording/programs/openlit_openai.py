"""OpenLIT, with the session as an attribute that it adds to its spans."""
# record: openlit openlit==1.45.0 openai==2.54.0

import os

import openai
import openlit
from desk import turn
from story import SESSIONS, get_order, log

openlit.init(
    otlp_endpoint=os.environ["COLLECTOR_URL"],
    application_name="order-desk",
    environment="shop-north",
    disable_metrics=True,
)
client = openai.OpenAI()
for session, user, messages in SESSIONS:
    history: list = []
    for said in messages:
        facts = {"gen_ai.session.id": session, "gen_ai.user.id": user}
        with openlit.start_trace("order_desk") as traced:
            answer = openlit.inject_additional_attributes(
                lambda history=history, said=said: turn(client, history, said, get_order), facts
            )
            traced.set_result(str(answer))
        log(session, user, said, answer)
