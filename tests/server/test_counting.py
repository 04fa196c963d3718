"""Counting once: what a session's totals are made of, over HTTP. The rules are those of docs/sessions.md."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from conftest import RunningServer
from support.spans import call, post, span, span_id

BOTH_ORDERS = pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "reversed"])
Sent = tuple[str, Span]
"""A span and the scope that writes it."""


def fresh() -> str:
    return f"counted-{uuid4()}"


def root(t: str, **options: Any) -> Span:
    return span(t, "root", **({"session__id": t, "end_ms": 1000} | options))


def used(tokens_in: int | None = None, tokens_out: int | None = None, **more: Any) -> dict[str, Any]:
    """Attributes of usage; `model`, `response`, `cost` and the subsets by their short names."""
    given = {
        "gen_ai.usage.input_tokens": tokens_in,
        "gen_ai.usage.output_tokens": tokens_out,
        "gen_ai.request.model": more.get("model"),
        "gen_ai.response.id": more.get("response"),
        "gen_ai.usage.cost": more.get("cost"),
        "gen_ai.usage.cache_read.input_tokens": more.get("cached"),
        "gen_ai.usage.reasoning.output_tokens": more.get("reasoning"),
    }
    return {key: value for key, value in given.items() if value is not None}


def agent(t: str, name: str, parent: str, **options: Any) -> Span:
    return span(t, name, parent, **({"gen_ai__operation__name": "invoke_agent", "end_ms": 1000} | options))


def session_of(server: RunningServer, t: str) -> Any:
    return server.get(f"/v1/sessions/{t}")["data"]


def told(server: RunningServer, t: str, *spans: Span) -> Any:
    """What the session says once it has all of these."""
    post(server.url, *spans)
    return session_of(server, t)


def told_by_scopes(server: RunningServer, t: str, sent: Sequence[Sent]) -> Any:
    """The same where each span comes alone, by an instrumentation of its own."""
    for scope, one in sent:
        post(server.url, one, scope=scope)
    return session_of(server, t)


def counts(session: Any) -> tuple[int, int, int]:
    return session["call_count"], session["input_tokens"], session["output_tokens"]


def test_calls_below_a_call(shared_server: RunningServer) -> None:
    """Every call counts, also those that a tool below a call makes."""
    t = fresh()
    session = told(
        shared_server,
        t,
        root(t),
        call(t, "outer", "root", end_ms=100, **used(100, 10, model="m", response="1")),
        span(t, "tool", "outer", start_ms=10, end_ms=90, gen_ai__operation__name="execute_tool"),
        call(t, "inner", "tool", start_ms=20, end_ms=50, **used(50, 5, model="m", response="2")),
        call(
            t, "embedding", "inner", start_ms=21, end_ms=49, **{"gen_ai.operation.name": "embeddings"}, **used(7)
        ),
    )
    assert counts(session) == (3, 157, 15)
    assert session["traces"][0]["call_count"] == 3


def mirrored(t: str, costs: Sequence[float | None]) -> list[Sent]:
    """A client's call, a gateway's copy below its HTTP span, and a proxy's copy below that."""
    same: dict[str, Any] = {"model": "m", "response": "r"}
    return [
        ("program", root(t)),
        ("client", call(t, "client", "root", end_ms=100, **used(100, 10, cost=costs[0], **same))),
        ("http", span(t, "POST", "client", start_ms=1, end_ms=99)),
        ("gateway", call(t, "gateway", "POST", start_ms=5, end_ms=95, **used(100, 10, cost=costs[1], **same))),
        ("proxy", call(t, "proxy", "gateway", start_ms=6, end_ms=94, **used(100, 10, cost=costs[2], **same))),
    ]


COSTS: list[tuple[Sequence[float | None], float | None]] = [
    ((0.5, 0.25, 0.125), 0.5),
    ((None, 0.25, 0.125), 0.25),
    ((None, None, 0.125), 0.125),
    ((0, 0.25, None), 0.25),
    ((None, None, None), None),
]


@pytest.mark.parametrize(("costs", "cost"), COSTS)
def test_mirrors(shared_server: RunningServer, costs: Sequence[float | None], cost: float | None) -> None:
    """A call and its copies below count once, with the first cost that is stated from outside in."""
    t = fresh()
    session = told_by_scopes(shared_server, t, mirrored(t, costs))
    assert counts(session) == (1, 100, 10)
    assert session["total_cost"] == cost
    assert session["unpriced_calls"] == (1 if cost is None else 0)
    assert session["span_count"] == 5


