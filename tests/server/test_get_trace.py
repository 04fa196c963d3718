"""GET /v1/traces/{id}."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from conftest import RunningServer
from support.spans import START, call, post, span, span_id, trace_id


def opened(server: RunningServer, trace: str, **params: Any) -> Any:
    return server.get(f"/v1/traces/{trace_id(trace).hex()}", **params)


def lines(body: Any) -> list[tuple[str, int]]:
    return [(one["name"], one["depth"]) for one in body["data"]["spans"]]


def test_tree(shared_server: RunningServer) -> None:
    """The spans come as a tree from top to bottom, in order of time, whatever order they arrived in."""
    name = f"tree-{uuid4()}"
    spans = [
        span(name, "root", start_ms=0),
        span(name, "a", "root", start_ms=5),
        span(name, "a1", "a", start_ms=7),
        span(name, "b", "root", start_ms=6),
        span(name, "b1", "b", start_ms=1),
        span(name, "lost", "nobody", start_ms=2),
    ]
    post(shared_server.url, *reversed(spans))
    body = opened(shared_server, name)
    assert lines(body) == [("root", 0), ("a", 1), ("a1", 2), ("b", 1), ("b1", 2), ("lost", 0)]
    assert body["pagination"] == {"total": 6, "limit": 10_000, "offset": 0, "next_cursor": None}
    data = body["data"]
    assert (data["id"], data["name"], data["span_count"]) == (trace_id(name).hex(), "root", 6)
    assert data["spans"][2]["parent_id"] == span_id(f"{name}/a").hex()
    assert data["spans"][5]["parent_id"] == span_id(f"{name}/nobody").hex()


def test_cycle(shared_server: RunningServer) -> None:
    """In a cycle of parents, which no program should make, every span still comes once."""
    name = f"cycle-{uuid4()}"
    post(shared_server.url, span(name, "x", "y", start_ms=1), span(name, "y", "x", start_ms=2))
    assert lines(opened(shared_server, name)) == [("x", 0), ("y", 1)]


def test_deep(shared_server: RunningServer) -> None:
    """A tree that is deeper than any stack opens."""
    name = f"deep-{uuid4()}"
    chain = [span(name, f"{n}", f"{n - 1}" if n else None, start_ms=n) for n in range(3000)]
    post(shared_server.url, *chain)
    assert lines(opened(shared_server, name)) == [(f"{n}", n) for n in range(3000)]


def test_pages(shared_server: RunningServer) -> None:
    """`limit`, `offset` and the cursor page through the tree; the trace's own numbers stay whole."""
    name = f"pages-{uuid4()}"
    post(shared_server.url, *(span(name, f"{n}", "0" if n else None, start_ms=n) for n in range(7)))
    everything = lines(opened(shared_server, name))
    body = opened(shared_server, name, limit=3, offset=2)
    assert lines(body) == everything[2:5]
    assert (body["data"]["span_count"], body["pagination"]["total"]) == (7, 7)
    walked, params = [], {"limit": 3}
    for _ in range(3):
        body = opened(shared_server, name, **params)
        walked += lines(body)
        params = {"limit": 3, "cursor": body["pagination"]["next_cursor"]}
    assert walked == everything
    assert params["cursor"] is None


def test_content(shared_server: RunningServer) -> None:
    """What spans hold comes on request alone, and then for at most a hundred of them."""
    name = f"content-{uuid4()}"
    spans = [span(name, f"{n}", "0" if n else None, start_ms=n, agentmark__input=f"in {n}") for n in range(120)]
    post(shared_server.url, *spans)
    assert "attributes" not in opened(shared_server, name)["data"]["spans"][0]
    body = opened(shared_server, name, include="content")
    assert [one["input"] for one in body["data"]["spans"]] == [f"in {n}" for n in range(100)]
    assert body["pagination"]["limit"] == 100
    assert body["pagination"]["next_cursor"] is not None
    reply = httpx2.get(f"{shared_server.url}/v1/traces/{trace_id(name).hex()}?include=content&limit=101")
    assert reply.status_code == 400
    assert "limit" in reply.json()["error"]["message"]


