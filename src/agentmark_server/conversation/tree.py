"""The spans of a trace as a tree of nodes, each of which says what it is to a conversation."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from agentmark_server.conventions.messages import Message, Messages, ToolCall, ToolResult
from agentmark_server.conversation.recorded import Recorded
from agentmark_server.model import EARLIEST, LATEST, Kind, Role, Span, Usage


class Act(StrEnum):
    """What a span does in a conversation."""

    CALL = "call"
    AGENT = "agent"
    TOOL = "tool"
    RETRIEVAL = "retrieval"
    EMBEDDING = "embedding"
    GUARDRAIL = "guardrail"
    NONE = "none"
    """A plain span, or a copy of a call: what lies below it belongs to what lies above it."""


ENCLOSED: Final = frozenset((Act.TOOL, Act.RETRIEVAL, Act.EMBEDDING, Act.GUARDRAIL))
"""What models say below these is none of the thread above."""

_NEAR: Final = 64
"""How many spans above a call are looked at: bounds the work for traces made to be slow."""
_SILENT: Final = Messages([], [])
_BY_KIND: Final = {
    Kind.TOOL: Act.TOOL,
    Kind.RETRIEVAL: Act.RETRIEVAL,
    Kind.GUARDRAIL: Act.GUARDRAIL,
    Kind.AGENT: Act.AGENT,
}


class Node(msgspec.Struct, eq=False):
    """A span in its tree."""

    span: Span
    said: Messages
    status_message: str | None
    usage: Usage | None
    """What it counts; None where its usage is counted elsewhere."""
    failed: bool = False
    """Whether it counts as an error."""
    parent: "Node | None" = None
    children: "list[Node]" = []
    act: Act = Act.NONE
    copy: bool = False
    """Whether another instrumentation recorded the same call, which counts."""
    agent: str | None = None
    """The agent that it belongs to."""

    @property
    def start(self) -> int | None:
        """When it began, unless a broken clock says so."""
        return self.span.start if EARLIEST <= self.span.start < LATEST else None

    @property
    def end(self) -> int | None:
        """When it ended, never before its start; None while it runs, or when a broken clock says so."""
        end = self.span.end
        return None if not EARLIEST <= end < LATEST else end if self.start is None else max(end, self.start)

    def above(self) -> "Iterator[Node]":
        """Its ancestors, the nearest first."""
        node = self.parent
        while node:
            yield node
            node = node.parent

    def tree(self) -> "Iterator[Node]":
        """Itself and all below it, each behind its parent."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


def order(node: Node) -> tuple[int, bytes]:
    """Spans in time; ids settle ties."""
    return node.span.start, node.span.span_id


def grown(
    spans: Iterable[Recorded],
    counted: Collection[bytes],
    costs: Mapping[bytes, int],
    failed: Collection[bytes] | None,
) -> tuple[list[Node], list[Node]]:
    """The nodes without a parent, the trace's root first, and all nodes, each behind its parent.

    Children are in order of time. Where parents go round in a circle, the earliest span has none.
    """
    by_id = {one.span.span_id: one for one in sorted(spans, key=lambda one: (one.span.end, one.said != _SILENT))}
    nodes = {
        span_id: Node(one.span, one.said, one.status_message, _usage(one.span, counted, costs))
        for span_id, one in by_id.items()
        if one.span.role is not Role.EVENT
    }
    tops = _hung(sorted(nodes.values(), key=order), nodes)
    tops.sort(key=lambda node: (bool(node.span.parent_id), *order(node)))
    ordered = [node for top in tops for node in top.tree()]
    for node in ordered:
        node.agent = node.span.agent or (node.parent.agent if node.parent else None)
    _set_failed(ordered, failed)
    _set_acts(ordered)
    _find_tools_by_name(ordered)
    return tops, ordered


def _usage(span: Span, counted: Collection[bytes], costs: Mapping[bytes, int]) -> Usage | None:
    if span.span_id not in counted:
        return None
    cost = costs.get(span.span_id, span.usage.cost)
    return span.usage if cost == span.usage.cost else msgspec.structs.replace(span.usage, cost=cost)


def _set_failed(nodes: Sequence[Node], failed: Collection[bytes] | None) -> None:
    """Errors rise: without being told which count, those do that have none below them."""
    below: set[int] = set()
    for node in reversed(nodes):
        error = node.span.status == "error"
        node.failed = node.span.span_id in failed if failed is not None else error and id(node) not in below
        if node.parent and (error or id(node) in below):
            below.add(id(node.parent))


def _hung(nodes: Sequence[Node], by_id: Mapping[bytes, Node]) -> list[Node]:
    """Each node to its parent; those without one."""
    tops = []
    for node in nodes:
        parent = by_id.get(node.span.parent_id)
        if parent and parent is not node:
            node.parent = parent
            parent.children.append(node)
        else:
            tops.append(node)
    reached = {id(node) for top in tops for node in top.tree()}
    for node in nodes:
        if id(node) not in reached:
            if node.parent:
                node.parent.children.remove(node)
            node.parent = None
            tops.append(node)
            reached.update(id(below) for below in node.tree())
    return tops


def _set_acts(nodes: Sequence[Node]) -> None:
    """What each node is: a span of a model that has a call below it only wraps that call."""
    wrapping: set[int] = set()
    for node in reversed(nodes):
        node.copy = node.span.role is Role.CALL and node.usage is None
        node.act = _act(node, wraps=id(node) in wrapping)
        calls = node.act in {Act.CALL, Act.EMBEDDING} or id(node) in wrapping
        if node.parent and calls:
            wrapping.add(id(node.parent))


def _act(node: Node, *, wraps: bool) -> Act:
    span = node.span
    if span.role is Role.CALL and not node.copy:
        return Act.EMBEDDING if span.kind is Kind.EMBEDDING else Act.CALL
    if node.copy:
        return Act.NONE
    if span.kind in {Kind.LLM, Kind.EMBEDDING}:
        return Act.NONE if wraps else Act.CALL if span.kind is Kind.LLM else Act.EMBEDDING
    return Act.TOOL if _is_tool(node) else _BY_KIND.get(span.kind, Act.NONE)


def _is_tool(node: Node) -> bool:
    """Whether a span that does not say its kind says what only a tool's does: the call, and the result."""
    if node.span.kind is not Kind.FUNCTION or node.span.role is not Role.UNKNOWN:
        return False
    said = node.said
    return _only(said.input, ToolCall) and (not said.output or _only(said.output, ToolResult))


def _find_tools_by_name(nodes: Sequence[Node]) -> None:
    """A plain span is a tool's run where a call before it, and not below it, calls for a tool of its name."""
    since: dict[str, int] = {}
    around: set[int] = set()
    for node in nodes:
        names = _called_for(node)
        for name in names:
            since[name] = min(node.span.start, since.get(name, node.span.start))
        if names:
            around.update(id(one) for one in islice(node.above(), _NEAR) if one.span.name in names)
    for node in nodes:
        plain = node.act is Act.NONE and node.span.kind is Kind.FUNCTION and id(node) not in around
        if plain and node.span.start >= since.get(node.span.name, node.span.start + 1):
            node.act = Act.TOOL


def _called_for(node: Node) -> set[str]:
    if node.act is not Act.CALL:
        return set()
    return {part.name for one in node.said.output for part in one.parts if isinstance(part, ToolCall)}


def _only(said: Sequence[Message], kind: type) -> bool:
    return len(said) == 1 and len(said[0].parts) == 1 and isinstance(said[0].parts[0], kind)
