"""One level of a conversation, laid out: its threads, and what happened, in order."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from typing import Final, Literal

import msgspec

from agentmark_server.conventions.messages import Message, Other, Part
from agentmark_server.conversation import tools
from agentmark_server.conversation.content import Item, Items, answered, items, says_something, spoken
from agentmark_server.conversation.scope import Scope
from agentmark_server.conversation.threads import Asked, Call, Spoken, Thread, threads
from agentmark_server.conversation.tree import Act, Node
from agentmark_server.model import Kind, Role

_ASIDE: Final = re.compile(r"title|guardrail|moderation", re.IGNORECASE)
"""Names of calls that are no part of what people said, where there is another thread."""
_NEAR: Final = 64
"""How many spans below or above a call are asked for its content: bounds the work for traces made to be slow."""


class Stated(msgspec.Struct, frozen=True):
    """What the spans around a dialogue state was asked and answered."""

    user: list[Part]
    """The user's last words; where there are none, whatever was given."""
    answer: list[Part]
    marks: frozenset[bytes] = frozenset()
    """By what all that the user said is known again; empty where only data was given."""
    ends_so: bool = False
    """Whether the user's words are the last of what was given, so that they are what is to be answered."""


class Happened(msgspec.Struct, frozen=True):
    """Something that happened on a level, in its place.

    `what` is new words, a call, a tool that was called for, a thread beside, or the span of anything else.
    """

    what: Spoken | Call | Asked | Thread | Node
    slot: int
    """Which call of the main thread it belongs to."""
    rank: int
    """Before the call's message (0: words, 1: acts), the message itself (2), behind it (3)."""
    start: int
    order: int
    call: Call | None = None
    """The call that says so."""

    @property
    def place(self) -> tuple[int, int, int, int]:
        """By which things are in order."""
        return self.slot, self.rank, self.start, self.order


class Level(msgspec.Struct, frozen=True):
    """A level: the main thread, and all that happened."""

    stated: Stated
    main: Thread
    happened: list[Happened]


def level(scope: Scope) -> Level:
    """Lay a level out. Without calls its main thread has none."""
    remembered = Items()
    found = threads(_call(node, remembered) for node in scope.calls)
    stated = _stated(scope)
    main = max(found, key=lambda thread: _weight(thread, stated)) if len(found) > 1 else [*found, Thread()][0]
    tools.give_spans(scope.acts, found)
    ran = {id(asked.node) for thread in found for asked in _asked(thread)}
    others: list[Thread | Node] = [one for one in found if one is not main]
    others += [node for node in scope.acts if id(node) not in ran]
    happened = [*of_thread(main), *(_placed(one, main, order) for order, one in enumerate(others))]
    return Level(stated, main, sorted(happened, key=lambda one: one.place))


def of_thread(thread: Thread) -> Iterator[Happened]:
    """What was said in a thread, and the tools that were called for."""
    for slot, call in enumerate(thread.calls):
        start = call.node.span.start
        for order, new in enumerate(call.news):
            yield Happened(new, slot, 0, start, order, call)
        yield Happened(call, slot, 2, start, 0, call)
        for order, asked in enumerate(call.asked):
            ran = max(start, asked.node.span.start) if asked.node else start
            yield Happened(asked, slot, 3, ran, order, call)


def _placed(one: Thread | Node, main: Thread, order: int) -> Happened:
    """Something beside the main thread by its time: behind the call before it, unless that gave the answer.

    What happens between an answer and the next call is made ready for that.
    """
    start = _first(one).span.start
    slot = bisect_left(main.calls, start, key=lambda call: call.node.span.start) - 1
    if slot < 0:
        return Happened(one, 0, 1, start, order)
    call = main.calls[slot]
    answered_by_then = not call.asked and 0 < call.node.span.end <= start
    if answered_by_then and slot + 1 < len(main.calls):
        return Happened(one, slot + 1, 1, start, order)
    return Happened(one, slot, 3, start, len(call.asked) + order)


