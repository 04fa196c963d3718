"""What a list of sessions must show, decided in the plainest way over `support.oracle`'s sessions.

Written from docs/sessions.md, docs/filters.md and the API's description. Sessions and spans are dicts with the
API's names, as `support.filter_oracle` takes them; money and durations are exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from agentmark_server.queries import Between, LabelKind, Labelled, SessionQuery
from support.filter_oracle import Fields, holds
from support.oracle import CALLS, METADATA, YEAR_2000, YEAR_2100, Member, Sent, members_by_session, sessions_of
from support.oracle import attribute_text as text
from support.oracle import tokens_of as tokens

DAY = 24 * 3600 * 10**9
LABELS = {
    LabelKind.USER: "user_ids",
    LabelKind.MODEL: "models",
    LabelKind.AGENT: "agents",
    LabelKind.SERVICE: "services",
    LabelKind.TAG: "tags",
}
_KINDS = {"chat": "llm", "embeddings": "embedding", "invoke_agent": "agent", "execute_tool": "tool"}
_WORK = {"llm", "embedding", "tool", "retrieval"}
_UNITS = {"duration_ms": 10**6, "active_ms": 10**6, "latency_ms": 10**6, "total_cost": 10**12}


@dataclass
class Listed:
    """A session and its spans, in the API's names."""

    session: dict[str, Any]
    spans: list[dict[str, Any]] = field(default_factory=list)


def listed(sent: Sequence[Sent], *, now: int, idle: int) -> list[Listed]:
    """Every session, as it is at the time `now`."""
    owned = members_by_session(sent)
    return [
        Listed(_session(one, owned[one["id"]], now, idle), [_span(member) for member in owned[one["id"]]])
        for one in sessions_of(sent)
    ]


def found(everything: Iterable[Listed], query: SessionQuery) -> list[str]:
    """The ids of the sessions that fit, in the order that is asked for."""
    fitting = sorted((one.session for one in everything if _fits(one, query)), key=lambda one: str(one["id"]))
    known = [one for one in fitting if one[query.order] is not None]
    known.sort(key=lambda one: one[query.order], reverse=not query.ascending)
    return [one["id"] for one in [*known, *(one for one in fitting if one[query.order] is None)]]


def _fits(one: Listed, query: SessionQuery) -> bool:
    session = one.session
    start, end = session["start"], session["end"]
    return (
        (not query.names or any(_is_in(name, session["name"]) for name in query.names))
        and all(_has_label(session, labelled) for labelled in query.labelled)
        and (query.since is None or (end is not None and end >= query.since))
        and (query.until is None or (start is not None and start <= query.until))
        and (query.since is query.until is None or None not in (start, end))
        and all(_between(session, between) for between in query.between)
        and (not query.statuses or session["status"] in query.statuses)
        and (query.filter is None or holds(query.filter, session, one.spans))
    )


def _has_label(session: Fields, labelled: Labelled) -> bool:
    if labelled.kind is LabelKind.METADATA:
        return session["metadata"].get(labelled.key) in labelled.values
    return not set(session[LABELS[labelled.kind]]).isdisjoint(labelled.values)


def _between(session: Fields, between: Between) -> bool:
    value = session[between.column]
    if value is None:
        return False
    exact = value * _UNITS.get(between.column, 1)
    return (between.least is None or exact >= between.least) and (between.most is None or exact <= between.most)


