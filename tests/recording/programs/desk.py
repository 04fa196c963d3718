"""The order desk over the plain `openai` client: one turn is a loop of model calls and tool calls."""

import json
from collections.abc import Callable
from typing import Any

import openai
from story import CHAT_TOOL, MODEL, SYSTEM, get_order

Messages = list[dict[str, Any]]


def stream_text(client: openai.OpenAI, messages: Messages, *, usage: bool) -> str:
    """Ask for the answer as a stream, with or without its usage."""
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = client.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL], stream=True, **more)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def answer(client: openai.OpenAI, messages: Messages, call_tool: Callable[[str], str] = get_order) -> str:
    """Answer the last user message; the answer after a tool is streamed, without usage where the tool failed."""
    reply = client.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL], temperature=0.2)
    message = reply.choices[0].message
    if not message.tool_calls:
        text = message.content or ""
    else:
        call = message.tool_calls[0]
        wanted = {"name": call.function.name, "arguments": call.function.arguments}
        calls = [{"id": call.id, "type": "function", "function": wanted}]
        failed = False
        try:
            result = call_tool(**json.loads(call.function.arguments))
        except LookupError as error:
            failed, result = True, f"error: {error}"
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        text = stream_text(client, messages, usage=not failed)
    messages.append({"role": "assistant", "content": text})
    return text


def turn(
    client: openai.OpenAI, messages: Messages, said: str, call_tool: Callable[[str], str] = get_order
) -> str | None:
    """One turn of the conversation; None when the model refuses it."""
    if not messages:
        messages.append({"role": "system", "content": SYSTEM})
    messages.append({"role": "user", "content": said})
    try:
        return answer(client, messages, call_tool)
    except openai.BadRequestError:
        messages.pop()
        return None
