"""What the server must answer, recomputed in the plainest way from the spans that programs sent.

Written from docs/sessions.md, and apart from the server: it shares no code with it, adds nothing up beforehand,
and walks every tree anew for every question. Sessions and traces come as plain dicts, so that pytest shows the
difference.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

YEAR_2000 = 946_684_800 * 10**9
YEAR_2100 = 4_102_444_800 * 10**9

APPLICATION_KEYS = ("agentmark.session_id", "session.id")
"""The one before wins over the one behind, on one span and at one depth."""
FRAMEWORK_KEYS = ("gen_ai.conversation.id",)
CALLS = {"chat", "text_completion", "generate_content", "embeddings"}
METADATA = "agentmark.metadata."

Answer = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A span as a program sent it, and the `service.name` of its resource."""

    span: Span
    service: str = ""


def sessions_of(sent: Iterable[Sent]) -> list[Answer]:
    """All sessions, in the order of the list, each with its traces in their order."""
    traces = _traces(sent)
    found = [_session(session_id, traces) for session_id in {id_ for trace in traces for id_ in trace.session_ids}]
    return sorted(found, key=lambda one: (one["end"] is None, -(one["end"] or 0), one["id"]))


def spans_owned_by(session_id: str, sent: Iterable[Sent]) -> set[tuple[bytes, bytes]]:
    """Trace and span ids of the spans that a session owns."""
    return {(m.trace.id, m.span.span_id) for t in _traces(sent) for m in t.members if m.owner == session_id}


def members_by_session(sent: Iterable[Sent]) -> "dict[str, list[Member]]":
    """Of every session the spans that it owns."""
    found: dict[str, list[Member]] = defaultdict(list)
    for member in [member for trace in _traces(sent) for member in trace.members if member.owner]:
        found[str(member.owner)].append(member)
    return found


def version(sent: Sent) -> tuple[int, int, bytes]:
    """Of two versions of a span the greater stays."""
    return sent.span.end_time_unix_nano, len(sent.span.attributes), canonical(sent.span)


def canonical(span: Span) -> bytes:
    """One encoding for all orders of attributes."""
    copy = Span()
    copy.CopyFrom(span)
    copy.attributes.sort(key=lambda pair: pair.key)
    return copy.SerializeToString(deterministic=True)


def _traces(sent: Iterable[Sent]) -> "list[_Trace]":
    by_trace = defaultdict(list)
    for one in sent:
        by_trace[one.span.trace_id].append(one)
    return [_Trace(trace_id, versions) for trace_id, versions in by_trace.items()]


