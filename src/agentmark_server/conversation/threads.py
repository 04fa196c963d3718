"""Calls of models to the threads that they are of: what each call adds, and what it only sends again."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal

import msgspec

from agentmark_server.conventions.messages import Part, ToolCall, ToolResult
from agentmark_server.conversation.content import Item, answered
from agentmark_server.conversation.tree import Node

_THREADS_AT_ONCE: Final = 16
"""Among how many threads a call's is looked for: bounds the work for traces that fan out widely."""
_CLOCK_STEP: Final = 10**6
"""Some programs' clocks go in steps of a millisecond."""


class Asked(msgspec.Struct, eq=False):
    """A tool that a model called for: the call, and what came of it."""

    call: ToolCall
    result: ToolResult | None = None
    ours: bool = False
    """Whether a call of the thread called for it; else the thread begins with its result."""
    node: Node | None = None
    """The span of the tool."""


class Spoken(msgspec.Struct, frozen=True):
    """What a call sends that is new: words of the user, or an answer that has no span of its own."""

    role: Literal["user", "assistant"]
    parts: list[Part]


class Call(msgspec.Struct, eq=False):
    """A request to a model: what was sent, what was answered, and what of it is new to its thread."""

    node: Node
    sent: list[Item]
    answer: list[Part]
    """What came back: thoughts, texts and calls of tools, of all messages."""
    news: list[Spoken | Asked] = []
    """What is new in what was sent: words, and tools that ran for an answer that has no span."""
    asked: list[Asked] = []
    """The tools that the answer calls for."""

    @property
    def system(self) -> list[Item]:
        """Its instructions."""
        return [item for item in self.sent if item.role == "system"]


class Thread(msgspec.Struct, eq=False):
    """Calls of which each goes on where the one before ended."""

    calls: list[Call] = []
    answered: int = 0
    """How many answers there were."""
    end: int = 0
    _answers: list[tuple[int, Asked | None]] = []
    """Of each part that was answered: which answer it is of, from 1, and the tool that it calls for."""
    _places: dict[bytes, list[int]] = {}
    """Where each mark stands among them."""
    _open: list[Asked] = []
    """The tools called for, of which no result is known."""
    _shown: dict[bytes, int] = {}
    """For what was sent, behind which answer it was new."""
    _sent: list[Item] = []
    """What the last call sent: where the next begins with the same, all that is old."""
    _waiting: list[Asked] = []
    """The tools called for in it of which it brings no result."""

    def holds(self, call: Call) -> bool:
        """Whether a call sends what this thread answered."""
        return any(item.role == "assistant" and item.mark in self._places for item in call.sent)

    def takes(self, call: Call) -> bool:
        """Whether a call that sends none of its answers can be of it: the same again, or the user's next message.

        Two messages at once are no dialogue, and other instructions make another one.
        """
        if not call.sent or not any(one.sent for one in self.calls):
            return True
        if [item.mark for item in call.system] != [item.mark for item in self.calls[-1].system]:
            return False
        goes_on = call.node.span.start >= self.end - _CLOCK_STEP
        return goes_on or all(item.role != "user" for item in self._new(call, {})[0])

    def add(self, call: Call) -> None:
        """Take a call in: what is new in it, and the results that it brings."""
        old = len(self._sent) if call.sent[: len(self._sent)] == self._sent else 0
        known = self._known(call.sent, old)
        new, behind = self._new(call, known or self._known(call.sent, 0))
        places = {id(item) for item in new}
        first = next((place for place, item in enumerate(call.sent[old:], old) if id(item) in places), 0)
        for spoken in _runs(places, call.sent[first if old else 0 :]):
            call.news.append(spoken)
            if spoken.role == "assistant":
                call.news += self._answer(answered(spoken.parts))
        call.news[:0] = self._brought(call.sent, places, old)
        self._shown.update({item.mark: behind for item in new})
        call.asked += self._answer(answered(call.answer))
        self.calls.append(call)
        self.end = max(self.end, call.node.span.end or call.node.span.start)

    def _known(self, sent: Sequence[Item], old: int) -> dict[int, int]:
        """Of its own answers that are sent again: where they are sent, and which they are. Found from the end.

        The first `old` items are not looked at.
        """
        found: dict[int, int] = {}
        bound = len(self._answers)
        for place in range(len(sent) - 1, old - 1, -1):
            item = sent[place]
            places = self._places.get(item.mark, []) if item.role == "assistant" else []
            before = bisect_left(places, bound)
            if before:
                bound = found[place] = places[before - 1]
        return found

    def _new(self, call: Call, known: dict[int, int]) -> tuple[list[Item], int]:
        """What a call sends that its thread does not have, and behind which of its answers that stands.

        All before its last answer is history, and so is what a thread begins with, up to the last answer in it.
        Where no answer is sent again, a call that says what the one before it said is that one, tried again.
        """
        if known:
            last = max(known)
            behind = self._answers[known[last]][0]
            rest = [item for item in call.sent[last + 1 :] if self._shown.get(item.mark, -1) < behind]
            if behind < self.answered:
                rest = [item for item in rest if item.role != "assistant"]
        else:
            last, behind = _last_answer(call.sent), self.answered
            before = {item.mark for item in self.calls[-1].sent} if self.calls else set()
            rest = [item for item in call.sent[last + 1 :] if item.mark not in before]
        while rest and rest[-1].role == "assistant":
            rest.pop()  # the beginning of the answer, which the program gave
        return [item for item in rest if item.role != "system"], behind

    def _brought(self, sent: list[Item], new: set[int], old: int) -> list[Asked]:
        """Take results to the calls of tools that they answer; the calls from before the thread whose are new.

        What the first `old` items bring was taken with the call before.
        """
        known = self._known(sent, old)
        waiting = self._waiting if old else []
        before: list[Asked] = []
        for place, item in enumerate(sent[old:], old):
            if isinstance(item.part, ToolCall):
                waiting.append((self._answers[known[place]][1] if place in known else None) or Asked(item.part))
            elif isinstance(item.part, ToolResult):
                asked = _asking(waiting, item.part)
                if asked:
                    waiting.remove(asked)
                asked = asked or _asking(self._open, item.part) or _asked_before(item.part)
                if asked.ours:
                    self._close(asked, item.part)
                elif id(item) in new:
                    asked.result = item.part
                    before.append(asked)
        self._sent, self._waiting = sent, waiting
        return before

    def _close(self, asked: Asked, result: ToolResult) -> None:
        if asked.result is None:
            asked.result = result
            self._open.remove(asked)

    def _answer(self, answer: Sequence[Item]) -> list[Asked]:
        """Take an answer in; the tools that it calls for."""
        self.answered += bool(answer)
        found: list[Asked] = []
        for item in answer:
            asked = Asked(item.part, ours=True) if isinstance(item.part, ToolCall) else None
            if asked:
                found.append(asked)
            elif isinstance(item.part, ToolResult) and (ran := _asking(found, item.part)):
                ran.result = item.part  # the model's provider ran it
            self._places.setdefault(item.mark, []).append(len(self._answers))
            self._answers.append((self.answered, asked))
        self._open += [asked for asked in found if asked.result is None]
        return found


