"""Plays a scripted conversation with the SDK, as the program that holds it would."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from agentmark_cli.demo_script import Ask, Conversation, Fail, Find, Say, Step, Turn, Use
from agentmark_sdk import TraceContext, flush, trace
from agentmark_sdk.attributes import SESSION_OUTCOME

__all__ = ["Player", "flush", "play_all"]

PAUSE_SECONDS = 0.12
TOOL_SECONDS = 0.06
SEARCH_SECONDS = 0.03
CALL_SECONDS = 0.05
TOKEN_SECONDS = 0.003
LONGEST_CALL_SECONDS = 0.3
CHARACTERS_PER_TOKEN = 4

Message = dict[str, Any]
Thread = list[Message]
"""What the model is sent: all that was said so far."""


class ToolError(Exception):
    """A tool fails, as the script says."""


class APIError(Exception):
    """A model's provider refuses, as the script says."""


class Player:
    """One conversation; `spans` counts what it has recorded."""

    def __init__(self, plot: Conversation, run: int) -> None:
        self.plot = plot
        self.session_id = f"demo-{plot.user or 'batch'}-{plot.topic}-{run}"
        self.spans = 0
        self._thread: Thread = [_text("system", plot.system)]

    async def play(self) -> None:
        """Play all turns; one that fails fails its trace only."""
        for turn in self.plot.turns:
            before = len(self._thread)
            try:
                await self._turn(turn)
            except APIError:
                del self._thread[before:]
            if not self.plot.remembers:
                del self._thread[before:]
            await asyncio.sleep(PAUSE_SECONDS)

    async def _turn(self, turn: Turn) -> None:
        plot = self.plot
        self._thread.append(_text("user", turn.user))
        self.spans += 1
        async with trace(
            plot.trace,
            session_id=self.session_id,
            session_name=plot.name,
            user_id=plot.user,
            metadata=dict(plot.metadata),
            tags=list(plot.tags),
        ) as ctx:
            ctx.set_input(turn.user)
            ctx.set_output(await self._answer(ctx, turn))
            if plot.outcome and turn is plot.turns[-1]:
                ctx.set_attribute(SESSION_OUTCOME, plot.outcome)

    async def _answer(self, ctx: TraceContext, turn: Turn) -> str:
        if self.plot.agent is None:
            return await self._steps(ctx, turn.steps, self._thread)
        return await self._agent(ctx, self.plot.agent, turn.steps, self._thread)

    async def _agent(self, ctx: TraceContext, agent: str, steps: tuple[Step, ...], thread: Thread) -> str:
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}
        with self._span(ctx, f"invoke_agent {agent}", attributes) as span:
            return await self._steps(span, steps, thread)

    async def _steps(self, ctx: TraceContext, steps: tuple[Step, ...], thread: Thread) -> str:
        """Take the steps one after the other; the last thing said is the answer."""
        answer = ""
        for step in steps:
            match step:
                case Say():
                    answer = step.text
                    await self._call(ctx, thread, _text("assistant", answer), step.model)
                case Use():
                    await self._use(ctx, step, thread)
                case Find():
                    await self._find(ctx, step, thread)
                case Ask():
                    own: Thread = [_text("system", f"You are the {step.agent}."), _text("user", step.task)]
                    found = await self._agent(ctx, step.agent, step.steps, own)
                    thread.append(_text("assistant", f"{step.agent}: {found}"))
                case Fail():
                    await self._call(ctx, thread, None, error=step.error)
        return answer

    async def _call(
        self,
        ctx: TraceContext,
        thread: Thread,
        answer: Message | None,
        model: tuple[str, str] | None = None,
        error: str = "",
    ) -> None:
        """One request to a model; without an answer it fails, and says no usage."""
        provider, name = model or self.plot.model
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": name,
            "gen_ai.input.messages": _json(thread),
        }
        with self._span(ctx, f"chat {name}", attributes) as span:
            if answer is None:
                await asyncio.sleep(CALL_SECONDS)
                raise APIError(error)
            written = _tokens([answer])
            await asyncio.sleep(min(CALL_SECONDS + written * TOKEN_SECONDS, LONGEST_CALL_SECONDS))
            span.set_attribute("gen_ai.response.model", name)
            span.set_attribute("gen_ai.usage.input_tokens", self.plot.prompt_tokens + _tokens(thread))
            span.set_attribute("gen_ai.usage.output_tokens", written)
            span.set_attribute("gen_ai.output.messages", _json([answer]))
        thread.append(answer)

    async def _use(self, ctx: TraceContext, step: Use, thread: Thread) -> None:
        """Let the model ask for a tool; where that fails, the model is told and the conversation goes on."""
        call_id = f"call_{self.spans:04}"
        request = {"type": "tool_call", "id": call_id, "name": step.tool, "arguments": step.arguments}
        await self._call(ctx, thread, {"role": "assistant", "parts": [request]})
        try:
            result = await self._tool(ctx, step, call_id)
        except ToolError as error:
            result = f"error: {error}"
        response = {"type": "tool_call_response", "id": call_id, "response": result}
        thread.append({"role": "tool", "parts": [response]})

    async def _tool(self, ctx: TraceContext, step: Use, call_id: str) -> object:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": step.tool,
            "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.call.arguments": _json(step.arguments),
        }
        with self._span(ctx, f"execute_tool {step.tool}", attributes) as span:
            await asyncio.sleep(TOOL_SECONDS)
            if step.error:
                raise ToolError(step.error)
            span.set_attribute("gen_ai.tool.call.result", _json(step.result))
        return step.result

    async def _find(self, ctx: TraceContext, step: Find, thread: Thread) -> None:
        attributes = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": step.source,
            "gen_ai.retrieval.query.text": step.query,
        }
        with self._span(ctx, f"retrieval {step.source}", attributes) as span:
            span.set_input(step.query)
            await asyncio.sleep(SEARCH_SECONDS)
            span.set_output(list(step.documents))
        thread.append(_text("system", "Passages found:\n" + "\n".join(step.documents)))

    def _span(
        self, ctx: TraceContext, name: str, attributes: dict[str, str]
    ) -> AbstractContextManager[TraceContext]:
        self.spans += 1
        return ctx.span(name, attributes=attributes)


def play_all(players: Sequence[Player], played: Callable[[], None]) -> None:
    """Play all at the same time, as users talk; `played` is called after each."""
    asyncio.run(_play_all(players, played))


async def _play_all(players: Sequence[Player], played: Callable[[], None]) -> None:
    for playing in asyncio.as_completed([player.play() for player in players]):
        await playing
        played()


def _text(role: str, content: str) -> Message:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tokens(messages: Thread) -> int:
    """About as many as a model would count."""
    return 1 + len(_json([message["parts"] for message in messages])) // CHARACTERS_PER_TOKEN
