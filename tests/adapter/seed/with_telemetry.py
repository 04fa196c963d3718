import asyncio
import time
from agentmark_pydantic_ai_v0 import run_text_prompt
from agentmark_client import client

session_id = f"session-{int(time.time() * 1000)}"


async def handle_user_message(message: str):
    prompt = await client.load_text_prompt("chat.prompt.mdx")
    params = await prompt.format(
        props={"message": message},
        telemetry={
            "isEnabled": True,
            "functionId": "chat-handler",
            "metadata": {"userId": "user-123", "sessionId": session_id, "sessionName": "Customer Support Chat"}
        }
    )
    return await run_text_prompt(params)


async def main():
    await handle_user_message("Hello!")
    await handle_user_message("What can you help me with?")


asyncio.run(main())