def test_mirrors_in_any_order(shared_server: RunningServer) -> None:
    """A copy that comes before its call, or before what lies between them, is found all the same."""
    for order in ((4, 3, 2, 1, 0), (3, 0, 4, 1, 2)):
        t = fresh()
        sent = mirrored(t, (None, 0.25, 0.125))
        session = told_by_scopes(shared_server, t, [sent[place] for place in order])
        assert counts(session) == (1, 100, 10)
        assert session["total_cost"] == 0.25


def test_one_instrumentation_mirrors(shared_server: RunningServer) -> None:
    """A copy is one also where the same instrumentation runs in the client and in the gateway."""
    t = fresh()
    sent = [("the same", one) for _, one in mirrored(t, (None, 0.25, None))]
    assert counts(told_by_scopes(shared_server, t, sent)) == (1, 100, 10)


NO_MIRRORS: dict[str, tuple[str, dict[str, Any]]] = {
    "other tokens": ("client", used(100, 11, model="m", response="r")),
    "other tokens, by another": ("gateway", used(60, 11, model="m", response="r")),
    "no tokens": ("client", used(model="m", response="r")),
    "another model": ("gateway", used(100, 10, model="n", response="r")),
    "another response": ("gateway", used(100, 10, model="m", response="s")),
    "ends after the call": ("gateway", used(100, 10, model="m", response="r") | {"end_ms": 200}),
    "starts before the call": ("gateway", used(100, 10, model="m", response="r") | {"start_ms": -100}),
}


@pytest.mark.parametrize("case", NO_MIRRORS)
def test_no_mirrors(shared_server: RunningServer, case: str) -> None:
    """A response id alone proves nothing: a call below a call with other tokens, model or time counts too."""
    t = fresh()
    scope, options = NO_MIRRORS[case]
    inner = call(t, "inner", "http", **({"start_ms": 5, "end_ms": 95} | options))
    sent = [
        ("program", root(t)),
        ("client", call(t, "outer", "root", end_ms=100, **used(100, 10, model="m", response="r"))),
        ("http", span(t, "http", "outer", end_ms=100)),
        (scope, inner),
    ]
    expected = [options.get(f"gen_ai.usage.{kind}_tokens", 0) for kind in ("input", "output")]
    assert counts(told_by_scopes(shared_server, t, sent)) == (2, 100 + expected[0], 10 + expected[1])


def test_reused_response_id(shared_server: RunningServer) -> None:
    """Calls of one instrumentation beside each other all count, though a server gives them one response id."""
    t = fresh()
    same = used(100, 10, model="m", response="constant")
    calls = [call(t, f"{n}", "root", start_ms=n, end_ms=100 - n, **same) for n in range(4)]
    assert counts(told(shared_server, t, root(t), *calls)) == (4, 400, 40)


def test_reused_response_id_of_two(shared_server: RunningServer) -> None:
    """Calls of two instrumentations one after the other both count, though they have one response id."""
    t = fresh()
    same = used(100, 10, model="m", response="constant")
    first, second = call(t, "1", "root", end_ms=50, **same), call(t, "2", "root", start_ms=60, end_ms=90, **same)
    assert counts(told_by_scopes(shared_server, t, [("", root(t)), ("one", first), ("two", second)])) == (
        2,
        200,
        20,
    )


TIMES = {
    "inside": ((0, 100), (5, 95)),
    "the same": ((0, 100), (0, 100)),
    "the same start": ((0, 100), (0, 60)),
    "the same end": ((0, 100), (40, 100)),
}


@BOTH_ORDERS
@pytest.mark.parametrize("smaller_first", [True, False], ids=["outer id smaller", "inner id smaller"])
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
def test_two_instrumentations(
    shared_server: RunningServer, times: Any, smaller_first: bool, order: Sequence[int]
) -> None:
    """One call written by two instrumentations beside each other counts once, whatever span ids it has."""
    t = fresh()
    post(shared_server.url, root(t))
    sent: list[Sent] = []
    for scope, (start, end), number in zip(
        ("one", "two"), times, (1, 2) if smaller_first else (2, 1), strict=True
    ):
        options = {"start_ms": start, "end_ms": end, **used(100, 10, model="m", response="r")}
        sent.append((scope, call(t, scope, "root", **options)))
        sent[-1][1].span_id = number.to_bytes(8, "big")
    session = told_by_scopes(shared_server, t, [sent[place] for place in order])
    assert counts(session) == (1, 100, 10)


