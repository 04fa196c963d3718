"""The two Python examples of the document that this project implements, as they stand there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COUNT_TOKENS = """
import asyncio, json
from agentmark_pydantic_ai_v0 import run_text_prompt
from agentmark_client import client

async def main():
    prompt = await client.load_text_prompt("chat.prompt.mdx")
    used = []
    for message in ("Hello!", "What can you help me with?"):
        used.append((await run_text_prompt(await prompt.format(props={"message": message}))).usage)
    print(json.dumps([sum(u.input_tokens for u in used), sum(u.output_tokens for u in used)]))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("example", "name", "traces"),
    [
        ("with_trace.py", "Customer Support Chat #12345", ["handle-greeting", "handle-follow-up"]),
        ("with_telemetry.py", "Customer Support Chat", ["chat-handler", "chat-handler"]),
    ],
)
def test_the_command_lists_exactly_one_session(
    example: str,
    name: str,
    traces: list[str],
    project: Path,
    program: Callable[..., str],
    agentmark: Callable[..., str],
) -> None:
    """After an example there is one session, with its name, user, traces, and the tokens of two calls."""
    assert program(project, example) == ""
    [session] = json.loads(agentmark("api", "sessions", "list", "--limit", "10"))["data"]
    assert (session["name"], session["user_id"], session["user_ids"]) == (name, "user-123", ["user-123"])
    assert (session["trace_count"], session["call_count"], session["error_count"]) == (2, 2, 0)
    opened: dict[str, Any] = json.loads(agentmark("api", "sessions", "get", session["id"]))["data"]
    assert [trace["name"] for trace in opened["traces"]] == traces
    assert all(trace["also_in"] == [] for trace in opened["traces"])
    assert session["input_preview"] == "Hello!"
    assert session["output_preview"] == "success (no tool calls)"
    expected = json.loads(program(project, "-c", COUNT_TOKENS))
    assert [session["input_tokens"], session["output_tokens"]] == expected
    assert (session["unaccounted_tokens"], session["unmetered_calls"]) == (0, 0)
    assert session["agents"] == ["chat"]


def test_both_examples_and_unrecorded_runs_are_two_sessions(
    project: Path, program: Callable[..., str], agentmark: Callable[..., str]
) -> None:
    """A run without telemetry outside of a trace leaves nothing, and each example its own session."""
    for command in (["with_trace.py"], ["-c", COUNT_TOKENS], ["with_telemetry.py"]):
        program(project, *command)
    sessions = json.loads(agentmark("api", "sessions", "list"))["data"]
    assert {session["name"] for session in sessions} == {"Customer Support Chat #12345", "Customer Support Chat"}