def _session(one: Fields, members: Sequence[Member], now: int, idle: int) -> dict[str, Any]:
    start, end, timed = one["start"], one["end"], one["timed_trace_count"]
    inputs = [
        said for member in members if (said := _said(member, "agentmark.input", member.span.start_time_unix_nano))
    ]
    outputs = [
        said for member in members if (said := _said(member, "agentmark.output", member.span.end_time_unix_nano))
    ]
    running = one["running_since"] is not None and abs(now - one["running_since"]) < DAY
    recent = end is not None and now - end < idle
    return {
        **one,
        "environments": [],
        "releases": [],
        "total_tokens": one["input_tokens"] + one["output_tokens"],
        "duration_ms": None if None in (start, end) else _ms(max(0, end - start)),
        "latency_ms": _ms(one["duration"] // timed) if timed else None,
        "active_ms": _active(members),
        "status": "active" if running or recent else "idle" if one["outcome"] is None else "ended",
        "input_preview": min(inputs)[-1] if inputs else None,
        "output_preview": max(outputs)[-1] if outputs else None,
    }


def _ms(nanoseconds: int) -> Decimal:
    return Decimal(nanoseconds) / 10**6


def _said(member: Member, key: str, time: int) -> tuple[int, bytes, bytes, str] | None:
    """What a span says; those of tools are not shown."""
    said = text(member.span, key)
    return (time, member.trace.id, member.span_id, said) if said and _kind(member) != "tool" else None


def _active(members: Sequence[Member]) -> Decimal | None:
    stretches = [stretch for trace in {m.trace.id for m in members} for stretch in _busy(members, trace)]
    if not stretches:
        return None
    edges = sorted({edge for stretch in stretches for edge in stretch})
    pieces = pairwise(edges)
    return _ms(sum(b - a for a, b in pieces if any(start <= a and b <= end for start, end in stretches)))


def _busy(members: Sequence[Member], trace_id: bytes) -> list[tuple[int, int]]:
    """When the spans of a trace that do the work ran; where none does, from its start to its end."""
    mine = [member for member in members if member.trace.id == trace_id]
    workers = [member for member in mine if _kind(member) in _WORK or _role(member) == "call"]
    times = [(_start(member), _end(member)) for member in workers]
    worked = [(start, end) for start, end in times if start is not None and end is not None]
    starts = [time for member in mine if (time := _start(member)) is not None]
    ends = [time for member in mine if (time := _end(member)) is not None]
    if not worked and starts and ends:
        return [(min(starts), max(min(starts), *ends))]
    return worked


def _start(member: Member) -> int | None:
    time = member.span.start_time_unix_nano
    return time if YEAR_2000 <= time < YEAR_2100 else None


def _end(member: Member) -> int | None:
    """The end; of a span that ends before it starts, its start."""
    start, end = member.span.start_time_unix_nano, member.span.end_time_unix_nano
    if not YEAR_2000 <= end < YEAR_2100:
        return None
    return start if end < start < YEAR_2100 else end


def _kind(member: Member) -> str:
    operation = text(member.span, "gen_ai.operation.name") or ""
    counts_tokens = any(tokens(member.span, name) is not None for name in ("input_tokens", "output_tokens"))
    guess = "llm" if _model(member) and counts_tokens else "function"
    return _KINDS.get(operation, guess)


def _role(member: Member) -> str:
    operation = text(member.span, "gen_ai.operation.name")
    return "call" if operation in CALLS else "roll-up" if operation == "invoke_agent" else "unknown"


def _model(member: Member) -> str | None:
    return text(member.span, "gen_ai.response.model") or text(member.span, "gen_ai.request.model")


def _span(member: Member) -> dict[str, Any]:
    span = member.span
    start, told = _start(member), span.end_time_unix_nano
    end = told if YEAR_2000 <= told < YEAR_2100 else None
    given, made = tokens(span, "input_tokens"), tokens(span, "output_tokens")
    cost = Decimal(text(span, "gen_ai.usage.cost") or 0)
    keys = [pair.key.removeprefix(METADATA) for pair in span.attributes if pair.key.startswith(METADATA)]
    return {
        "id": span.span_id.hex(),
        "trace_id": span.trace_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "kind": _kind(member),
        "role": _role(member),
        "status": ["unset", "ok", "error"][span.status.code],
        "status_message": span.status.message or None,
        "start": start,
        "end": end,
        "duration_ms": None if start is None or end is None else _ms(max(0, end - start)),
        "session_id": member.owner,
        "user_id": text(span, "user.id"),
        "model": _model(member),
        "provider": text(span, "gen_ai.provider.name"),
        "input_tokens": given,
        "output_tokens": made,
        "cached_tokens": tokens(span, "cache_read.input_tokens"),
        "reasoning_tokens": tokens(span, "reasoning.output_tokens"),
        "total_tokens": None if given is None and made is None else (given or 0) + (made or 0),
        "cost": cost or None,
        "service_name": member.service or None,
        "scope_name": None,
        "prompt_name": text(span, "agentmark.prompt_name"),
        "metadata": {key: said for key in keys if (said := text(span, METADATA + key))},
    }


def _is_in(part: str, name: str | None) -> bool:
    """Whether a name has a part, in any case; what has no name has none, not even an empty one."""
    return name is not None and part.casefold() in name.casefold()
