"""A trace to its turns, and the turns of a session's traces to its conversation."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from agentmark_server.conventions.messages import Part
from agentmark_server.conversation import shapes
from agentmark_server.conversation.content import LIMIT
from agentmark_server.conversation.drafts import Draft, share_out, split
from agentmark_server.conversation.levels import level
from agentmark_server.conversation.recorded import Recorded
from agentmark_server.conversation.scope import scope
from agentmark_server.conversation.steps import Steps
from agentmark_server.conversation.threads import Call
from agentmark_server.conversation.tree import Act, Node, grown
from agentmark_server.model import PICO, SpanStatus
from agentmark_server.times import NS_IN_MS, parse_time, rfc3339


def turns(
    spans: Iterable[Recorded],
    counted: Collection[bytes],
    *,
    costs: Mapping[bytes, int] | None = None,
    failed: Collection[bytes] | None = None,
    limit: int = LIMIT,
) -> list[shapes.Turn]:
    """The turns of one trace, or of the share of it that one session owns. Without a span there are none.

    `counted` are the ids of spans whose usage counts (`Grouped.counted`); `costs`, in 1e-12 USD by id, what counts
    where that is not the span's own cost (a copy of the call states it); `failed` the ids of spans that count as
    errors, without which those do that have no error below them here. A text is cut at `limit` characters. Neither
    order nor repetition of spans matters.
    """
    tops, nodes = grown(spans, counted, costs or {}, failed)
    if not tops:
        return []
    drafts = split(level(scope(tops, tops[0])))
    share_out(drafts, nodes)
    drafts[-1].root = tops[0]
    steps = Steps(limit)
    name = _name(tops)
    shown = []
    for index, (draft, system) in enumerate(zip(drafts, _systems(drafts), strict=True)):
        about = {"trace_id": tops[0].span.trace_id.hex(), "index": index, "name": name}
        shown.append(_turn(draft, system, steps, about))
    return shown


def _turn(draft: Draft, system: list[Part], steps: Steps, about: dict[str, Any]) -> shapes.Turn:
    status = _status(draft)
    done = [steps.of(one) for one in draft.happened]
    answer = steps.parts(draft.answer(failed=status == "error"))
    return shapes.Turn(
        user=steps.parts(draft.user),
        system=steps.parts(system),
        steps=done,
        answer=answer or _handed_over(done, status),
        status=status,
        **about,
        **_times(draft.nodes or draft.around),
        **_numbers([*draft.around, *draft.nodes]),
    )


class Before(msgspec.Struct, frozen=True):
    """What came before a trace in its session."""

    turn: shapes.Turn | None = None
    """The last turn of the trace before, as `turns` gave it."""
    system: list[shapes.Part] = []
    """The instructions with which the trace before ended."""
    end: int | None = None
    """When the last of all the traces before ended, in ns."""


def chained(traces: Iterable[Sequence[shapes.Turn]]) -> shapes.Conversation:
    """The conversation of a session: the turns of its traces in order, what they send again shown once."""
    ordered = sorted(filter(None, traces), key=lambda turns: (turns[0].start or "", turns[0].trace_id))
    found: list[shapes.Turn] = []
    before = Before()
    for turns in ordered:
        found += continued(turns, before)
        before = after(turns, before)
    return shapes.Conversation(found)


def continued(turns: Sequence[shapes.Turn], before: Before) -> list[shapes.Turn]:
    """The turns of a trace as they follow on what came before: what they send again left out, with their gaps."""
    found = []
    last, system, end = before.turn, before.system, before.end
    for turn in turns:
        found.append(
            msgspec.structs.replace(
                turn,
                user=_without(turn.user, last),
                system=[] if turn.system == system else turn.system,
                gap_ms=_gap(end, turn.start),
            )
        )
        last, system, end = turn, turn.system or system, _latest(end, turn.end)
    return found


def after(turns: Sequence[shapes.Turn], before: Before, end: int | None = None) -> Before:
    """What comes before the next trace: `turns` of a trace that ended at `end` in ns, else with its turns.

    Only what came last of `before` is needed, so that any part of a session can be told without the rest.
    """
    system = next((turn.system for turn in reversed(turns) if turn.system), [])
    ends = [parse_time(turn.end).first for turn in turns if turn.end] if end is None else [end]
    latest = max([*ends, *([] if before.end is None else [before.end])], default=None)
    return Before(turns[-1] if turns else None, system, latest)


def _latest(end: int | None, stamp: str | None) -> int | None:
    if stamp is None:
        return end
    at = parse_time(stamp).first
    return at if end is None else max(at, end)


def _without(user: list[shapes.Part], before: shapes.Turn | None) -> list[shapes.Part]:
    """The user's words without those that the turn before left unanswered, and that are sent again with them."""
    again = before.user if before and not before.answer else []
    return user[len(again) :] if again and len(user) > len(again) and user[: len(again)] == again else user