class _Trace:
    """The tree of a trace: of every span its latest version, and its parent."""

    def __init__(self, trace_id: bytes, sent: Iterable[Sent]) -> None:
        versions = defaultdict(list)
        for one in sent:
            versions[one.span.span_id].append(one)
        self.id = trace_id
        self.sent = {span_id: max(those, key=version) for span_id, those in versions.items()}
        self.spans = {span_id: one.span for span_id, one in self.sent.items()}
        self.parents = {span_id: self._parent(span_id) for span_id in self.spans}
        self.root = self.spans[min(self.spans, key=self._nearness)]
        self.fallback = self._nearest_the_root(APPLICATION_KEYS) or self._nearest_the_root(FRAMEWORK_KEYS)
        self.members = [Member(self, span_id) for span_id in self.spans]
        self.session_ids = {member.owner for member in self.members if member.owner}

    def _parent(self, span_id: bytes) -> bytes | None:
        """The parent, if it has come; none for the earliest span of a cycle."""
        parent_id = self.spans[span_id].parent_span_id
        cycle = self._cycle(span_id)
        cut = bool(cycle) and span_id == min(cycle, key=lambda id_: _order(self.spans[id_]))
        return None if cut or parent_id not in self.spans else parent_id

    def _cycle(self, span_id: bytes) -> list[bytes]:
        """The spans through which a span is its own ancestor."""
        line = [span_id]
        while (parent_id := self.spans[line[-1]].parent_span_id) in self.spans:
            if parent_id == span_id:
                return line
            if parent_id in line:
                return []
            line.append(parent_id)
        return []

    def _nearness(self, span_id: bytes) -> tuple[int, int, int, bytes]:
        """Tops first: those without a parent, those whose parent has not come, those of cycles."""
        in_cycle = len(self._cycle(span_id)) > 1
        return len(self.line(span_id)), self.depth(span_id) + in_cycle, *_order(self.spans[span_id])

    def line(self, span_id: bytes) -> list[bytes]:
        """A span and its ancestors, upwards."""
        parent_id = self.parents[span_id]
        return [span_id, *(self.line(parent_id) if parent_id else [])]

    def below(self, span_id: bytes) -> list[bytes]:
        return [other for other in self.spans if span_id in self.line(other)[1:]]

    def depth(self, span_id: bytes) -> int:
        """How far from the root: a span whose parent has not come is at least one below it."""
        line = self.line(span_id)
        return len(line) - 1 + bool(self.spans[line[-1]].parent_span_id)

    def _nearest_the_root(self, keys: tuple[str, ...]) -> str | None:
        found = [
            (self.depth(span_id), keys.index(key), *_order(span), value)
            for span_id, span in self.spans.items()
            for key in keys
            if (value := attribute_text(span, key))
        ]
        return min(found)[-1] if found else None

    def owner(self, span_id: bytes) -> str | None:
        for one in self.line(span_id):
            for key in APPLICATION_KEYS:
                if value := attribute_text(self.spans[one], key):
                    return value
        return self.fallback

    def counts(self, span_id: bytes) -> bool:
        """Whether the usage of a span is added up: of every call, of others where nothing below counts."""
        span = self.spans[span_id]
        is_call = attribute_text(span, "gen_ai.operation.name") in CALLS
        return is_call or (_has_usage(span) and not any(self.counts(other) for other in self.below(span_id)))

    def unaccounted(self, span_id: bytes) -> int:
        """What a span states beyond what is accounted for below it, where something there counts."""
        is_call = attribute_text(self.spans[span_id], "gen_ai.operation.name") in CALLS
        if is_call or not any(self.counts(other) for other in self.below(span_id)):
            return 0
        return max(0, _stated(self.spans[span_id]) - self._accounted_below(span_id))

    def _accounted_below(self, span_id: bytes) -> int:
        children = [child for child, parent in self.parents.items() if parent == span_id]
        return sum(self._accounted(child) for child in children)

    def _accounted(self, span_id: bytes) -> int:
        own = _stated(self.spans[span_id]) if self.counts(span_id) else self.unaccounted(span_id)
        return own + self._accounted_below(span_id)

    def is_failure(self, span_id: bytes) -> bool:
        """Whether a span failed and none below it did."""
        return _failed(self.spans[span_id]) and not any(_failed(self.spans[id_]) for id_ in self.below(span_id))


@dataclass
class Member:
    """A span, and what its trace makes of it."""

    trace: _Trace
    span_id: bytes

    def __post_init__(self) -> None:
        self.span = self.trace.spans[self.span_id]
        self.service = self.trace.sent[self.span_id].service
        self.owner = self.trace.owner(self.span_id)
        self.counts = self.trace.counts(self.span_id)
        self.is_failure = self.trace.is_failure(self.span_id)
        self.unaccounted = self.trace.unaccounted(self.span_id)


def _session(session_id: str, traces: Iterable[_Trace]) -> Answer:
    shares = [(trace, [m for m in trace.members if m.owner == session_id]) for trace in traces]
    shares = [(trace, members) for trace, members in shares if members]
    listed = [_trace(trace, members) for trace, members in shares]
    return {
        "id": session_id,
        **_summary([member for _, members in shares for member in members]),
        "traces": sorted(listed, key=lambda one: (one["start"] is None, one["start"] or 0, one["id"])),
    }