def _asking(asked: Sequence[Asked], result: ToolResult) -> Asked | None:
    """The call that a result answers: by its id; where one of the two has none, by name, in order."""
    by_id = (one for one in asked if one.call.id and one.call.id == result.id)
    by_name = (
        one for one in asked if not (one.call.id and result.id) and result.name in {None, "", one.call.name}
    )
    return next(by_id, None) or next(by_name, None)


def _asked_before(result: ToolResult) -> Asked:
    return Asked(ToolCall(result.id, result.name or "", None))


def _last_answer(sent: Sequence[Item]) -> int:
    """Where the last answer stands that something follows; -1 without one."""
    place = len(sent) - 1
    while place >= 0 and sent[place].role == "assistant":
        place -= 1
    while place >= 0 and sent[place].role != "assistant":
        place -= 1
    return place


def _runs(new: set[int], sent: Sequence[Item]) -> Iterator[Spoken]:
    """What is new of what was sent: what one said without a break is one."""
    words = (item for item in sent if item.role != "system")
    for role, run in groupby(words, key=lambda item: item.role):
        parts = [item.part for item in run if id(item) in new]
        if parts and role in {"user", "assistant"}:
            yield Spoken(role, parts)


def threads(calls: Iterable[Call]) -> list[Thread]:
    """The threads of calls, which come in order of time."""
    found: list[Thread] = []
    for call in calls:
        latest = found[: -_THREADS_AT_ONCE - 1 : -1]
        thread = next((one for one in latest if one.holds(call)), None)
        thread = thread or next((one for one in latest if one.takes(call)), None)
        if thread is None:
            thread = Thread()
            found.append(thread)
        thread.add(call)
    return found