def test_log_records_are_no_spans(shared_server: RunningServer) -> None:
    """A log record that belongs to a span is not in the tree; alone it makes no trace."""
    name = f"records-{uuid4()}"
    record = {
        "eventName": "gen_ai.user.message",
        "traceId": trace_id(name).hex(),
        "spanId": span_id(f"{name}/chat").hex(),
        "timeUnixNano": str(START),
        "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "Why?"}}]}},
    }
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert httpx2.post(f"{shared_server.url}/v1/logs", json=logs).status_code == 200
    path = f"/v1/traces/{trace_id(name).hex()}"
    assert httpx2.get(shared_server.url + path).status_code == 404
    assert shared_server.get("/v1/spans", trace_id=trace_id(name).hex())["data"] == []
    post(shared_server.url, call(name, "chat", end_ms=9))
    body = opened(shared_server, name, include="content")
    assert lines(body) == [("chat", 0)]
    [one] = body["data"]["spans"]
    assert one["input"] == "Why?"
    assert one["messages"]["input"] == [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]
    assert [event["name"] for event in one["events"]] == ["gen_ai.user.message"]
    assert body["pagination"]["total"] == 1


def test_owners(shared_server: RunningServer) -> None:
    """Each span says which session owns it, and whether its usage counts."""
    one, two = f"one-{uuid4()}", f"two-{uuid4()}"
    usage = {"gen_ai__usage__input_tokens": 10}
    post(
        shared_server.url,
        span(one, "worker"),
        span(one, "job 1", "worker", start_ms=1, session__id=one, **usage),
        call(one, "chat", "job 1", start_ms=2, **usage),
        span(one, "job 2", "worker", start_ms=3, session__id=two),
    )
    found = {s["name"]: (s["session_id"], s["counted"]) for s in opened(shared_server, one)["data"]["spans"]}
    assert found == {"worker": (one, False), "job 1": (one, False), "chat": (one, True), "job 2": (two, False)}


def test_large_trace(shared_server: RunningServer) -> None:
    """A trace that came in many requests opens whole, in one answer."""
    name = f"large-{uuid4()}"
    spans = [span(name, f"{n}", "0" if n else None, start_ms=n) for n in range(2500)]
    for first in range(0, len(spans), 400):
        post(shared_server.url, *spans[first : first + 400])
    body = opened(shared_server, name)
    assert [one["name"] for one in body["data"]["spans"]] == [f"{n}" for n in range(2500)]
    assert body["data"]["span_count"] == 2500


UNKNOWN = ["0" * 32, "0" * 31, "abc", "g" * 32, "0" * 31 + "%20", "a%2Fb", "%E2%82%AC" * 32]


@pytest.mark.parametrize("id_", UNKNOWN)
def test_unknown(shared_server: RunningServer, id_: str) -> None:
    """An id that is not there, or none at all, is a 404 that says so."""
    reply = httpx2.get(f"{shared_server.url}/v1/traces/{id_}")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert error["code"] == "not_found"
    assert "there is no trace" in error["message"]


def test_upper_case(shared_server: RunningServer) -> None:
    """An id is found however its digits are written."""
    name = f"upper-{uuid4()}"
    post(shared_server.url, span(name, "root"))
    assert shared_server.get(f"/v1/traces/{trace_id(name).hex().upper()}")["data"]["name"] == "root"


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "q=1", "include=all", "cursor=zz", "cursor=00"])
def test_wrong_parameters(shared_server: RunningServer, query: str) -> None:
    """A wrong parameter is a 400 that names it."""
    name = "wrong parameters"
    post(shared_server.url, span(name, "root"))
    reply = httpx2.get(f"{shared_server.url}/v1/traces/{trace_id(name).hex()}?{query}")
    assert reply.status_code == 400
    assert query.split("=", maxsplit=1)[0] in reply.json()["error"]["message"]
