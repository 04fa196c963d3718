"""GET /v1/sessions."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from conftest import RunningServer, start_server
from support.spans import START, call, post, span

NAMES = ["Billing: Rechnung über 5 €", "billing again", "STRASSE", None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Twelve sessions, the n-th of which ends n seconds after the first; users u0 to u2 in turn."""
    running = start_server(tmp_path_factory.mktemp("list") / "agentmark.db")
    for n in range(12):
        name = NAMES[n % len(NAMES)]
        named = {"agentmark__session_name": name} if name else {}
        user = {"user__id": f"u{n % 3}"}
        root = span(f"t{n}", "root", end_ms=n * 1000, session__id=f"s{n:02}", **named, **user)
        assert post(running.url, root).status_code == 200
    # A second user joins session 11 later.
    post(running.url, span("late", "root", start_ms=20, end_ms=30, session__id="s11", user__id="guest"))
    yield running
    running.stop()


def ids(server: RunningServer, **params: Any) -> list[str]:
    return [session["id"] for session in server.get("/v1/sessions", **params)["data"]]


EVERYTHING = [f"s{n:02}" for n in reversed(range(12))]


def test_newest_first(server: RunningServer) -> None:
    """Sessions come with the last to end first."""
    assert ids(server) == EVERYTHING


def test_slices(server: RunningServer) -> None:
    """`limit` and `offset` cut the list anywhere, and `total` counts the whole of it."""
    for limit, offset in [(1, 0), (5, 0), (5, 5), (5, 10), (5, 12), (1000, 3)]:
        body = server.get("/v1/sessions", limit=limit, offset=offset)
        assert [session["id"] for session in body["data"]] == EVERYTHING[offset : offset + limit]
        pagination = body["pagination"]
        assert (pagination["total"], pagination["limit"], pagination["offset"]) == (12, limit, offset)
        assert (pagination["next_cursor"] is None) == (offset + limit >= 12)


@pytest.mark.parametrize("limit", [1, 3, 4, 12])
def test_walk(server: RunningServer, limit: int) -> None:
    """A walk by cursor gives every session exactly once."""
    walked: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(20):
        body = server.get("/v1/sessions", limit=limit, **cursor)
        walked += [session["id"] for session in body["data"]]
        if body["pagination"]["next_cursor"] is None:
            break
        cursor = {"cursor": body["pagination"]["next_cursor"]}
    assert walked == EVERYTHING


def test_name(server: RunningServer) -> None:
    """`name` finds a part of the name, in any case and any script; a repeated one means any of them."""
    assert ids(server, name="BILLING") == ["s09", "s08", "s05", "s04", "s01", "s00"]
    assert ids(server, name="ÜBER 5 €") == ["s08", "s04", "s00"]
    assert ids(server, name="straße") == ["s10", "s06", "s02"]
    assert ids(server, name=["again", "strasse"]) == ["s10", "s09", "s06", "s05", "s02", "s01"]
    assert ids(server, name="%") == []


@pytest.mark.parametrize("parameter", ["user_id", "userId"])
def test_user(server: RunningServer, parameter: str) -> None:
    """`user_id` and `userId` find the sessions that a user has a span in, exactly."""
    assert ids(server, **{parameter: "u1"}) == ["s10", "s07", "s04", "s01"]
    assert ids(server, **{parameter: "guest"}) == ["s11"]
    assert ids(server, **{parameter: "u"}) == []
    assert ids(server, **{parameter: ["u1", "guest"]}, limit=2) == ["s11", "s10"]


def test_filters_together(server: RunningServer) -> None:
    """Different filters must all hold, and `total` counts what fits."""
    body = server.get("/v1/sessions", name="billing", user_id="u1", limit=1)
    assert [session["id"] for session in body["data"]] == ["s04"]
    assert body["pagination"]["total"] == 2


def test_filter(server: RunningServer) -> None:
    """`filter` finds the sessions for which it holds, together with the other parameters."""
    assert ids(server, filter='user_id = "u1" or name = "STRASSE"', name="b") == ["s04", "s01"]
    assert ids(server, filter='any(span.name = "root" and span.duration_ms >= 10000)') == ["s11", "s10"]
    assert ids(server, filter='name does not exist and end > "2025-11-24T16:00:05Z"') == ["s11", "s07"]
    body = server.get("/v1/sessions", filter="not any(span.status = error)", limit=1, offset=3)
    assert ([one["id"] for one in body["data"]], body["pagination"]["total"]) == (["s08"], 12)


def test_bounds_and_metadata(shared_server: RunningServer) -> None:
    """`min_`, `max_` and `metadata.<key>` work for any column and any key."""
    for plan in ("free", "pro"):
        tokens: dict[str, Any] = {
            "gen_ai__usage__input_tokens": len(plan),
            "agentmark__metadata__bounded/plan": plan,
        }
        post(shared_server.url, call(plan, "chat", session__id=f"bounds-{plan}", **tokens))
    asked = {"metadata.bounded/plan": ["free", "pro"]}
    assert ids(shared_server, **asked, min_input_tokens=4) == ["bounds-free"]
    assert ids(shared_server, **asked, max_input_tokens=3.5, max_duration_ms=1) == ["bounds-pro"]
    assert ids(shared_server, **asked, sort_by="total_tokens", sort_order="asc") == ["bounds-pro", "bounds-free"]


