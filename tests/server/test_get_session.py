"""GET /v1/sessions/{id}."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest

from conftest import RunningServer
from support.spans import post, span, trace_id


def test_traces_in_order(shared_server: RunningServer) -> None:
    """A session comes with its traces in order of their start, whatever order they arrived in."""
    session_id = f"order-{uuid4()}"
    for n in (3, 0, 2, 4, 1):
        times = {"start_ms": n * 1000, "end_ms": n * 1000 + 500}
        root = span(f"{session_id}/{n}", f"turn {n}", **times)
        post(shared_server.url, root, span(f"{session_id}/{n}", "a", root.name, **times, session__id=session_id))
    body = shared_server.get(f"/v1/sessions/{session_id}")
    assert [trace["name"] for trace in body["data"]["traces"]] == [f"turn {n}" for n in range(5)]
    assert body["data"]["traces"][0]["id"] == trace_id(f"{session_id}/0").hex()
    assert body["data"]["trace_count"] == body["pagination"]["total"] == 5


def test_pages_of_traces(shared_server: RunningServer) -> None:
    """`limit` and `offset`, or the cursor, page through the traces; the session stays whole."""
    session_id = f"pages-{uuid4()}"
    # Traces that start together are in order of their ids.
    post(shared_server.url, *(span(f"{session_id}/{n}", f"{n}", session__id=session_id) for n in range(7)))
    everything = [t["id"] for t in shared_server.get(f"/v1/sessions/{session_id}")["data"]["traces"]]
    assert everything == sorted(everything)
    body = shared_server.get(f"/v1/sessions/{session_id}", limit=3, offset=2)
    assert [trace["id"] for trace in body["data"]["traces"]] == everything[2:5]
    assert body["data"]["trace_count"] == 7
    walked, params = [], {"limit": 3}
    for _ in range(3):
        body = shared_server.get(f"/v1/sessions/{session_id}", **params)
        walked += [trace["id"] for trace in body["data"]["traces"]]
        params = {"limit": 3, "cursor": body["pagination"]["next_cursor"]}
    assert walked == everything
    assert params["cursor"] is None


IDS = ["a/b", "a%2Fb", "quo\"te's", "line\nend", "ünïcode 🦊", "?x=1#y", "..a", "a b", "+", "x" * 512, "\\", "%"]


@pytest.mark.parametrize("session_id", IDS, ids=range(len(IDS)))
def test_ids(shared_server: RunningServer, session_id: str) -> None:
    """Any id that a program can give is found by its percent-encoded form."""
    post(shared_server.url, span(f"id {session_id}", "a", session__id=session_id))
    data = shared_server.get(f"/v1/sessions/{quote(session_id, safe='')}")["data"]
    assert (data["id"], data["trace_count"]) == (session_id, 1)


def test_slash_is_no_segment(shared_server: RunningServer) -> None:
    """`a%2Ftraces` is an id, `a/traces` is none."""
    post(shared_server.url, span("slash", "a", session__id="slash/traces"))
    assert shared_server.get("/v1/sessions/slash%2Ftraces")["data"]["id"] == "slash/traces"
    assert httpx2.get(f"{shared_server.url}/v1/sessions/slash/unknown").status_code == 404


def test_long_id(shared_server: RunningServer) -> None:
    """An id of more than 512 characters is cut, with a hash that keeps it apart from others."""
    start = f"{uuid4()}".ljust(600, "x")
    post(shared_server.url, span(f"{start}1", "a", session__id=start + "1"))
    post(shared_server.url, span(f"{start}2", "a", session__id=start + "2"))
    found = [
        one["id"]
        for one in shared_server.get("/v1/sessions", limit=1000)["data"]
        if one["id"].startswith(start[:36])
    ]
    assert len(found) == 2
    assert {len(one) for one in found} == {512}


def test_unknown(shared_server: RunningServer) -> None:
    """An id that is not there is a 404 in the envelope that says so."""
    reply = httpx2.get(f"{shared_server.url}/v1/sessions/nobody%2Fhere")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert error["code"] == "not_found"
    assert "nobody/here" in error["message"]


@pytest.mark.parametrize("query", ["limit=0", "offset=x", "q=1"])
def test_wrong_parameters(shared_server: RunningServer, query: str) -> None:
    """A wrong parameter is a 400 that names it, also where the session is not there."""
    reply = httpx2.get(f"{shared_server.url}/v1/sessions/nobody?{query}")
    assert reply.status_code == 400
    assert query.split("=", maxsplit=1)[0] in reply.json()["error"]["message"]


def shares(server: RunningServer, session_id: str) -> dict[str, Any]:
    [trace] = server.get(f"/v1/sessions/{session_id}")["data"]["traces"]
    return {key: trace[key] for key in ("name", "span_count", "session_ids")}


def test_trace_of_two_sessions(shared_server: RunningServer) -> None:
    """A worker's trace stands in each session that it served, with what it did for that one."""
    one, two = f"one-{uuid4()}", f"two-{uuid4()}"
    post(
        shared_server.url,
        span(one, "worker"),
        span(one, "job 1", "worker", start_ms=1, session__id=one),
        span(one, "step", "job 1", start_ms=2),
        span(one, "job 2", "worker", start_ms=3, session__id=two),
    )
    both = sorted([one, two])
    assert shares(shared_server, two) == {"name": "worker", "span_count": 1, "session_ids": both}
    # The worker's own span has no key above: it is in the session of the key nearest the root, the earliest.
    assert shares(shared_server, one) == {"name": "worker", "span_count": 3, "session_ids": both}
