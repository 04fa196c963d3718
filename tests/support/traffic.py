"""Random traffic: what programs may send, however odd, and the ways in which it may arrive.

All is drawn from a `Random`: Hypothesis hands in one that it can shrink.
"""

import json
from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.oracle import Sent, canonical
from support.spans import MS, START, json_of, pairs, request_of, span_id, trace_id

Item = TypeVar("Item")

SESSIONS = ["a", "b", "c", " a ", "", 7]
USERS = ["ann", "bob"]
NAMES = ["Weather", "straße", "Billing"]
SERVICES = ["", "api", "worker"]
OPERATIONS = ["chat", "embeddings", "invoke_agent", "execute_tool", "unheard_of"]
# Nobody has a price for such models.
MODELS = ["model-a", "model-b", "model-c"]
MESSAGES = ["", "timeout", "Too many requests"]
BROKEN = [0, 1, START - 40 * 365 * 24 * 3600 * 10**9, 2**63, 2**64 - 1]
"""Times of broken clocks."""

OPTIONAL: dict[str, tuple[int, list[Any]]] = {
    "session.id": (20, SESSIONS),
    "agentmark.session_id": (12, SESSIONS),
    "gen_ai.conversation.id": (25, SESSIONS),
    "user.id": (20, USERS),
    "agentmark.session_name": (20, NAMES),
    "agentmark.tags": (10, ['["x"]', '["x", "y"]']),
    "agentmark.metadata.plan": (10, ["free", "paid", 3]),
    "agentmark.metadata.team": (5, ["red"]),
    "gen_ai.operation.name": (60, OPERATIONS),
    "gen_ai.usage.input_tokens": (50, [0, 1, 10, "100", -5]),
    "gen_ai.usage.output_tokens": (40, [0, 1000, 10_000]),
    "gen_ai.usage.cache_read.input_tokens": (10, [3]),
    "gen_ai.usage.reasoning.output_tokens": (10, [5]),
    "gen_ai.usage.cost": (15, [0, 0.25, 0.5, "1e-9"]),
    "gen_ai.agent.name": (10, ["planner", "Researcher"]),
    "gen_ai.provider.name": (15, ["openai", "anthropic"]),
    "agentmark.session_outcome": (8, ["done", "failed"]),
    "agentmark.prompt_name": (10, ["greet"]),
    "agentmark.input": (20, ["Hello there", "Straße?"]),
    "agentmark.output": (20, ["General", "sorry"]),
    "gen_ai.request.model": (20, MODELS),
    "gen_ai.response.model": (20, MODELS),
}
"""What a span may say: how often of a hundred times, and which values."""


def traffic(random: Random, *, traces: int, spans: int) -> list[Sent]:
    """Spans of up to so many traces, of up to so many spans each; of some of them several versions."""
    sent: list[Sent] = []
    for number in range(random.randint(1, traces)):
        size = random.randint(1, spans)
        for place in range(size):
            one = _sent(random, f"trace {number}", place, size)
            sent.append(one)
            if _chance(random, 10):
                sent.append(_sent(random, f"trace {number}", place, size))
            if _chance(random, 10):
                sent.append(_with_another_value(random, one))
    return _one_origin_each(sent)


def _chance(random: Random, percent: int) -> bool:
    # Not `random.random()`: Hypothesis draws that from far fewer values, and shrinks to "no" this way.
    return random.randrange(100) >= 100 - percent


def _sent(random: Random, trace: str, place: int, size: int) -> Sent:
    start = _time(random, START + random.randint(0, 4) * 1000 * MS)
    span = Span(
        trace_id=trace_id(trace),
        span_id=span_id(f"{trace}/{place}"),
        parent_span_id=_parent(random, trace, place, size),
        name=f"span {place}",
        start_time_unix_nano=start,
        end_time_unix_nano=0 if _chance(random, 10) else _time(random, _near(random, start)),
        status=_status(random),
        # With a response of its own no call passes for the copy of another.
        attributes=pairs({"gen_ai.response.id": f"{trace}/{place}"} | _attributes(random)),
    )
    return Sent(span, random.choice(SERVICES))


def _status(random: Random) -> dict[str, Any]:
    failed = _chance(random, 30)
    return {"code": 2, "message": random.choice(MESSAGES)} if failed else {"code": random.randint(0, 1)}


def _with_another_value(random: Random, sent: Sent) -> Sent:
    """A version that only its content tells from another: as long, with as many attributes."""
    span = Span()
    span.CopyFrom(sent.span)
    for pair in span.attributes[1:]:
        pair.CopyFrom(pairs({pair.key: random.choice(OPTIONAL[pair.key][1])})[0])
    return Sent(span, sent.service)


def _near(random: Random, start: int) -> int:
    """Mostly after the start, sometimes at it or before."""
    return max(0, min(start + random.choice([1, 1, 2, 5, 0, -1]) * 500 * MS, 2**64 - 1))


def _time(random: Random, time: int) -> int:
    return random.choice(BROKEN) if _chance(random, 6) else time


def _parent(random: Random, trace: str, place: int, size: int) -> bytes:
    """Mostly a span before; else none, one that never comes, or any: later ones, itself, what makes a cycle."""
    match random.choice(["none" if place == 0 else "before"] * 6 + ["none", "lost", "any", "any"]):
        case "none":
            return b""
        case "lost":
            return span_id(f"{trace}/lost")
        case "any":
            return span_id(f"{trace}/{random.randrange(size)}")
        case _:
            return span_id(f"{trace}/{random.randrange(place)}")


def _attributes(random: Random) -> dict[str, Any]:
    keys = [key for key, (odds, _) in OPTIONAL.items() if _chance(random, odds)]
    return {key: random.choice(OPTIONAL[key][1]) for key in keys}


def _one_origin_each(sent: Sequence[Sent]) -> list[Sent]:
    """Which origin stays when nothing else differs is the store's choice: leave it none."""
    services: dict[bytes, str] = {}
    return [Sent(one.span, services.setdefault(canonical(one.span), one.service)) for one in sent]


def deliveries(random: Random, sent: Sequence[Sent]) -> list[list[Sent]]:
    """All of it in batches: in any order, some of it again."""
    again = [random.choice(sent) for _ in range(random.randint(0, len(sent) // 2))]
    return batches(random, shuffled(random, [*sent, *again]))


def shuffled(random: Random, items: Sequence[Item]) -> list[Item]:
    return random.sample(list(items), len(items))


def batches(random: Random, items: Sequence[Item]) -> list[list[Item]]:
    """The items in order, cut anywhere."""
    cut: list[list[Item]] = []
    rest = list(items)
    while rest:
        size = random.randint(1, max(1, random.choice([1, 3, len(rest)])))
        cut.append(rest[:size])
        rest = rest[size:]
    return cut


def body(random: Random, batch: Sequence[Sent]) -> tuple[bytes, str]:
    """A batch as a request's body and its content type: the same spans in one of several encodings."""
    request = ExportTraceServiceRequest()
    for one in batch:
        span = Span()
        span.CopyFrom(one.span)
        if _chance(random, 30):
            span.attributes.sort(key=lambda pair: pair.key, reverse=True)
        request.MergeFrom(request_of(span, resource={"service.name": one.service} if one.service else None))
    if _chance(random, 40):
        return json.dumps(json_of(request)).encode(), "application/json"
    return request.SerializeToString(), "application/x-protobuf"
