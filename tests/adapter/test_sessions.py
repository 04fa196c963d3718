"""What the server makes of runs: sessions that somebody named, and no others."""

import json
from collections.abc import Callable
from pathlib import Path

PROGRAM = """
import asyncio
from agentmark_client import client
from agentmark_pydantic_ai_v0 import run_text_prompt, stream_text_prompt
from agentmark_sdk import session, trace

async def formatted(telemetry=None):
    prompt = await client.load_text_prompt("chat.prompt.mdx")
    return await prompt.format(props={"message": "Hello!"}, telemetry=telemetry)

async def main():
    named = {"sessionId": "named", "userId": "u"}
    async with trace("no session"):
        first = await run_text_prompt(await formatted())
    await run_text_prompt(await formatted({"isEnabled": True}), first.messages)
    await run_text_prompt(await formatted({"isEnabled": False, "metadata": named}))
    with session(session_id="quiet"):
        await run_text_prompt(await formatted())
    if SESSION:
        async with trace("outer", session_id="around"):
            await run_text_prompt(await formatted({"metadata": named}))
            await run_text_prompt(await formatted())
            async for _ in stream_text_prompt(await formatted()):
                pass

asyncio.run(main())
"""


def test_runs_make_no_sessions_of_their_own(
    project: Path, program: Callable[..., str], agentmark: Callable[..., str]
) -> None:
    """Runs that are in no session, and runs that are not recorded, make none, also with history of other runs."""
    program(project, "-c", PROGRAM.replace("SESSION", "False"))
    assert json.loads(agentmark("api", "sessions", "list"))["data"] == []


def test_each_run_is_in_the_nearest_session(
    project: Path, program: Callable[..., str], agentmark: Callable[..., str]
) -> None:
    """One trace may hold runs of two sessions; each counts its own calls, once."""
    program(project, "-c", PROGRAM.replace("SESSION", "True"))
    sessions = {session["id"]: session for session in json.loads(agentmark("api", "sessions", "list"))["data"]}
    assert {key: one["call_count"] for key, one in sessions.items()} == {"named": 1, "around": 2}
    assert sessions["around"]["total_tokens"] == 2 * sessions["named"]["total_tokens"]
    assert (sessions["named"]["user_id"], sessions["around"]["user_id"]) == ("u", None)
