"""A trace's level cut into turns, and every span of the trace given to one of them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from agentmark_server.conventions.messages import Message, Part
from agentmark_server.conversation.content import items, says_something, spoken
from agentmark_server.conversation.levels import Happened, Level, Stated
from agentmark_server.conversation.threads import Asked, Call, Spoken, Thread
from agentmark_server.conversation.tree import Node


class Draft(msgspec.Struct, eq=False):
    """A turn in the making."""

    user: list[Part]
    happened: list[Happened] = []
    stated: list[Part] = []
    """What spans around the dialogue state that was answered."""
    nodes: list[Node] = []
    """Its spans, steps or not."""
    around: list[Node] = []
    """Spans around several steps, of which the last is of this turn."""
    root: Node | None = None
    """The trace's, of its last turn."""

    def calls(self) -> list[Call]:
        """Its calls of the main thread."""
        return [one.what for one in self.happened if isinstance(one.what, Call)]

    def last(self) -> Call | Spoken | None:
        """The last call of the main thread, or what was heard behind it."""
        for one in reversed(self.happened):
            if isinstance(one.what, Call) or (isinstance(one.what, Spoken) and one.what.role == "assistant"):
                return one.what
        return None

    def failed(self) -> bool:
        """Whether its last call did."""
        last = self.last()
        return isinstance(last, Call) and last.node.span.status == "error"

    def answer(self, *, failed: bool) -> list[Part]:
        """What the user got: what is stated around the dialogue, else what was said last.

        Words that call for a tool are no answer where the turn then `failed`.
        """
        last = self.last()
        if last is None or says_something(self.stated):
            return self.stated
        if isinstance(last, Spoken):
            return spoken(last.parts)
        unfinished = self.failed() or (failed and last.asked)
        return self.stated if unfinished else spoken(last.answer) or self.stated


def split(level: Level) -> list[Draft]:
    """The turns: each message of the user begins one, and what comes before the first belongs to that."""
    begins = _begins(level)
    first, later = begins[:1], frozenset(begins[1:])
    drafts = [Draft([] if begins else level.stated.user)]
    for one in level.happened:
        if id(one) in later:
            drafts.append(Draft([]))
        if id(one) in later or id(one) in first:
            drafts[-1].user = one.what.parts if isinstance(one.what, Spoken) else []
        else:
            drafts[-1].happened.append(one)
    drafts[-1].stated = level.stated.answer
    return drafts


def _begins(level: Level) -> list[int]:
    """The messages that begin turns, by `id()`: where the frame states what the user said, only those that it has.

    A prompt that the program made of the user's words is not what the user said.
    """
    runs = [one for one in level.happened if isinstance(one.what, Spoken) and one.what.role == "user"]
    stated = level.stated
    agreed = [one for one in runs if _is_stated(one.what, stated)]
    if agreed or stated.ends_so:
        return [id(one) for one in agreed]
    return [id(one) for one in runs]


def _is_stated(what: object, stated: Stated) -> bool:
    said = items([Message("user", what.parts)]) if isinstance(what, Spoken) else []
    return any(item.mark in stated.marks for item in said)


def share_out(drafts: Sequence[Draft], nodes: Sequence[Node]) -> None:
    """Give every span to one turn: that of the step it lies below, else the last that it is around, else by time.

    `nodes` come each behind its parent.
    """
    if len(drafts) == 1:
        drafts[0].nodes = list(nodes)
        return
    turn_of = {id(node): turn for turn, draft in enumerate(drafts) for node in _steps(draft)}
    around: dict[int, int] = {}
    for node in reversed(nodes):
        turn = max(turn_of.get(id(node), -1), around.get(id(node), -1))
        if node.parent and turn >= 0:
            around[id(node.parent)] = max(turn, around.get(id(node.parent), -1))
    begins = [min((call.node.span.start for call in draft.calls()), default=0) for draft in drafts[1:]]
    for node in nodes:
        if id(node) not in turn_of:
            if id(node) in around:
                drafts[around[id(node)]].around.append(node)
                continue
            above = turn_of.get(id(node.parent))
            turn_of[id(node)] = bisect_right(begins, node.span.start) if above is None else above
        drafts[turn_of[id(node)]].nodes.append(node)


def _steps(draft: Draft) -> Iterator[Node]:
    for one in draft.happened:
        match one.what:
            case Node():
                yield one.what
            case Call():
                yield one.what.node
            case Asked():
                yield from [one.what.node] if one.what.node else []
            case Thread():
                yield from (call.node for call in one.what.calls)
