"""What happened, as it is shown: steps, and the threads below them."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from agentmark_server.conventions.messages import Part
from agentmark_server.conversation import shapes, tools
from agentmark_server.conversation.content import cut_value, shown, spoken
from agentmark_server.conversation.levels import Happened, Level, level, of_thread
from agentmark_server.conversation.scope import inner, scope
from agentmark_server.conversation.threads import Asked, Call, Spoken, Thread
from agentmark_server.conversation.tree import Act, Node
from agentmark_server.model import PICO
from agentmark_server.times import NS_IN_MS, rfc3339

_DEPTH: Final = 12
"""How many threads are shown one below the other; what lies deeper is only counted."""

_KINDS: Final[dict[Act, shapes.StepKind]] = {
    Act.TOOL: "tool",
    Act.AGENT: "agent",
    Act.RETRIEVAL: "retrieval",
    Act.EMBEDDING: "embedding",
    Act.GUARDRAIL: "guardrail",
    Act.NONE: "function",
}


class Steps:
    """Makes steps, with texts of at most `limit` characters."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def of(self, happened: Happened, depth: int = 0) -> shapes.Step:
        """The step of something that happened, below `depth` other threads."""
        match happened.what:
            case Spoken(role, parts):
                return self._words(role, parts, happened.call)
            case Call() as call:
                return self._message(call, depth)
            case Asked() as asked:
                return self._tool(asked, depth)
            case Thread() as thread:
                return self._aside(thread, depth)
            case node:
                return self._act(node, depth)

    def parts(self, parts: list[Part]) -> list[shapes.Part]:
        """Parts of a message as they are shown."""
        return shown(parts, self._limit)

    def _words(self, role: shapes.StepRole, parts: list[Part], call: Call | None) -> shapes.Step:
        told_by = call.node if call and role == "user" else None
        return shapes.Step(
            kind="message",
            role=role,
            span_id=told_by.span.span_id.hex() if told_by else None,
            name=told_by.span.name if told_by else "",
            start=rfc3339(told_by.start) if told_by else None,
            parts=self.parts(parts),
        )

    def _message(self, call: Call, depth: int) -> shapes.Step:
        below = inner(call.node)
        return shapes.Step(
            kind="message",
            role="assistant",
            parts=self.parts(call.answer),
            threads=self._threads(level(scope(below)), call.node, depth) if below and depth < _DEPTH else [],
            **self._facts(call.node),
            **_numbers([call.node]),
        )

    def _tool(self, asked: Asked, depth: int) -> shapes.Step:
        node = asked.node
        said = tools.call_of(node) if node else asked.call
        arguments = said.arguments if asked.call.arguments is None else asked.call.arguments
        result = tools.result_of(node) if node else None
        if result is None and asked.result:
            result = asked.result.content
        return shapes.Step(
            kind="tool",
            tool_call_id=asked.call.id or said.id,
            threads=self._below(node, depth) if node else [],
            **(self._facts(node) if node else {"span_id": None}) | {"name": asked.call.name or said.name},
            **_numbers(node.tree() if node else []),
            **self._values(arguments, result),
        )

    def _act(self, node: Node, depth: int) -> shapes.Step:
        """Of a plain span, which failed, what lies below it is on the same level already."""
        plain = node.act is Act.NONE
        return shapes.Step(
            kind=_KINDS[node.act],
            threads=[] if plain else self._below(node, depth),
            **self._facts(node) | self._exchanged(node),
            **_numbers([] if plain else node.tree()),
        )

    def _exchanged(self, node: Node) -> dict[str, Any]:
        """What a span was given and gave back: an agent's is in its thread, an embedding's is nothing to read."""
        match node.act:
            case Act.AGENT:
                return {}
            case Act.TOOL:
                call = tools.call_of(node)
                return {
                    "name": call.name,
                    "tool_call_id": call.id,
                    **self._values(call.arguments, tools.result_of(node)),
                }
            case Act.EMBEDDING:
                return self._values(tools.plain(node.said.input), None)
            case _:
                return self._values(tools.plain(node.said.input), tools.plain(node.said.output))

    def _aside(self, thread: Thread, depth: int) -> shapes.Step:
        nodes = [call.node for call in thread.calls]
        last = self._facts(nodes[-1])
        facts = self._facts(nodes[0]) | {name: last[name] for name in ("status", "status_message")} | _times(nodes)
        return shapes.Step(kind="thread", threads=[self._thread(thread, depth)], **facts, **_numbers(nodes))

    def _below(self, node: Node, depth: int) -> list[shapes.Thread]:
        if depth >= _DEPTH:
            return []
        return self._threads(level(scope(node.children, node if node.act is Act.AGENT else None)), node, depth)

    def _threads(self, below: Level, node: Node, depth: int) -> list[shapes.Thread]:
        """The threads of a level below a span: the main one, with all else that happened, and those beside it."""
        happened = [one for one in below.happened if not isinstance(one.what, Thread)]
        steps = [self.of(one, depth + 1) for one in happened]
        if below.stated.marks and not any(isinstance(one.what, Spoken) for one in happened):
            steps.insert(0, self._words("user", below.stated.user, None))
        if below.stated.answer and not any(spoken(call.answer) for call in below.main.calls):
            steps.append(self._words("assistant", below.stated.answer, None))
        beside = [one.what for one in below.happened if isinstance(one.what, Thread)]
        found = [self._named(below.main.calls, node, steps)] if steps else []
        return found + [self._thread(thread, depth) for thread in beside]

    def _thread(self, thread: Thread, depth: int) -> shapes.Thread:
        steps = [self.of(one, depth + 1) for one in of_thread(thread)]
        return self._named(thread.calls, thread.calls[0].node, steps)

    def _named(self, calls: Sequence[Call], node: Node, steps: list[shapes.Step]) -> shapes.Thread:
        first = calls[0].node if calls else node
        system = [item.part for item in calls[0].system] if calls else []
        return shapes.Thread(
            span_id=first.span.span_id.hex(),
            name=first.agent or first.span.name,
            system=self.parts(system),
            steps=steps,
        )

    def _facts(self, node: Node) -> dict[str, Any]:
        """What a span says of itself."""
        span = node.span
        return {
            "span_id": span.span_id.hex(),
            "name": span.name,
            "agent": node.agent,
            "model": span.model,
            "status": span.status,
            "status_message": node.status_message and node.status_message[: self._limit],
            **_times([node]),
        }

    def _values(self, arguments: Any, result: Any) -> dict[str, Any]:
        shown_arguments, size_of_arguments = cut_value(arguments, self._limit)
        shown_result, size_of_result = cut_value(result, self._limit)
        sizes = {"arguments": size_of_arguments, "result": size_of_result}
        cut = {name: size for name, size in sizes.items() if size is not None}
        return {"arguments": shown_arguments, "result": shown_result, "truncated": cut}


def _times(nodes: Sequence[Node]) -> dict[str, Any]:
    start = min((node.start for node in nodes if node.start is not None), default=None)
    ends = [node.end for node in nodes]
    known = [end for end in ends if end is not None]
    end = max(known) if len(known) == len(nodes) else None
    latency = (end - start) / NS_IN_MS if end is not None and start is not None else None
    return {"start": rfc3339(start), "end": rfc3339(end), "latency_ms": latency}


def _numbers(nodes: Iterable[Node]) -> dict[str, Any]:
    """What spans count: null where none of them states it."""
    usages = [node.usage for node in nodes if node.usage]
    inputs = [usage.input_tokens for usage in usages if usage.input_tokens is not None]
    outputs = [usage.output_tokens for usage in usages if usage.output_tokens is not None]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return {
        "input_tokens": sum(inputs) if inputs else None,
        "output_tokens": sum(outputs) if outputs else None,
        "cost": sum(costs) / PICO if costs else None,
    }
