"""A program with a tracer provider of its own: it runs prompts in many ways and prints the spans of each."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings

from agentmark_prompts import FileLoader
from agentmark_pydantic_ai_v0 import (
    PydanticAIModelRegistry,
    create_pydantic_ai_client,
    run_object_prompt,
    run_text_prompt,
    stream_text_prompt,
)
from agentmark_sdk import session, trace

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
otel.set_tracer_provider(provider)
tracer = otel.get_tracer("program")

CHAT = """---
name: chat
text_config:
  model_name: scripted
  tools: [look_up, ask_another]
---
<System>Help.</System>
<User>{props.message}</User>
"""
OBJECT = """---
name: contact
object_config:
  model_name: test
  schema: {type: object, properties: {email: {type: string}}, required: [email]}
---
<User>{props.message}</User>
"""
TELEMETRY = {
    "isEnabled": True,
    "functionId": "chat-handler",
    "metadata": {
        "userId": "user-1",
        "sessionId": "telemetry-session",
        "sessionName": "By telemetry",
        "tags": ["beta"],
        "plan": "pro",
    },
}
PROPS = {"message": "Where is my order?", "order": {"id": "a-1"}}


def used(messages: list[ModelMessage], tool: str) -> bool:
    return any(isinstance(part, ToolReturnPart) and part.tool_name == tool for m in messages for part in m.parts)


def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call both tools in turn, then answer; without tools answer, or fail when asked to."""
    if "fail" in str(messages):
        raise RuntimeError("the model is away")
    for tool in ("look_up", "ask_another"):
        if any(known.name == tool for known in info.function_tools) and not used(messages, tool):
            return ModelResponse(parts=[ToolCallPart(tool, {"order": "a-1"})])
    return ModelResponse(parts=[TextPart("On its way.")])


async def answer_in_pieces(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Any]:
    if not used(messages, "look_up"):
        yield "Let me see. "
        yield {1: DeltaToolCall("look_up", '{"order": "a-1"}')}
        return
    for piece in ("On ", "its ", "way."):
        yield piece
        await asyncio.sleep(0)


def look_up(order: str) -> str:
    """A sync tool, which pydantic-ai runs in a thread."""
    with tracer.start_as_current_span("database"):
        return f"{order} is on its way"


async def ask_another(order: str) -> str:
    """An async tool, which records with the SDK."""
    async with trace("inner"):
        await asyncio.sleep(0)
    return f"{order} is fine"


registry = PydanticAIModelRegistry()
registry.register_models("scripted", lambda _: FunctionModel(answer, stream_function=answer_in_pieces))
registry.register_models("test", lambda name: name)
folder = TemporaryDirectory()
(Path(folder.name) / "chat.prompt.mdx").write_text(CHAT)
(Path(folder.name) / "contact.prompt.mdx").write_text(OBJECT)
client = create_pydantic_ai_client(
    model_registry=registry, tools=[look_up, ask_another], loader=FileLoader(folder.name)
)


async def formatted(telemetry: Any = None, **props: Any) -> Any:
    prompt = await client.load_text_prompt("chat.prompt.mdx")
    return await prompt.format(props=props or PROPS, telemetry=telemetry)


def around(**more: Any) -> Any:
    return trace("outer", session_id="trace-session", session_name="By trace", user_id="user-2", **more)


async def by_trace() -> None:
    async with around(metadata={"plan": "free"}, tags=["gamma"]):
        await run_text_prompt(await formatted())


async def by_telemetry() -> None:
    await run_text_prompt(await formatted(TELEMETRY))


async def by_both() -> None:
    async with around():
        await run_text_prompt(await formatted({"isEnabled": True, "functionId": "f", "metadata": {"plan": "pro"}}))


async def by_two_sessions() -> None:
    async with around():
        await run_text_prompt(await formatted(TELEMETRY))


async def disabled() -> None:
    await run_text_prompt(await formatted({**TELEMETRY, "isEnabled": False}))


async def disabled_in_a_trace() -> None:
    async with around():
        await run_text_prompt(await formatted({**TELEMETRY, "isEnabled": False}))
    with tracer.start_as_current_span("afterwards"):
        pass


async def silent() -> None:
    with session(session_id="quiet"):
        await run_text_prompt(await formatted())


async def without_a_session() -> None:
    async with trace("outer"):
        await run_text_prompt(await formatted())
    await run_text_prompt(await formatted({"isEnabled": True}))


async def without_content() -> None:
    await run_text_prompt(await formatted({**TELEMETRY, "recordInputs": False}))


async def instrumented_by_the_program() -> None:
    Agent.instrument_all(InstrumentationSettings(include_content=False, version=5))
    try:
        async with around():
            await run_text_prompt(await formatted())
        await run_text_prompt(await formatted({"isEnabled": False}))
    finally:
        Agent.instrument_all(False)


async def streamed() -> None:
    pieces = []
    async for piece in stream_text_prompt(await formatted(TELEMETRY)):
        pieces.append(piece)
        with tracer.start_as_current_span("between", attributes={"said": "".join(pieces)}):
            pass


async def streamed_and_left() -> None:
    stream = stream_text_prompt(await formatted(TELEMETRY))
    async for _ in stream:
        break
    await stream.aclose()


async def failed() -> None:
    try:
        await run_text_prompt(await formatted(TELEMETRY, message="fail"))
    except RuntimeError as error:
        with tracer.start_as_current_span(str(error)):
            pass


async def at_once() -> None:
    async def one(number: int) -> None:
        await run_text_prompt(await formatted({"metadata": {"sessionId": f"s{number}"}}, message=str(number)))

    await asyncio.gather(*(one(number) for number in range(5)))


async def object_prompt() -> None:
    prompt = await client.load_object_prompt("contact.prompt.mdx")
    await run_object_prompt(await prompt.format(props=PROPS, telemetry=TELEMETRY))


def shown(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "id": span.context.span_id,
        "parent": span.parent.span_id if span.parent else None,
        "trace": span.context.trace_id,
        "status": span.status.status_code.name,
        "ended": span.end_time is not None,
        "attributes": dict(span.attributes),
    }


SCENARIOS: list[Callable[[], Awaitable[None]]] = [
    silent,  # first: nothing was recorded before it
    by_trace,
    by_telemetry,
    by_both,
    by_two_sessions,
    disabled,
    disabled_in_a_trace,
    without_a_session,
    without_content,
    instrumented_by_the_program,
    streamed,
    streamed_and_left,
    failed,
    at_once,
    object_prompt,
]


async def main() -> None:
    spans: dict[str, Any] = {}
    for scenario in SCENARIOS:
        exporter.clear()
        await scenario()
        spans[scenario.__name__] = [shown(span) for span in exporter.get_finished_spans()]
    print(json.dumps(spans))  # noqa: T201 - what the test reads


asyncio.run(main())