@BOTH_ORDERS
def test_copy_without_response_id(shared_server: RunningServer, order: Sequence[int]) -> None:
    """A call directly below a call with the same tokens and no response id is its copy."""
    t = fresh()
    pair = [
        call(t, "outer", "root", end_ms=100, **used(100, 10, model="m")),
        call(t, "inner", "outer", start_ms=1, end_ms=99, **used(100, 10, model="m", response="r")),
    ]
    post(shared_server.url, root(t))
    for place in order:
        post(shared_server.url, pair[place])
    assert counts(session_of(shared_server, t)) == (1, 100, 10)


def test_no_copy_without_response_id(shared_server: RunningServer) -> None:
    """Without response ids other tokens, or a span between the two, make two calls of them."""
    t = fresh()
    session = told(
        shared_server,
        t,
        root(t),
        call(t, "a", "root", end_ms=100, **used(100, 10, model="m")),
        call(t, "below a", "a", start_ms=1, end_ms=99, **used(100, 11, model="m")),
        call(t, "b", "root", end_ms=100, **used(200, 20, model="m")),
        span(t, "tool", "b", start_ms=1, end_ms=99),
        call(t, "below b", "tool", start_ms=2, end_ms=98, **used(200, 20, model="m")),
    )
    assert counts(session) == (4, 600, 61)


