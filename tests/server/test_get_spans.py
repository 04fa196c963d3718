"""GET /v1/spans."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from conftest import RunningServer, start_server
from support.spans import call, post, span, trace_id

DAY = "2025-11-24"
A, B = trace_id("a").hex(), trace_id("b").hex()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two traces, named by when each span starts in seconds: 0, 1, 2, 5 in `a` and session s, 3 and 4 in `b`."""
    running = start_server(tmp_path_factory.mktemp("spans") / "agentmark.db")
    cost = {"gen_ai__usage__cost": 0.5, "gen_ai__usage__input_tokens": 7}
    post(
        running.url,
        span(
            "a",
            "0 root",
            start_ms=0,
            end_ms=6000,
            session__id="s",
            user__id="ann",
            agentmark__metadata__plan="pro",
        ),
        call("a", "1 chat", "0 root", start_ms=1000, end_ms=1500, gen_ai__request__model="m1", **cost),
        span(
            "a", "2 tool", "0 root", start_ms=2000, end_ms=2100, gen_ai__operation__name="execute_tool", error=True
        ),
        span("a", "5 running", "0 root", start_ms=5000, end_ms=None),
        resource={"service.name": "bot"},
        scope="tests",
    )
    post(
        running.url,
        span("b", "3 root", start_ms=3000, end_ms=4500),
        call("b", "4 chat", "3 root", start_ms=4000, end_ms=4400, gen_ai__request__model="m2", user__id="bob"),
    )
    yield running
    running.stop()


def found(server: RunningServer, **params: Any) -> str:
    return "".join(one["name"][0] for one in server.get("/v1/spans", **params)["data"])


def test_newest_first(server: RunningServer) -> None:
    """Spans of all traces come with the last to start first, or the other way round."""
    assert found(server) == "543210"
    assert found(server, sort_order="asc") == "012345"
    assert server.get("/v1/spans", limit=1)["pagination"]["total"] == 6


def test_sorts(server: RunningServer) -> None:
    """The slowest, the costliest and the largest come first when asked for; those without a value last."""
    assert found(server, sort_by="duration_ms") == "031425"
    assert found(server, sort_by="end", sort_order="asc") == "124305"
    assert found(server, sort_by="cost")[0] == "1"
    assert found(server, sort_by="total_tokens", sort_order="asc")[0] == "1"


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"trace_id": A}, "5210"),
    ({"trace_id": [A, B.upper()]}, "543210"),
    ({"session_id": "s"}, "5210"),
    ({"user_id": "ann"}, "0"),
    ({"userId": ["ann", "bob"]}, "40"),
    ({"name": "CHAT"}, "41"),
    ({"kind": "tool"}, "2"),
    ({"kind": ["tool", "llm"], "trace_id": A}, "21"),
    ({"status": "error"}, "2"),
    ({"model": ["m1", "m2"]}, "41"),
    ({"start_date": f"{DAY}T16:00:04.400Z"}, "5430"),
    ({"end_date": f"{DAY}T16:00:01Z"}, "10"),
    ({"start_date": f"{DAY}T16:00:05Z", "end_date": DAY}, "50"),
    ({"end_date": "2025-11-23"}, ""),
]


@pytest.mark.parametrize(("params", "names"), FILTERS, ids=[str(params) for params, _ in FILTERS])
def test_filters(server: RunningServer, params: dict[str, Any], names: str) -> None:
    """Each filter, and several together, leave what fits, and `total` counts it."""
    assert found(server, **params) == names
    assert server.get("/v1/spans", limit=1, **params)["pagination"]["total"] == len(names)


def test_walk(server: RunningServer) -> None:
    """A walk by cursor gives every span once."""
    walked, cursor = "", {}
    for _ in range(3):
        body = server.get("/v1/spans", limit=2, **cursor)
        walked += "".join(one["name"][0] for one in body["data"])
        cursor = {"cursor": body["pagination"]["next_cursor"]}
    assert walked == "543210"
    assert cursor["cursor"] is None


def test_fields(server: RunningServer) -> None:
    """A span says all of its own and what is derived for it; what is not known is null, never 0."""
    root, one = server.get("/v1/spans", trace_id=A, sort_order="asc", limit=2)["data"]
    assert one == {
        "id": one["id"],
        "trace_id": A,
        "parent_id": root["id"],
        "name": "1 chat",
        "kind": "llm",
        "role": "call",
        "counted": True,
        "status": "unset",
        "status_message": None,
        "start": f"{DAY}T16:00:01.000000000Z",
        "end": f"{DAY}T16:00:01.500000000Z",
        "duration_ms": 500,
        "latency_ms": 500,
        "session_id": "s",
        "user_id": None,
        "model": "m1",
        "provider": None,
        "input_tokens": 7,
        "output_tokens": None,
        "cached_tokens": None,
        "reasoning_tokens": None,
        "total_tokens": 7,
        "cost": 0.5,
        "service_name": "bot",
        "scope_name": "tests",
        "prompt_name": None,
        "metadata": {},
    }
    assert (root["cost"], root["total_tokens"], root["metadata"]) == (None, None, {"plan": "pro"})
    [running] = server.get("/v1/spans", name="running")["data"]
    assert (running["end"], running["duration_ms"]) == (None, None)


def test_described(server: RunningServer) -> None:
    """The answers hold what the API's description says, field by field."""
    schemas = server.get("/v1/openapi.json")["components"]["schemas"]
    plain = server.get("/v1/spans", limit=1)["data"][0]
    assert list(plain) == list(schemas["SpanSchema"]["properties"])
    whole = server.get("/v1/spans", limit=1, include="content")["data"][0]
    assert set(whole) == set(schemas["SpanWithContentSchema"]["properties"])
    line = server.get(f"/v1/traces/{A}", include="content")["data"]["spans"][0]
    assert set(line) == set(schemas["TreeSpanWithContentSchema"]["properties"])


def test_broken_clock(shared_server: RunningServer) -> None:
    """Times of a broken clock are null, and such a span comes last."""
    post(shared_server.url, span("broken", "fine"))
    broken = span("broken", "broken", "fine")
    broken.start_time_unix_nano = 2**64 - 1
    post(shared_server.url, broken)
    for order in ("asc", "desc"):
        rows = shared_server.get("/v1/spans", trace_id=trace_id("broken").hex(), sort_order=order)["data"]
        assert [row["name"] for row in rows] == ["fine", "broken"]
        assert (rows[1]["start"], rows[1]["duration_ms"]) == (None, None)


@pytest.mark.parametrize("query", ["trace_id=1", "kind=color", "include=all", "include=content&limit=101"])
def test_wrong_parameters(server: RunningServer, query: str) -> None:
    """A value that cannot be is a 400 that names its parameter."""
    reply = httpx2.get(f"{server.url}/v1/spans?{query}")
    assert reply.status_code == 400
    assert query.rpartition("&")[2].split("=")[0] in reply.json()["error"]["message"]
