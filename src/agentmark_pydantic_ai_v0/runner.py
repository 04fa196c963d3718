"""Runs formatted prompts with pydantic-ai."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage

from agentmark_prompts.schema import Checker
from agentmark_pydantic_ai_v0.params import PydanticAIObjectParams, PydanticAIParams, PydanticAITextParams
from agentmark_pydantic_ai_v0.record import Record
from agentmark_pydantic_ai_v0.recording import recording

Listener = Callable[[Any, AsyncIterable[Any]], Any]


@dataclass(frozen=True)
class TextRunResult:
    """An answer: its text, all messages with what was said before, and the tokens that it took."""

    output: str
    messages: list[ModelMessage]
    usage: RunUsage


@dataclass(frozen=True)
class ObjectRunResult:
    """An answer that is an object, which keeps to the prompt's schema; otherwise as `TextRunResult`."""

    output: Record
    messages: list[ModelMessage]
    usage: RunUsage


async def run_text_prompt(
    params: PydanticAITextParams, message_history: Sequence[ModelMessage] | None = None, *, deps: Any = None
) -> TextRunResult:
    """Run a prompt for text.

    `message_history` is what was said before, as `messages` of an earlier result; `deps` is what pydantic-ai hands
    to tools. Raises what pydantic-ai raises, as `pydantic_ai.UsageLimitExceeded` beyond `max_calls`.
    """
    result = await _run(_agent(params, str), params, message_history, deps)
    return TextRunResult(result.output, result.all_messages(), result.usage)


async def run_object_prompt(
    params: PydanticAIObjectParams, message_history: Sequence[ModelMessage] | None = None, *, deps: Any = None
) -> ObjectRunResult:
    """Run a prompt for an object; otherwise as `run_text_prompt`.

    An answer that breaks the schema goes back to the model with what is wrong, as often as `max_retries` (1) says.
    """
    agent = _agent(params, params.output_type)
    _keep_to_schema(agent, params.schema)
    result = await _run(agent, params, message_history, deps)
    return ObjectRunResult(Record.of(result.output), result.all_messages(), result.usage)


async def stream_text_prompt(
    params: PydanticAITextParams, message_history: Sequence[ModelMessage] | None = None, *, deps: Any = None
) -> AsyncIterator[str]:
    """Run a prompt for text, and give the text piece by piece as it comes, also what comes before tools are used.

    Whoever stops early ends the run. Otherwise as `run_text_prompt`.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    async def listen(_: Any, events: AsyncIterable[Any]) -> None:
        async for event in events:
            if piece := _text_in(event):
                pieces.put_nowait(piece)

    # In a task of its own: what is current in the run must not be current where its text is used.
    run = asyncio.create_task(_run(_agent(params, str), params, message_history, deps, listen))
    run.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        await run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


def _agent(params: PydanticAIParams, output_type: Any) -> Agent[Any, Any]:
    settings: Any = params.model_settings
    if params.first_tool_choice:
        settings = _with_first_choice(params.model_settings, params.first_tool_choice)
    return Agent(
        params.model,
        name=params.name,
        instructions=params.system_prompt,
        output_type=output_type,
        tools=params.tools,
        model_settings=settings,
        retries=params.retries,
    )


def _with_first_choice(settings: ModelSettings, choice: str | list[str]) -> Callable[[Any], ModelSettings]:
    def of_step(context: Any) -> ModelSettings:
        first = context.run_step <= 1
        return ModelSettings(**{**settings, "tool_choice": choice}) if first else settings  # type: ignore[typeddict-item]

    return of_step


def _keep_to_schema(agent: Agent[Any, Any], schema: dict[str, Any]) -> None:
    checker = Checker(schema)

    @agent.output_validator
    def check(output: dict[str, Any]) -> dict[str, Any]:
        fault = checker.fault(output, "the answer")
        if fault:
            raise ModelRetry(fault.message)
        return output


async def _run(
    agent: Agent[Any, Any],
    params: PydanticAIParams,
    earlier: Sequence[ModelMessage] | None,
    deps: Any,
    listen: Listener | None = None,
) -> AgentRunResult[Any]:
    with recording(params) as how:
        agent.instrument = how.instrument
        return await agent.run(
            params.user_prompt,
            message_history=params.conversation.after(earlier or ()),
            deps=deps,
            usage_limits=params.usage_limits,
            conversation_id=how.conversation_id,
            event_stream_handler=listen,
        )


def _text_in(event: object) -> str | None:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return None