def _trace(trace: _Trace, members: Collection[Member]) -> Answer:
    status = {Status.STATUS_CODE_ERROR: "error", Status.STATUS_CODE_OK: "ok"}.get(trace.root.status.code, "unset")
    labels = {"id": trace.id, "name": trace.root.name, "status": status, "session_ids": sorted(trace.session_ids)}
    return {**_summary(members), **labels}


def _summary(members: Collection[Member]) -> Answer:
    """What a session, or its share of a trace, says of the spans in it."""
    spans = [member.span for member in members]
    traces = {member.trace.id: member.trace for member in members}.values()
    durations = [_duration([m.span for m in members if m.trace is trace]) for trace in traces]
    counted = [member.span for member in members if member.counts]
    costs = [cost for span in counted if (cost := _cost(span)) is not None]
    names, users = _said(spans, "agentmark.session_name"), _said(spans, "user.id")
    outcomes = _said(spans, "agentmark.session_outcome")
    return {
        "start": min(_starts(spans), default=None),
        "end": max(_ends(spans), default=None),
        "running_since": max(_starts([s for s in spans if not s.end_time_unix_nano]), default=None),
        "name": max(names)[-1] if names else None,
        "outcome": max(outcomes)[-1] if outcomes else None,
        "user_id": min(users)[-1] if users else None,
        "user_ids": sorted({user[-1] for user in users}),
        "models": sorted({model for span in spans if (model := _model(span))}),
        "agents": sorted({agent for span in spans if (agent := attribute_text(span, "gen_ai.agent.name"))}),
        "services": sorted({member.service for member in members if member.service}),
        "tags": sorted({tag for span in spans for tag in _tags(span)}),
        "metadata": {key: max(_said(spans, METADATA + key))[-1] for key in _metadata_keys(spans)},
        "trace_count": len(traces),
        "failed_trace_count": sum(_failed(trace.root) for trace in traces),
        "timed_trace_count": sum(duration is not None for duration in durations),
        "duration": sum(duration or 0 for duration in durations),
        "span_count": len(spans),
        "call_count": len(counted),
        "error_count": sum(member.is_failure for member in members),
        "input_tokens": sum(tokens_of(span, "input_tokens") or 0 for span in counted),
        "output_tokens": sum(tokens_of(span, "output_tokens") or 0 for span in counted),
        "cached_tokens": sum(tokens_of(span, "cache_read.input_tokens") or 0 for span in counted),
        "reasoning_tokens": sum(tokens_of(span, "reasoning.output_tokens") or 0 for span in counted),
        "total_cost": sum(costs, Decimal(0)) if costs else None,
        "unaccounted_tokens": sum(member.unaccounted for member in members),
        "unpriced_calls": sum(_has_usage(span) and _cost(span) is None for span in counted),
        "unmetered_calls": sum(not _has_usage(span) for span in counted),
    }


def _order(span: Span) -> tuple[int, bytes]:
    return span.start_time_unix_nano, span.span_id


def _attribute(span: Span, key: str) -> Any:
    for pair in span.attributes:
        if pair.key == key and (kind := pair.value.WhichOneof("value")):
            return getattr(pair.value, kind)
    return None


def attribute_text(span: Span, key: str) -> str | None:
    """Texts and numbers as text, without white space at the ends."""
    value = _attribute(span, key)
    return None if value is None else str(value).strip() or None


def _said(spans: Iterable[Span], key: str) -> list[tuple[int, bytes, bytes, str]]:
    """What spans say under a key: the start puts it in order; trace and span id settle ties."""
    return [
        (s.start_time_unix_nano, s.trace_id, s.span_id, text) for s in spans if (text := attribute_text(s, key))
    ]


def _tags(span: Span) -> list[str]:
    return json.loads(_attribute(span, "agentmark.tags") or "[]")


def _metadata_keys(spans: Iterable[Span]) -> list[str]:
    keys = {pair.key for span in spans for pair in span.attributes if pair.key.startswith(METADATA)}
    return sorted(key.removeprefix(METADATA) for key in keys if _said(spans, key))