WRONG = {
    "limit=0": "limit",
    "limit=1001": "limit",
    "limit=ten": "limit",
    "offset=-1": "offset",
    "offset=99999999999999999999": "offset",
    "userid=u1": "userid",
    "name=a&color=red": "color",
    "cursor=nonsense": "cursor",
    "cursor=%00": "cursor",
    "cursor=k8DAwA&offset=3": "cursor",
    "filter=": "filter: column 1",
    "filter=total_cost+%3E+lots": "filter: column 14",
    "filter=any(span.colour+exists)": "filter: column 5",
    "min_total_cost=much": "min_total_cost",
    "max_span_count=inf": "max_span_count",
    "min_name=3": "min_name",
    "metadata=x": "metadata",
    "start_date=yesterday": "start_date",
    "status=asleep": "status",
    "sort_by=colour": "sort_by",
}


@pytest.mark.parametrize(("query", "place"), WRONG.items(), ids=WRONG.keys())
def test_wrong_parameters(server: RunningServer, query: str, place: str) -> None:
    """An unknown parameter or a wrong value is a 400 that names it."""
    reply = httpx2.get(f"{server.url}/v1/sessions?{query}")
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "invalid_parameter"
    assert place in error["message"]
    assert all(detail["message"] for detail in error["details"])


def test_empty(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server without spans answers an empty list."""
    empty = start_server(tmp_path_factory.mktemp("empty") / "agentmark.db")
    body = empty.get("/v1/sessions")
    empty.stop()
    pagination = {"total": 0, "limit": 50, "offset": 0, "next_cursor": None, "index_lag_ms": None}
    assert body == {"data": [], "pagination": pagination}


def test_fields(shared_server: RunningServer) -> None:
    """A session says what its spans add up to, with times to the nanosecond and no invented cost."""
    common = {"session__id": "fields", "agentmark__session_name": "A name", "user__id": "u"}
    post(
        shared_server.url,
        span("f1", "root", end_ms=2000, agentmark__tags='["b", "a"]', agentmark__metadata__plan="pro", **common),
        call(
            "f1",
            "chat",
            "root",
            start_ms=10,
            end_ms=1500,
            gen_ai__request__model="gpt-4o",
            gen_ai__response__model="gpt-4o-2024-08-06",
            gen_ai__usage__input_tokens=100,
            gen_ai__usage__output_tokens=20,
            gen_ai__usage__cache_read__input_tokens=60,
            gen_ai__usage__reasoning__output_tokens=5,
            gen_ai__input__messages='[{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]',
            gen_ai__output__messages='[{"role": "assistant", "parts": [{"type": "text", "content": "So."}]}]',
        ),
        call("f1", "cut off", "root", start_ms=1500, end_ms=1600, error=True),
        resource={"service.name": "bot", "service.version": "1.2", "deployment.environment.name": "prod"},
    )
    post(shared_server.url, span("f2", "root", start_ms=5000, end_ms=6000, error=True, **common))
    [session] = [one for one in shared_server.get("/v1/sessions")["data"] if one["id"] == "fields"]
    assert session == {
        "id": "fields",
        "name": "A name",
        "user_id": "u",
        "user_ids": ["u"],
        "start": "2025-11-24T16:00:00.000000000Z",
        "end": "2025-11-24T16:00:06.000000000Z",
        "duration_ms": 6000,
        "latency_ms": 1500,
        "trace_count": 2,
        "failed_trace_count": 1,
        "span_count": 4,
        "call_count": 2,
        "error_count": 2,
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_tokens": 60,
        "reasoning_tokens": 5,
        "total_tokens": 120,
        "total_cost": (40 * 2.5 + 60 * 1.25 + 20 * 10) / 10**6,
        "unpriced_calls": 0,
        "unmetered_calls": 1,
        "unaccounted_tokens": 0,
        "models": ["gpt-4o-2024-08-06"],
        "agents": [],
        "services": ["bot"],
        "environments": ["prod"],
        "releases": ["1.2"],
        "tags": ["a", "b"],
        "metadata": {"plan": "pro"},
        "status": "idle",
        "outcome": None,
        "active_ms": 1490 + 100 + 1000,
        "input_preview": "Why?",
        "output_preview": "So.",
    }


def test_status(shared_server: RunningServer) -> None:
    """A session is active while a span of it runs or its last has just ended, else idle."""
    ago = (time.time_ns() - START) // 10**6
    for name, start, end in [
        ("recent", -60_000, -1000),
        ("old", -7_200_000, -3_600_000),
        ("running", -60_000, None),
    ]:
        ends = None if end is None else ago + end
        post(shared_server.url, span(name, "a", start_ms=ago + start, end_ms=ends, session__id=f"status-{name}"))
    post(
        shared_server.url, span("dead", "a", start_ms=ago - 25 * 3_600_000, end_ms=None, session__id="status-dead")
    )
    found = {one["id"]: one["status"] for one in shared_server.get("/v1/sessions", limit=1000)["data"]}
    assert {name: found[f"status-{name}"] for name in ("recent", "old", "running", "dead")} == {
        "recent": "active",
        "old": "idle",
        "running": "active",
        "dead": "idle",
    }