def _first(one: Thread | Node) -> Node:
    return one.calls[0].node if isinstance(one, Thread) else one


def _asked(thread: Thread) -> Iterator[Asked]:
    for call in thread.calls:
        yield from (one for one in [*call.news, *call.asked] if isinstance(one, Asked))


def _call(node: Node, remembered: Items) -> Call:
    answer = [part for one in _content(node, "output") if one.role in {"assistant", "tool"} for part in one.parts]
    return Call(node, remembered.of(_content(node, "input")), answer)


def _content(node: Node, direction: Literal["input", "output"]) -> list[Message]:
    """A call's messages; of one that says none, those of a copy below it or of a span that only wraps it."""
    near = (islice(ones, _NEAR) for ones in (_copies(node), _wrappers(node)))
    for one in chain([node], *near):
        said: list[Message] = getattr(one.said, direction)
        if said and (one is node or one.copy or one.span.kind is Kind.LLM):
            return said
    return []


def _copies(node: Node) -> Iterator[Node]:
    waiting = list(node.children)
    for one in waiting:  # grows while it is walked
        if one.act is Act.NONE:
            yield one
            waiting += one.children


def _wrappers(node: Node) -> Iterator[Node]:
    return takewhile(lambda one: one.act is Act.NONE and one.span.kind is Kind.LLM, node.above())


def _stated(scope: Scope) -> Stated:
    """What the frame states: of each direction the span nearest the top that does."""
    user, marks, ends_so = _asked_of(_frame(scope))
    answers = [_last_answer(node) for node in scope.frame]
    answer = next((one for one in answers if says_something(one)), None)
    answer = answer or next((one for one in answers if any(isinstance(part, Other) for part in one)), [])
    return Stated(user, answer, marks, ends_so)


def _frame(scope: Scope) -> list[Node]:
    """The frame, but for a roll-up of embeddings alone: nobody said what it repeats."""
    only_embeds = not scope.calls and scope.acts and all(act.act is Act.EMBEDDING for act in scope.acts)
    return [node for node in scope.frame if not (only_embeds and node.span.role is Role.ROLL_UP)]


def _asked_of(frame: Iterable[Node]) -> tuple[list[Part], frozenset[bytes], bool]:
    data: list[Part] = []
    for node in frame:
        given = items(node.said.input)
        words = [item for item in given if item.role == "user"]
        if any(isinstance(item.part, Other) for item in words):  # a function's arguments, not a message
            data = data or [item.part for item in words if isinstance(item.part, Other)]
        elif words:
            return _last_words(given), frozenset(item.mark for item in words), given[-1].role == "user"
    return data, frozenset(), False


def _last_words(given: Sequence[Item]) -> list[Part]:
    """What the user said last, without a break."""
    end = max(place for place, item in enumerate(given) if item.role == "user") + 1
    start = end
    while start and given[start - 1].role == "user":
        start -= 1
    return [item.part for item in given[start:end]]


def _last_answer(node: Node) -> list[Part]:
    said = [one for one in node.said.output if one.role == "assistant"]
    return spoken(said[-1].parts) if said else []


def _weight(thread: Thread, stated: Stated) -> tuple[bool, bool, bool, int, int, int, int, bytes]:
    """By what the main thread is chosen: that whose answer is stated, the longest, that with the most tokens."""
    calls = thread.calls
    first, last = calls[0].node, calls[-1]
    said = {item.mark for call in calls for item in call.sent if item.role == "user"}
    answer = {item.mark for item in answered(spoken(last.answer))}
    tokens = [usage for call in calls if (usage := call.node.usage)]
    return (
        not any(_ASIDE.search(name) for name in (first.span.name, first.agent or "")),
        bool(answer) and answer == {item.mark for item in answered(stated.answer)},
        not said.isdisjoint(stated.marks),
        len(calls),
        max(len(call.sent) for call in calls),
        sum((usage.input_tokens or 0) + (usage.output_tokens or 0) for usage in tokens),
        -first.span.start,
        first.span.span_id,
    )