UNCLEAR = {
    "roll-up": {"gen_ai__operation__name": "invoke_agent"},
    "unknown": {},
    "tool": {"ai.operationId": "ai.toolCall"},
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_roll_ups(shared_server: RunningServer, kind: str) -> None:
    """A roll-up or an unclear span with usage does not count where a call counts anywhere below it."""
    t = fresh()
    session = told(
        shared_server,
        t,
        root(t),
        span(t, "agent", "root", end_ms=100, **UNCLEAR[kind], **used(150, 15, model="gpt-4o", cost=9.0)),
        span(t, "step", "agent"),
        call(t, "1", "step", **used(100, 10, cost=0.5)),
        call(t, "2", "step", **used(50, 5, cost=0.25)),
    )
    assert counts(session) == (2, 150, 15)
    assert (session["total_cost"], session["unaccounted_tokens"]) == (0.75, 0)


@pytest.mark.parametrize("kind", UNCLEAR)
def test_roll_ups_alone(shared_server: RunningServer, kind: str) -> None:
    """Usage that no call below accounts for counts, and only where it is stated the deepest."""
    t = fresh()
    session = told(
        shared_server,
        t,
        root(t),
        span(t, "agent", "root", **UNCLEAR[kind], **used(150, 15, cost=0.5)),
        span(t, "step", "agent", **UNCLEAR[kind], **used(150, 15, cost=0.25)),
        span(t, "nothing", "step"),
    )
    assert (session["input_tokens"], session["output_tokens"], session["total_cost"]) == (150, 15, 0.25)
    assert session["unaccounted_tokens"] == 0


def test_roll_up_until_its_call_comes(shared_server: RunningServer) -> None:
    """A roll-up that counted alone stops counting when a call comes below it."""
    t = fresh()
    session = told(shared_server, t, root(t), agent(t, "agent", "root", **used(150, 15)))
    assert (session["input_tokens"], session["output_tokens"]) == (150, 15)
    session = told(shared_server, t, call(t, "call", "agent", **used(100, 10)))
    assert counts(session) == (1, 100, 10)
    assert session["unaccounted_tokens"] == 55


def test_usage_of_the_root(shared_server: RunningServer) -> None:
    """Parts of a trace are apart: a roll-up counts beside a call that is not below it."""
    t = fresh()
    session = told(
        shared_server,
        t,
        root(t),
        agent(t, "alone", "root", **used(30, 3)),
        call(t, "call", "root", **used(100, 10)),
    )
    assert (session["input_tokens"], session["output_tokens"]) == (130, 13)


UNACCOUNTED: dict[str, tuple[int | None, int | None, int]] = {
    "inner of a lifetime": (None, 550, 440),
    "outer of a lifetime": (1000, None, 890),
    "both": (1000, 550, 890),
    "outer repeats inner": (550, 550, 440),
    "outer states less than inner": (300, 550, 440),
    "less than the call": (50, 20, 0),
    "exactly the call": (110, 110, 0),
}


@pytest.mark.parametrize("case", UNACCOUNTED)
def test_unaccounted(shared_server: RunningServer, case: str) -> None:
    """What roll-ups state beyond the calls below is shown once, and never added to the tokens."""
    t = fresh()
    outer, inner, expected = UNACCOUNTED[case]
    session = told(
        shared_server,
        t,
        root(t),
        agent(t, "outer", "root", **used(outer)),
        agent(t, "inner", "outer", **used(inner)),
        call(t, "call", "inner", **used(100, 10)),
    )
    assert session["unaccounted_tokens"] == expected
    assert session["total_tokens"] == 110


def test_unaccounted_of_no_usage(shared_server: RunningServer) -> None:
    """A call without usage counts, so that its roll-up's tokens are unaccounted, not counted."""
    t = fresh()
    session = told(shared_server, t, root(t), agent(t, "agent", "root", **used(100, 10)), call(t, "call", "agent"))
    assert counts(session) == (1, 0, 0)
    assert (session["unmetered_calls"], session["unaccounted_tokens"]) == (1, 110)


def test_unknown_is_never_free(shared_server: RunningServer) -> None:
    """A call without usage is unmetered, one without a price unpriced; until one has a cost it is null."""
    t = fresh()
    session = told(shared_server, t, root(t), call(t, "cancelled", "root", gen_ai__request__model="gpt-4o"))
    assert (session["unmetered_calls"], session["unpriced_calls"], session["total_cost"]) == (1, 0, None)
    session = told(shared_server, t, call(t, "unknown", "root", **used(10, 1, model="nobody's-model")))
    assert (session["unmetered_calls"], session["unpriced_calls"], session["total_cost"]) == (1, 1, None)
    session = told(shared_server, t, call(t, "no model", "root", **used(10, 1)))
    assert (session["unmetered_calls"], session["unpriced_calls"], session["total_cost"]) == (1, 2, None)
    session = told(shared_server, t, call(t, "told", "root", **used(10, 1, cost=0.125)))
    assert (session["unmetered_calls"], session["unpriced_calls"], session["total_cost"]) == (1, 2, 0.125)
    assert session["call_count"] == 4


def test_no_call_costs_nothing_known(shared_server: RunningServer) -> None:
    """A session without calls has no cost, which is not 0."""
    t = fresh()
    session = told(shared_server, t, root(t))
    assert (session["total_cost"], session["call_count"]) == (None, 0)


def test_zero_tokens_are_usage(shared_server: RunningServer) -> None:
    """A call that states 0 tokens has usage: it is unpriced, not unmetered."""
    t = fresh()
    session = told(shared_server, t, root(t), call(t, "call", "root", **used(0, 0, model="nobody's-model")))
    assert (session["unmetered_calls"], session["unpriced_calls"]) == (0, 1)


def test_prices(shared_server: RunningServer) -> None:
    """A stated cost wins over the table, a stated 0 says nothing, and the table prices the rest."""
    priced = used(1_000_000, 100_000, model="gpt-4o") | {"gen_ai.provider.name": "openai"}
    found = []
    for cost in ({}, {"gen_ai.usage.cost": 0}, {"gen_ai.usage.cost": 0.0}, {"gen_ai.usage.cost": 0.125}):
        t = fresh()
        session = told(shared_server, t, root(t), call(t, "call", "root", **priced, **cost))
        assert session["unpriced_calls"] == 0
        found.append(session["total_cost"])
    assert found == [3.5, 3.5, 3.5, 0.125]


def test_stated_nothing_without_a_price(shared_server: RunningServer) -> None:
    """A stated 0 of a model that no table knows is unknown: null."""
    t = fresh()
    session = told(shared_server, t, root(t), call(t, "call", "root", **used(10, 1, model="nobody's", cost=0)))
    assert (session["total_cost"], session["unpriced_calls"]) == (None, 1)


def test_costs_add_up(shared_server: RunningServer) -> None:
    """Costs are added exactly, however many there are."""
    t = fresh()
    calls = [call(t, f"{n}", "root", **used(1, cost=0.1)) for n in range(30)]
    assert told(shared_server, t, root(t), *calls)["total_cost"] == 3.0


def test_subsets(shared_server: RunningServer) -> None:
    """Cached tokens are within the input, reasoning tokens within the output."""
    t = fresh()
    session = told(shared_server, t, root(t), call(t, "call", "root", **used(100, 50, cached=60, reasoning=30)))
    assert counts(session) == (1, 100, 50)
    assert (session["cached_tokens"], session["reasoning_tokens"], session["total_tokens"]) == (60, 30, 150)


def test_errors_rise(shared_server: RunningServer) -> None:
    """A failed span counts unless a failed span lies anywhere below it."""
    t = fresh()
    session = told(
        shared_server,
        t,
        root(t, error=True),
        span(t, "agent", "root"),
        span(t, "tool", "agent", error=True),
        call(t, "call", "tool", error=True),
        call(t, "retry", "tool", error=True),
        span(t, "aside", "root", error=True),
        span(t, "fine", "aside"),
    )
    assert (session["error_count"], session["failed_trace_count"]) == (3, 1)


def test_failed_traces(shared_server: RunningServer) -> None:
    """A trace failed when its root failed, whatever failed below it."""
    t = fresh()
    post(shared_server.url, root(f"{t}/1", session__id=t, error=True))
    post(shared_server.url, root(f"{t}/2", session__id=t), span(f"{t}/2", "leaf", "root", error=True))
    session = session_of(shared_server, t)
    assert (session["trace_count"], session["failed_trace_count"], session["error_count"]) == (2, 1, 2)
    assert sorted(trace["status"] for trace in session["traces"]) == ["error", "unset"]


def test_late_root(shared_server: RunningServer) -> None:
    """Until the root comes the earliest span whose parent is missing stands for it."""
    t = fresh()
    session = told(shared_server, t, span(t, "leaf", "root", start_ms=5, session__id=t, error=True))
    assert (session["failed_trace_count"], session["traces"][0]["name"]) == (1, "leaf")
    session = told(shared_server, t, root(t))
    assert (session["failed_trace_count"], session["error_count"]) == (0, 1)
    assert session["traces"][0]["name"] == "root"


def pending(t: str, name: str, parent: str | None, **options: Any) -> Span:
    """What Logfire sends when a span starts: a child of it, that names the span's own parent."""
    above = span_id(f"{t}/{parent}").hex() if parent else "0" * 16
    announced = {"logfire.span_type": "pending_span", "logfire.pending_parent_id": above}
    made = span(t, f"pending {name}", name, **options, **announced)
    made.name = name
    made.end_time_unix_nano = made.start_time_unix_nano
    return made


@BOTH_ORDERS
def test_pending(shared_server: RunningServer, order: Sequence[int]) -> None:
    """Logfire's pending spans fold into the spans that they announce, before them or after them."""
    t = fresh()
    announced = [
        pending(t, "root", None, session__id=t),
        pending(t, "call", "root", start_ms=1, gen_ai__operation__name="chat"),
    ]
    ended = [
        root(t, end_ms=50),
        call(t, "call", "root", start_ms=1, end_ms=40, error=True, **used(100, 10)),
    ]
    for place in order:
        post(shared_server.url, *(announced, ended)[place])
    session = session_of(shared_server, t)
    assert session["span_count"] == 2
    assert counts(session) == (1, 100, 10)
    assert (session["error_count"], session["duration_ms"], session["traces"][0]["name"]) == (1, 50, "root")


def test_pending_alone(shared_server: RunningServer) -> None:
    """A span that is announced is there, running, below its own parent, until it comes itself."""
    t = fresh()
    inner = f"{t}-agent"
    post(shared_server.url, pending(t, "call", "agent", start_ms=2, gen_ai__operation__name="chat"))
    post(shared_server.url, pending(t, "agent", "root", start_ms=1, session__id=inner))
    session = told(shared_server, t, pending(t, "root", None, session__id=t))
    assert (session["span_count"], session["end"], session["traces"][0]["name"]) == (1, None, "root")
    # The call is known to be the agent's.
    session = session_of(shared_server, inner)
    assert (session["span_count"], session["call_count"], session["unmetered_calls"]) == (2, 1, 1)
    ended = [
        span(t, "agent", "root", start_ms=1, end_ms=9, session__id=inner),
        call(t, "call", "agent", start_ms=2, end_ms=8, **used(100, 10)),
    ]
    post(shared_server.url, *ended)
    session = session_of(shared_server, inner)
    assert (session["span_count"], session["duration_ms"], *counts(session)) == (2, 8, 1, 100, 10)


def test_ended_wins(shared_server: RunningServer) -> None:
    """Of two versions of a span the one that ended wins over the running one, though that says more."""
    for order in permutations((0, 1)):
        t = fresh()
        versions = [
            call(t, "call", "root", end_ms=None, **used(5, 5, model="a", cost=1.0)),
            call(t, "call", "root", end_ms=20, **used(7)),
        ]
        post(shared_server.url, root(t))
        for place in order:
            post(shared_server.url, versions[place])
        session = session_of(shared_server, t)
        assert counts(session) == (1, 7, 0)
        assert (session["models"], session["span_count"]) == ([], 2)


@BOTH_ORDERS
def test_later_end_wins(shared_server: RunningServer, order: Sequence[int]) -> None:
    """Of two versions that ended the later end wins, though the other says more."""
    t = fresh()
    versions = [
        call(t, "call", "root", end_ms=20, error=True, **used(5, 5, model="a", cost=1.0)),
        call(t, "call", "root", end_ms=21, **used(7)),
    ]
    post(shared_server.url, root(t))
    for place in order:
        post(shared_server.url, versions[place])
    session = session_of(shared_server, t)
    assert counts(session) == (1, 7, 0)
    assert (session["error_count"], session["total_cost"]) == (0, None)


@BOTH_ORDERS
def test_more_attributes_win(shared_server: RunningServer, order: Sequence[int]) -> None:
    """Of two versions that end together the one with more attributes wins."""
    t = fresh()
    versions = [call(t, "call", "root", **used(99)), call(t, "call", "root", **used(7, 3))]
    post(shared_server.url, root(t))
    for place in order:
        post(shared_server.url, versions[place])
    assert counts(session_of(shared_server, t)) == (1, 7, 3)


@pytest.mark.parametrize("as_json", [(False, False), (True, False), (False, True), (True, True)])
def test_tie(shared_server: RunningServer, as_json: tuple[bool, bool]) -> None:
    """Of two versions that are equal in all that, one wins in every order, encoding and order of attributes."""
    found = set()
    for order in permutations((0, 1)):
        for reverse in (False, True):
            t = fresh()
            post(shared_server.url, root(t))
            for place in order:
                version = call(t, "call", "root", **used((5, 7)[place], 1, model="m"))
                if reverse:
                    attributes = list(reversed(version.attributes))
                    del version.attributes[:]
                    version.attributes.extend(attributes)
                post(shared_server.url, version, as_json=as_json[place])
            found.add(counts(session_of(shared_server, t)))
    assert len(found) == 1


def test_tie_within_a_request(shared_server: RunningServer) -> None:
    """The same version wins whether the versions come in one request or in two."""
    found = set()
    for order in permutations((5, 7)):
        for together in (True, False):
            t = fresh()
            versions = [call(t, "call", "root", **used(tokens)) for tokens in order]
            post(shared_server.url, root(t))
            for batch in [versions] if together else [[version] for version in versions]:
                post(shared_server.url, *batch)
            found.add(counts(session_of(shared_server, t)))
    assert len(found) == 1


def test_json_copy_is_equal(shared_server: RunningServer) -> None:
    """A JSON copy of a span, and one with its attributes in another order, change nothing."""
    t = fresh()
    spans = [root(t), call(t, "call", "root", **used(5, 1, model="m", cost=0.5), tags=["a", 1, 0.5, True, b"x"])]
    before = told(shared_server, t, *spans)
    post(shared_server.url, *spans, as_json=True)
    spans[1].attributes.sort(key=lambda pair: pair.key)
    post(shared_server.url, *spans)
    assert session_of(shared_server, t) == before
