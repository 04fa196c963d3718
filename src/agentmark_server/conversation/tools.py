"""The spans of tools to the calls of tools that they ran for."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from agentmark_server.conventions.messages import Image, Message, Other, Part, Text, ToolCall, ToolResult
from agentmark_server.conversation.threads import Asked, Call, Thread
from agentmark_server.conversation.tree import Act, Node

_CLOCK_STEP: Final = 10**6
"""Some programs' clocks go in steps of a millisecond."""

Since = tuple[int, Asked]
"""A call of a tool, and from when on a span may be the run of it."""


def give_spans(nodes: Sequence[Node], threads: Iterable[Thread]) -> None:
    """Give each call of a tool its span: by the call's id, else by name and order."""
    waiting = sorted((pair for thread in threads for call in thread.calls for pair in _asked(call)), key=_since)
    tools = [node for node in nodes if node.act is Act.TOOL]
    left = _match(tools, waiting, lambda node: call_of(node).id, lambda asked: asked.call.id)
    _match(left, waiting, lambda node: _name(call_of(node).name), lambda asked: _name(asked.call.name))


def _name(name: str) -> str:
    """A tool's name; the OpenAI Agents SDK calls one thing `transfer_to_refunds` and `handoff to refunds`."""
    return name.replace(" ", "_").removeprefix("transfer_to_").removeprefix("handoff_to_")


def call_of(node: Node) -> ToolCall:
    """What a tool's span says that it was called with."""
    said = (part for one in node.said.input for part in one.parts)
    called = next((part for part in said if isinstance(part, ToolCall)), None)
    return called or ToolCall(None, node.span.name, plain(node.said.input))


def result_of(node: Node) -> Any:
    """What a tool's span says that it gave back."""
    said = (part for one in node.said.output for part in one.parts)
    return next((part.content for part in said if isinstance(part, ToolResult)), plain(node.said.output))


def plain(messages: Iterable[Message]) -> Any:
    """The content of messages that nobody said: a query, a list of documents. None without any."""
    contents = [_content(part) for one in messages for part in one.parts]
    return contents[0] if len(contents) == 1 else contents or None


def _content(part: Part) -> Any:
    match part:
        case Text() | Other() | ToolResult():
            return part.content
        case ToolCall():
            return part.arguments
        case Image():
            return part.url
        case _:
            return part.content


def _asked(call: Call) -> Iterator[Since]:
    """The tools of a call; those that it brings the results of alone may have run at any time before it."""
    for asked in [*call.news, *call.asked]:
        if isinstance(asked, Asked):
            yield (call.node.span.start - _CLOCK_STEP if asked.ours else 0), asked


def _since(pair: Since) -> int:
    return pair[0]


def _match(
    nodes: Iterable[Node],
    waiting: Sequence[Since],
    key_of_node: Callable[[Node], str | None],
    key_of_call: Callable[[Asked], str | None],
) -> list[Node]:
    """Give nodes to the calls that wait with the same key, each to the latest before it. The nodes left over."""
    queues: dict[str, list[Since]] = {}
    for pair in waiting:
        key = key_of_call(pair[1])
        if key and pair[1].node is None:
            queues.setdefault(key, []).append(pair)
    left = []
    for node in nodes:
        asked = _latest(queues.get(key_of_node(node) or "", []), node.span.start)
        if asked:
            asked.node = node
        else:
            left.append(node)
    return left


def _latest(queue: list[Since], start: int) -> Asked | None:
    """Taken from a queue: of what was called for together, the latest before `start`, the first."""
    end = bisect_right(queue, start, key=_since)
    if not end:
        return None
    first = bisect_left(queue, queue[end - 1][0], hi=end, key=_since)
    return queue.pop(first)[1]
