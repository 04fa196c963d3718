"""Traces of thousands of spans, which are not grouped with every write: nobody can tell from the answers."""

import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from conftest import RunningServer
from support.spans import call, post, span

AGENTS, CHILDREN, REQUESTS = 60, 99, 60
CALLS = AGENTS * (CHILDREN + 1) // 2
LIFETIME = 10**6
"""Tokens that every agent states, far more than its calls used."""
FIELDS = (
    "trace_count",
    "span_count",
    "call_count",
    "error_count",
    "input_tokens",
    "output_tokens",
    "unaccounted_tokens",
    "total_cost",
    "unmetered_calls",
    "models",
    "duration_ms",
)


def tree(t: str) -> list[Span]:
    """A root with the session id, below it agents with calls, and below each call but the last a tool."""
    spans = [span(t, "root", end_ms=10**6, session__id=t)]
    for a in range(AGENTS):
        roll_up = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": LIFETIME}
        spans.append(span(t, f"agent {a}", "root", start_ms=a, end_ms=a + 10_000, **roll_up))
        for n in range(CHILDREN):
            parent, times = f"agent {a}", {"start_ms": a + n, "end_ms": a + n + 2}
            usage = {
                "gen_ai.usage.input_tokens": n + 1,
                "gen_ai.usage.output_tokens": a,
                "gen_ai.usage.cost": 0.001,
            }
            if n % 2 == 0:
                spans.append(call(t, f"{a}/{n}", parent, **times, gen_ai__request__model=f"m{n % 3}", **usage))
            else:
                spans.append(span(t, f"{a}/{n}", f"{a}/{n - 1}", **times, error=n % 10 == 1))
    return spans


def expected() -> dict[str, Any]:
    """What all of a tree comes to, by its recipe."""
    each = sum(n + 1 for n in range(0, CHILDREN, 2))
    outputs = sum(a * (CHILDREN + 1) // 2 for a in range(AGENTS))
    return {
        "trace_count": 1,
        "span_count": 1 + AGENTS * (1 + CHILDREN),
        "call_count": CALLS,
        "error_count": AGENTS * sum(n % 10 == 1 for n in range(1, CHILDREN, 2)),
        "input_tokens": AGENTS * each,
        "output_tokens": outputs,
        "unaccounted_tokens": AGENTS * (LIFETIME - each) - outputs,
        "total_cost": CALLS / 1000,
        "unmetered_calls": 0,
        "models": ["m0", "m1", "m2"],
        "duration_ms": 10**6,
    }


def shuffled_requests(t: str, *, root_last: bool) -> list[list[Span]]:
    """A tree in as many requests, parents and children all mixed up, the root alone at one end."""
    root, *others = tree(t)
    others.sort(key=lambda one: one.span_id)  # as good as drawn: the ids are hashes
    requests = [others[n :: REQUESTS - 1] for n in range(REQUESTS - 1)]
    return [*requests, [root]] if root_last else [[root], *requests]


def post_all(server: RunningServer, requests: Sequence[Sequence[Span]]) -> None:
    for request in requests:
        assert post(server.url, *request).status_code == 200


def session_of(server: RunningServer, t: str) -> Any:
    return server.get(f"/v1/sessions/{t}")["data"]


def totals(server: RunningServer, t: str) -> dict[str, Any]:
    session = session_of(server, t)
    return {field: session[field] for field in FIELDS}


def without_ids(session: Any) -> Any:
    for shape in (session, *session["traces"]):
        shape.pop("id")
        shape.pop("session_ids", None)
    return session


@pytest.fixture(scope="module")
def filled(shared_server: RunningServer) -> RunningServer:
    """A server that took one tree piece by piece, the root last and without a question in between."""
    post_all(shared_server, shuffled_requests("piece by piece", root_last=True))
    return shared_server


def test_exact(filled: RunningServer) -> None:
    """A large trace that arrives shuffled, in many requests and with its session id last, has exact totals."""
    assert totals(filled, "piece by piece") == expected()
    [trace] = session_of(filled, "piece by piece")["traces"]
    assert {field: trace[field] for field in FIELDS[1:]} == {field: expected()[field] for field in FIELDS[1:]}


def test_as_if_sent_at_once(filled: RunningServer) -> None:
    """The same spans under other ids, sent at once, make the same session in every field."""
    assert post(filled.url, *tree("at once")).status_code == 200
    at_once, piece_by_piece = (without_ids(session_of(filled, t)) for t in ("at once", "piece by piece"))
    assert at_once == piece_by_piece


def test_sent_again(filled: RunningServer) -> None:
    """A request that is sent again changes nothing of a large trace."""
    before = session_of(filled, "piece by piece")
    requests = shuffled_requests("piece by piece", root_last=True)
    post_all(filled, [requests[7], requests[-1], requests[7]])
    assert session_of(filled, "piece by piece") == before


def test_in_between(shared_server: RunningServer) -> None:
    """After every request the answer holds all that was sent until then, in the list as well."""
    t = "in between"
    sent: list[Span] = []
    for request in shuffled_requests(t, root_last=False):
        post_all(shared_server, [request])
        sent += request
        if len(sent) % 5 == 1 or len(sent) > 5900:
            session = session_of(shared_server, t)
            calls = sum(any(pair.key == "gen_ai.usage.cost" for pair in one.attributes) for one in sent)
            assert (session["span_count"], session["call_count"]) == (len(sent), calls)
            listed = shared_server.get("/v1/sessions", limit=1000)["data"]
            assert [one["span_count"] for one in listed if one["id"] == t] == [len(sent)]
    assert totals(shared_server, t) == expected()


def test_newer_version(shared_server: RunningServer) -> None:
    """A newer version of a span takes the place of the old one in a large trace too, and an older one does not."""
    t = "newer version"
    post_all(shared_server, shuffled_requests(t, root_last=True))
    usage = {"gen_ai.usage.input_tokens": 1001, "gen_ai.usage.output_tokens": 0, "gen_ai.usage.cost": 0.001}
    model = {"gen_ai__request__model": "m0"}
    newer = call(t, "0/0", "agent 0", start_ms=0, end_ms=3, **model, **usage)
    post_all(shared_server, [[newer], [one for one in tree(t) if one.span_id == newer.span_id]])
    changed = expected()
    changed["input_tokens"] += 1000
    changed["unaccounted_tokens"] -= 1000
    assert totals(shared_server, t) == changed


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_restart(launch: Callable[..., RunningServer], how: signal.Signals) -> None:
    """What nobody asked for before the server ended is exact after it starts again."""
    server = launch()
    requests = shuffled_requests("t", root_last=True)
    post_all(server, requests)
    server.stop(how)
    server = launch()
    assert totals(server, "t") == expected()
    post_all(server, [requests[3]])
    assert totals(server, "t") == expected()