def _gap(end: int | None, start: str | None) -> float | None:
    return None if end is None or start is None else max(0, parse_time(start).first - end) / NS_IN_MS


def _systems(drafts: Sequence[Draft]) -> list[list[Part]]:
    """For each turn the instructions of its first call, and of the first of another agent, where they are new."""
    known: list[bytes] = []
    found = []
    for draft in drafts:
        parts: list[Part] = []
        agents: set[str | None] = set()
        for call in draft.calls():
            marks = [item.mark for item in call.system]
            if marks and call.node.agent not in agents:
                agents.add(call.node.agent)
                parts += [item.part for item in call.system if marks != known]
                known = marks
        found.append(parts)
    return found


def _status(draft: Draft) -> SpanStatus:
    """That of the trace's root in its last turn, unless the last call failed, or the root is a call itself."""
    last, root = draft.last(), draft.root
    called = last.node.span.status if isinstance(last, Call) else "unset"
    return called if called == "error" or root is None or root.act is Act.CALL else root.span.status


def _handed_over(steps: Sequence[shapes.Step], status: SpanStatus) -> list[shapes.Part]:
    """The answer of another agent, where that is the last thing that happened."""
    last = steps[-1] if steps else None
    if status == "error" or last is None or last.kind != "agent" or not last.threads:
        return []
    said = [step for step in last.threads[-1].steps if step.role == "assistant"]
    return [part for part in said[-1].parts if not isinstance(part, shapes.Reasoning)] if said else []


def _times(nodes: Sequence[Node]) -> dict[str, Any]:
    """When a turn was: all of a trace is the time of its one turn; spans around several turns are in none's."""
    start = min((node.start for node in nodes if node.start is not None), default=None)
    end = max((node.end for node in nodes if node.end is not None), default=None)
    running = any(node.span.end == 0 for node in nodes)
    known = start is not None and end is not None and not running
    return {
        "start": rfc3339(start),
        "end": rfc3339(end),
        "latency_ms": max(0, (end or 0) - (start or 0)) / NS_IN_MS if known else None,
        "running": running,
    }


def _numbers(nodes: Sequence[Node]) -> dict[str, Any]:
    """What the spans of a turn add up to."""
    usages = [node.usage for node in nodes if node.usage is not None]
    priced = [usage.cost for usage in usages if usage.cost is not None]
    inputs = sum(usage.input_tokens or 0 for usage in usages)
    outputs = sum(usage.output_tokens or 0 for usage in usages)
    return {
        "call_count": len(usages),
        "error_count": sum(node.failed for node in nodes),
        "input_tokens": inputs,
        "output_tokens": outputs,
        "total_tokens": inputs + outputs,
        "cached_tokens": sum(usage.cached_tokens or 0 for usage in usages),
        "reasoning_tokens": sum(usage.reasoning_tokens or 0 for usage in usages),
        "total_cost": sum(priced) / PICO if priced else None,
        "unpriced_calls": sum(usage.cost is None and usage.stated for usage in usages),
        "unmetered_calls": sum(usage.cost is None and not usage.stated for usage in usages),
        "models": sorted({node.span.model for node in nodes if node.span.model}),
    }


def _name(tops: Sequence[Node]) -> str:
    """The name that was given to the trace, nearest its root; else the root's."""
    waiting = list(tops)
    for node in waiting:  # grows while it is walked: breadth first
        if node.span.trace_name:
            return node.span.trace_name
        waiting += node.children
    return tops[0].span.name
