"""GET /v1/traces, and GET /v1/sessions/{id}/traces."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from conftest import RunningServer, start_server
from support.spans import call, post, span, trace_id

DAY = "2025-11-24"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Traces t0 to t5: the n-th starts n seconds after 16:00 and costs n dollars; t4 and t5 are in no session."""
    running = start_server(tmp_path_factory.mktemp("traces") / "agentmark.db")
    for n in range(6):
        session = {"session__id": f"s{n % 2}"} if n < 4 else {}
        start = n * 1000
        root = span(
            f"t{n}", f"Turn {n}", start_ms=start, end_ms=start + 900 - n, error=n == 3, user__id=f"u{n % 3}"
        )
        below = call(
            f"t{n}",
            "chat",
            root.name,
            start_ms=start + 1,
            end_ms=start + 2,
            gen_ai__request__model=f"m{n % 2}",
            **{"gen_ai.usage.cost": float(n), "gen_ai.usage.input_tokens": 100 - n} if n else {},
            **session,
        )
        assert post(running.url, root, below).status_code == 200
    yield running
    running.stop()


def names(server: RunningServer, **params: Any) -> list[str]:
    body = server.get("/v1/traces", **params)
    assert body["pagination"]["total"] >= len(body["data"])
    return [trace["name"].removeprefix("Turn ") for trace in body["data"]]


def test_newest_first(server: RunningServer) -> None:
    """All traces come, also those in no session, the last to start first."""
    assert names(server) == ["5", "4", "3", "2", "1", "0"]


SORTS = {
    "start": "543210",
    "end": "543210",
    "duration_ms": "012345",
    "total_cost": "543210",
    "total_tokens": "123450",
}


@pytest.mark.parametrize(("column", "order"), SORTS.items())
def test_sorts(server: RunningServer, column: str, order: str) -> None:
    """Every column sorts both ways; a trace without a value comes last in both."""
    assert names(server, sort_by=column) == list(order)
    upwards = order[-2::-1] + order[-1] if column == "total_cost" else order[::-1]
    assert names(server, sort_by=column, sort_order="asc") == list(upwards)


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"session_id": "s1"}, "31"),
    ({"session_id": ["s1", "s0"]}, "3210"),
    ({"user_id": "u1"}, "41"),
    ({"userId": "u1", "user_id": "u0"}, "4310"),
    ({"name": "TURN 2"}, "2"),
    ({"status": "error"}, "3"),
    ({"status": ["unset", "ok"], "model": "m1"}, "51"),
    ({"start_date": f"{DAY}T16:00:04Z"}, "54"),
    ({"end_date": f"{DAY}T16:00:01.000000000Z"}, "10"),
    ({"start_date": f"{DAY}T16:00:01Z", "end_date": f"{DAY}T16:00:02Z"}, "21"),
    ({"start_date": DAY, "end_date": DAY}, "543210"),
    ({"end_date": "2025-11-23"}, ""),
    ({"name": "nobody"}, ""),
]


@pytest.mark.parametrize(("params", "found"), FILTERS, ids=[str(params) for params, _ in FILTERS])
def test_filters(server: RunningServer, params: dict[str, Any], found: str) -> None:
    """Each filter, and several together, leave what fits, and `total` counts it."""
    assert names(server, **params) == list(found)
    assert server.get("/v1/traces", limit=1, **params)["pagination"]["total"] == len(found)


def test_walk(server: RunningServer) -> None:
    """A walk by cursor gives every trace once, in any order."""
    for order in ({}, {"sort_by": "total_cost", "sort_order": "asc"}):
        walked: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            body = server.get("/v1/traces", limit=4, **order, **cursor)
            walked += [trace["name"].removeprefix("Turn ") for trace in body["data"]]
            if body["pagination"]["next_cursor"] is None:
                break
            cursor = {"cursor": body["pagination"]["next_cursor"]}
        assert walked == names(server, **order)


WRONG = {
    "limit=0": "limit",
    "color=red": "color",
    "status=bad": "status",
    "sort_by=color": "sort_by",
    "sort_order=up": "sort_order",
    "start_date=yesterday": "start_date",
    "end_date=2025-13-01": "end_date",
    "cursor=nonsense": "cursor",
    "cursor=k8DAwA&offset=3": "cursor",
}


@pytest.mark.parametrize(("query", "place"), WRONG.items(), ids=WRONG.keys())
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/spans"])
def test_wrong_parameters(server: RunningServer, path: str, query: str, place: str) -> None:
    """An unknown parameter or a wrong value is a 400 that names it, of spans as of traces."""
    reply = httpx2.get(f"{server.url}{path}?{query}")
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "invalid_parameter"
    assert place in error["message"]


def test_whole_traces(shared_server: RunningServer) -> None:
    """A trace of two sessions is listed once, with all of it; each session lists what it owns."""
    one, two, user = f"one-{uuid4()}", f"two-{uuid4()}", f"user-{uuid4()}"
    post(
        shared_server.url,
        span(one, "worker", end_ms=10),
        span(one, "job 1", "worker", start_ms=1, end_ms=20, session__id=one, user__id=user),
        span(one, "job 2", "worker", start_ms=3, end_ms=30, session__id=two, error=True),
    )
    body = shared_server.get("/v1/traces", user_id=user)
    [trace] = body["data"]
    assert body["pagination"]["total"] == 1
    assert trace["id"] == trace_id(one).hex()
    assert trace["session_ids"] == sorted([one, two])
    assert (trace["name"], trace["span_count"], trace["error_count"]) == ("worker", 3, 1)
    assert (trace["duration_ms"], trace["latency_ms"]) == (30, 30)
    assert trace["also_in"] == []
    for session_id, spans in ((one, 2), (two, 1)):
        body = shared_server.get(f"/v1/sessions/{session_id}/traces")
        assert [share["span_count"] for share in body["data"]] == [spans]
        assert body == {
            "data": shared_server.get(f"/v1/sessions/{session_id}")["data"]["traces"],
            "pagination": {"total": 1, "limit": 50, "offset": 0, "next_cursor": None},
        }


def test_traces_of_an_unknown_session(shared_server: RunningServer) -> None:
    """The traces of a session that is not there are a 404; `a%2Ftraces` is an id."""
    for path in ("/v1/sessions/nobody/traces", "/v1/sessions/nobody%2Ftraces"):
        reply = httpx2.get(shared_server.url + path)
        assert reply.status_code == 404
        assert "nobody" in reply.json()["error"]["message"]


def test_late(server: RunningServer) -> None:
    """A span that comes late changes what its trace is listed by."""
    before = server.get("/v1/traces", name="Turn 0")["data"][0]
    assert before["total_cost"] is None
    late = call("t0", "late", "Turn 0", start_ms=5, end_ms=7, **{"gen_ai.usage.cost": 0.5})
    assert post(server.url, late).status_code == 200
    [after] = server.get("/v1/traces", name="Turn 0", sort_by="total_cost")["data"]
    assert (after["total_cost"], after["span_count"]) == (0.5, 3)
