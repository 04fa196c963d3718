import asyncio
import time
from agentmark_sdk import trace
from agentmark_pydantic_ai_v0 import run_text_prompt
from agentmark_client import client

session_id = f"session-{int(time.time() * 1000)}"


async def main():
    async with trace(
        name="handle-greeting",
        session_id=session_id,
        session_name="Customer Support Chat #12345",
        user_id="user-123"
    ) as ctx:
        prompt = await client.load_text_prompt("chat.prompt.mdx")
        params = await prompt.format(props={"message": "Hello!"})
        greeting = await run_text_prompt(params)

    async with trace(
        name="handle-follow-up",
        session_id=session_id,
        session_name="Customer Support Chat #12345",
        user_id="user-123"
    ) as ctx:
        prompt = await client.load_text_prompt("chat.prompt.mdx")
        params = await prompt.format(props={"message": "What can you help me with?"})
        follow_up = await run_text_prompt(params)


asyncio.run(main())