def _model(span: Span) -> str | None:
    return attribute_text(span, "gen_ai.response.model") or attribute_text(span, "gen_ai.request.model")


def tokens_of(span: Span, name: str) -> int | None:
    value = _attribute(span, f"gen_ai.usage.{name}")
    return None if value is None or int(value) < 0 else int(value)


def _stated(span: Span) -> int:
    return (tokens_of(span, "input_tokens") or 0) + (tokens_of(span, "output_tokens") or 0)


def _cost(span: Span) -> Decimal | None:
    """Dollars; 0 says nothing."""
    return Decimal(str(_attribute(span, "gen_ai.usage.cost") or 0)) or None


def _has_usage(span: Span) -> bool:
    return _cost(span) is not None or any(
        tokens_of(span, name) is not None for name in ("input_tokens", "output_tokens")
    )


def _failed(span: Span) -> bool:
    return span.status.code == Status.STATUS_CODE_ERROR


def _is_time(time: int) -> bool:
    return YEAR_2000 <= time < YEAR_2100


def _starts(spans: Iterable[Span]) -> list[int]:
    return [span.start_time_unix_nano for span in spans if _is_time(span.start_time_unix_nano)]


def _ends(spans: Iterable[Span]) -> list[int]:
    """The ends; of a span that ends before it starts, its start."""
    return [
        max(span.end_time_unix_nano, *_starts([span]), 0) for span in spans if _is_time(span.end_time_unix_nano)
    ]


def _duration(spans: Collection[Span]) -> int | None:
    starts, ends = _starts(spans), _ends(spans)
    return max(0, max(ends) - min(starts)) if starts and ends else None


def whole_traces_of(sent: Iterable[Sent]) -> list[Answer]:
    """Every trace over all of its spans, whoever owns them."""
    return [_trace(trace, trace.members) for trace in _traces(sent)]


def spans_of(sent: Iterable[Sent]) -> list[Answer]:
    """Every span, with what its trace makes of it, in the order of its trace's tree."""
    return [_span(trace, span_id, depth) for trace in _traces(sent) for span_id, depth in _tree(trace, None, 0)]


def _tree(trace: _Trace, parent_id: bytes | None, depth: int) -> list[tuple[bytes, int]]:
    """The spans below one, each with those below itself behind it; at the top the root comes first."""
    below = [span_id for span_id, above in trace.parents.items() if above == parent_id]
    if parent_id is None:
        below.sort(key=trace._nearness)
    else:
        below.sort(key=lambda span_id: _order(trace.spans[span_id]))
    return [line for span_id in below for line in [(span_id, depth), *_tree(trace, span_id, depth + 1)]]


def _span(trace: _Trace, span_id: bytes, depth: int) -> Answer:
    span = trace.spans[span_id]
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    tokens = [tokens_of(span, "input_tokens"), tokens_of(span, "output_tokens")]
    stated = [number for number in tokens if number is not None]
    return {
        "trace_id": trace.id,
        "id": span_id,
        "depth": depth,
        "name": span.name,
        "status": {Status.STATUS_CODE_ERROR: "error", Status.STATUS_CODE_OK: "ok"}.get(span.status.code, "unset"),
        "kind": _kind(span, stated),
        "start": start if _is_time(start) else None,
        "end": end if _is_time(end) else None,
        "duration": max(0, end - start) if _is_time(start) and _is_time(end) else None,
        "tokens": sum(stated) if stated else None,
        "session_id": trace.owner(span_id),
        "counted": trace.counts(span_id),
        "user_id": attribute_text(span, "user.id"),
        "model": _model(span),
    }


_KINDS = {"chat": "llm", "embeddings": "embedding", "invoke_agent": "agent", "execute_tool": "tool"}


def _kind(span: Span, stated: Collection[int]) -> str:
    """By the operation; else something with a model and tokens has to do with a model."""
    guessed = "llm" if stated and _model(span) else "function"
    return _KINDS.get(attribute_text(span, "gen_ai.operation.name") or "", guessed)
