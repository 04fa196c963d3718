"""One level of a conversation: what lies below a span, or in a whole trace, down to where the next levels begin.

The calls nearest the top are its dialogue. What lies below a tool, another agent, a guardrail or a retrieval is a
level of its own, and so are calls below a call. Plain spans and the agents around the dialogue are looked through.
"""

from collections.abc import Iterator, Sequence

import msgspec

from agentmark_server.conversation.tree import ENCLOSED, Act, Node, order


class Scope(msgspec.Struct, frozen=True, eq=False):
    """A level: its nodes by what they do, each in order of time."""

    frame: list[Node]
    """The spans around the whole dialogue, from the top: what they state was asked and answered by all of it."""
    calls: list[Node]
    acts: list[Node]
    """Tools, retrievals, embeddings, guardrails, agents not around the dialogue, plain spans that failed."""


def scope(tops: Sequence[Node], first: Node | None = None) -> Scope:
    """The level of `tops`; `first`, an agent or the trace's root, is around all of it, whoever its parent is."""
    frame, around = _around(_dialogue(tops), {id(node) for node in tops})
    if first and first.act in {Act.AGENT, Act.NONE} and first not in frame:
        frame.insert(0, first)
        around |= {id(first)}
    calls: list[Node] = []
    acts: list[Node] = []
    for node in _level(tops, around):
        if node.act is Act.CALL:
            calls.append(node)
        elif id(node) not in around and (node.act is not Act.NONE or node.failed):
            acts.append(node)
    for nodes in (calls, acts):
        nodes.sort(key=order)
    return Scope([node for node in frame if not node.copy], calls, acts)


def inner(call: Node) -> list[Node]:
    """The calls below a call, with at most plain spans between."""
    found = []
    waiting = list(call.children)
    while waiting:
        node = waiting.pop()
        if node.act is Act.CALL:
            found.append(node)
        elif node.act is Act.NONE:
            waiting += node.children
    return sorted(found, key=order)


def _dialogue(tops: Sequence[Node]) -> list[Node]:
    """The calls with the fewest agents above them; without calls, what else is done with the fewest."""
    calls: dict[int, list[Node]] = {}
    others: dict[int, list[Node]] = {}
    waiting = [(node, 0, False) for node in tops]
    while waiting:
        node, agents, below_call = waiting.pop()
        if node.act in ENCLOSED:
            others.setdefault(agents, []).append(node)
        elif node.act is not Act.CALL or not below_call:
            if node.act is Act.CALL:
                calls.setdefault(agents, []).append(node)
            agents += node.act is Act.AGENT
            below_call |= node.act is Act.CALL
            waiting += [(child, agents, below_call) for child in node.children]
    found = calls or others
    return found[min(found)] if found else []


def _around(dialogue: Sequence[Node], tops: set[int]) -> tuple[list[Node], set[int]]:
    """The spans that are above all of the dialogue, from the top, and all that are above any of it."""
    if not dialogue:
        return [], set()
    path = [*_up(dialogue[0], tops)][::-1]
    shared = len(path)
    above = {id(node): place + 1 for place, node in enumerate(path)}
    """For each span that was passed, how many of `path` are at or above it."""
    for node in dialogue[1:]:
        passed: list[Node] = []
        place = 0
        for one in _up(node, tops):
            place = above.get(id(one), 0)
            if place or id(one) in above:
                break
            passed.append(one)
        above.update({id(one): place for one in passed})
        shared = min(shared, place)
    return path[:shared], set(above)


def _up(node: Node, tops: set[int]) -> Iterator[Node]:
    """The spans above one, up to the level's first."""
    while id(node) not in tops and node.parent:
        node = node.parent
        yield node


def _level(tops: Sequence[Node], around: set[int]) -> Iterator[Node]:
    """The nodes of a level, and those with which other levels begin."""
    waiting = [(node, False) for node in tops]
    while waiting:
        node, below_call = waiting.pop()
        if node.act is Act.CALL and below_call:
            continue  # `inner` has it
        if node.act is not Act.NONE or not (below_call or node.copy):
            yield node
        if node.act in ENCLOSED or (node.act is Act.AGENT and id(node) not in around):
            continue
        waiting += [(child, below_call or node.act is Act.CALL) for child in node.children]
