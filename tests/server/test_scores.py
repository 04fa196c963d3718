"""POST /v1/scores, GET /v1/scores, GET and DELETE /v1/scores/{id}, and the scores of a session."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from agentmark_server.model import Score, Slice
from agentmark_server.queries import ScoreQuery
from agentmark_server.store import SessionSelector, TraceSelector
from conftest import RunningServer, start_server
from support.spans import call, post, span, span_id, trace_id
from support.stores import APP, ENGINES, EVERYTHING, Engine, received, temporary

TRACE = trace_id("t").hex()
SPAN = span_id("t/root").hex()
PLAIN = {"resource_type": "session", "resource_id": "s/ß", "name": "helpful", "score": 1}


def add(server: RunningServer, **said: Any) -> str:
    reply = httpx2.post(f"{server.url}/v1/scores", json=PLAIN | said)
    assert reply.status_code == 201, reply.text
    made: str = reply.json()["data"]["id"]
    assert reply.json() == {"data": {"id": made}}
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Five scores, in this order: of a session 1 and -0.5, of a trace 0.25, of a span 2, of another session 3."""
    running = start_server(tmp_path_factory.mktemp("scores") / "agentmark.db")
    post(running.url, span("t", "root", session__id="s/ß"))
    add(running, id="1", label="yes", reason="It helped.", source="human")
    add(running, id="2", score=-0.5, name="polite")
    add(running, id="3", score=0.25, resource_type="trace", resource_id=TRACE.upper())
    add(running, id="4", score=2, resource_type="span", resource_id=SPAN, trace_id=TRACE)
    add(running, id="5", score=3, resource_id="not there yet")
    yield running
    running.stop()


def ids(server: RunningServer, **params: Any) -> list[str]:
    return [score["id"] for score in server.get("/v1/scores", **params)["data"]]


def test_fields(server: RunningServer) -> None:
    """A score says all that was sent, and when it came; what was not sent is null."""
    score = server.get("/v1/scores/1")["data"]
    assert score.pop("created_at").endswith("Z")
    said = PLAIN | {"id": "1", "trace_id": None, "label": "yes", "reason": "It helped.", "source": "human"}
    assert score == said
    of_trace, of_span = (server.get(f"/v1/scores/{id_}")["data"] for id_ in "34")
    assert (of_trace["resource_id"], of_trace["trace_id"], of_trace["source"]) == (TRACE, TRACE, "api")
    assert (of_span["resource_id"], of_span["trace_id"], of_span["label"]) == (SPAN, TRACE, None)


def test_a_list(server: RunningServer) -> None:
    """Scores come with the latest first, or the other way round, in any slices."""
    assert ids(server) == ["5", "4", "3", "2", "1"]
    assert ids(server, sort_order="asc", sort_by="created_at") == ["1", "2", "3", "4", "5"]
    assert ids(server, limit=2, offset=1) == ["4", "3"]
    for order in ("asc", "desc"):
        walked: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(3):
            body = server.get("/v1/scores", limit=2, sort_order=order, **cursor)
            assert body["pagination"]["total"] == 5
            walked += [score["id"] for score in body["data"]]
            cursor = {"cursor": body["pagination"]["next_cursor"]}
        assert (walked, cursor["cursor"]) == (ids(server, sort_order=order), None)


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"resource_type": "session"}, "521"),
    ({"resource_type": ["trace", "span"]}, "43"),
    ({"resource_id": "s/ß"}, "21"),
    ({"trace_id": TRACE}, "43"),
    ({"name": "polite"}, "2"),
    ({"source": "human"}, "1"),
    ({"min_score": 1}, "541"),
    ({"max_score": 0.25}, "32"),
    ({"min_score": 0, "max_score": 1, "name": "helpful"}, "31"),
    ({"start_date": "2020-01-01"}, "54321"),
    ({"end_date": "2020-01-01"}, ""),
    ({"name": "help"}, ""),
]


@pytest.mark.parametrize(("filters", "found"), FILTERS)
def test_filters(server: RunningServer, filters: dict[str, Any], found: str) -> None:
    """All filters must hold, exactly; of a repeated one any value."""
    body = server.get("/v1/scores", **filters)
    assert "".join(score["id"] for score in body["data"]) == found
    assert body["pagination"]["total"] == len(found)


def test_of_a_session(server: RunningServer) -> None:
    """A session shows its own scores, the latest first, and none of its traces'."""
    session = server.get("/v1/sessions/s%2F%C3%9F")["data"]
    assert [score["id"] for score in session["scores"]] == ["2", "1"]
    assert session["scores"][1] == server.get("/v1/scores/1")["data"]


def test_an_id_of_ones_own(shared_server: RunningServer) -> None:
    """Sent again under its id, a score makes no second one, replaces what it said, and keeps its place in time."""
    first = add(shared_server, id="own/1", name="own")
    before = shared_server.get("/v1/scores/own%2F1")["data"]
    assert first == add(shared_server, id="own/1", name="own", score=7) == "own/1"
    [now] = shared_server.get("/v1/scores", name="own")["data"]
    assert now == before | {"score": 7}
    without = {add(shared_server, name="without") for _ in range(2)}
    assert len(without) == 2
    assert set(ids(shared_server, name="without")) == without


def test_deleted(shared_server: RunningServer) -> None:
    """A deleted score is gone; what is not there is a 404."""
    made = add(shared_server, name="short-lived")
    address = f"{shared_server.url}/v1/scores/{made}"
    gone = httpx2.delete(address)
    assert (gone.status_code, gone.json()) == (200, {"data": {"id": made}})
    for reply in (httpx2.get(address), httpx2.delete(address)):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert ids(shared_server, name="short-lived") == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"score": "high"}, "score"),
    ({"score": None}, "score"),
    ({"name": ""}, "name"),
    ({"resource_type": "user"}, "resource_type"),
    ({"resource_type": "trace"}, "32 hexadecimal digits"),
    ({"resource_type": "span", "resource_id": SPAN}, "trace_id"),
    ({"resource_type": "span", "resource_id": TRACE, "trace_id": TRACE}, "16 hexadecimal digits"),
    ({"trace_id": TRACE}, "trace_id is for spans"),
    ({"resource_id": ""}, "resource_id"),
    ({"color": "red"}, "color"),
]


@pytest.mark.parametrize(("said", "place"), WRONG)
def test_wrong_scores(shared_server: RunningServer, said: dict[str, Any], place: str) -> None:
    """A score with a wrong or an unknown field is a 400 that names it."""
    reply = httpx2.post(f"{shared_server.url}/v1/scores", json=PLAIN | said)
    assert reply.status_code == 400
    assert place in reply.json()["error"]["message"]


def test_what_is_no_score(shared_server: RunningServer) -> None:
    """A body that is no object, no JSON or no finite number is a 400 in the envelope."""
    for body in (b"", b"{", b"[]", b'"a"', b'{"resource_id": "a", "name": "n", "score": NaN}', b"[{}, {}]"):
        reply = httpx2.post(
            f"{shared_server.url}/v1/scores", content=body, headers={"Content-Type": "application/json"}
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_parameter"), body


@pytest.mark.parametrize("query", ["sort_by=name", "resource_type=user", "min_score=a", "q=1", "cursor=x"])
def test_wrong_parameters(server: RunningServer, query: str) -> None:
    """An unknown parameter or a wrong value is a 400 that names it."""
    reply = httpx2.get(f"{server.url}/v1/scores?{query}")
    assert reply.status_code == 400
    assert query.partition("=")[0] in reply.json()["error"]["message"]


def of(id_: str, resource_type: Any, resource_id: str, trace: str | None = None) -> Score:
    return Score(id_, resource_type, resource_id, trace, "n", 1.0, None, f"reason of {id_}", "api", 1)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_scores_go_with_what_they_are_of(engine: Engine) -> None:
    """A score goes with its session, trace or span, and stays when others go or all is derived anew."""
    shared, alone, other = (trace_id(name).hex() for name in ("shared", "alone", "other"))
    with temporary(engine) as store:
        spans = [
            span("shared", "job 1", session__id="gone"),
            span("shared", "job 2", session__id="kept"),
            span("alone", "root", session__id="gone"),
            call("other", "root", session__id="kept"),
        ]
        store.append(APP, received(*spans))
        for score in (
            of("session", "session", "gone"),
            of("kept session", "session", "kept"),
            of("alone", "trace", alone, alone),
            of("alone span", "span", span_id("alone/root").hex(), alone),
            of("shared", "trace", shared, shared),
            of("shared span", "span", span_id("shared/job 1").hex(), shared),
            of("kept span", "span", span_id("shared/job 2").hex(), shared),
            of("other", "trace", other, other),
        ):
            store.put_score(APP, score)
        store.rebuild()
        assert store.list_scores(APP, ScoreQuery(), Slice(limit=1)).total == 8
        store.forget(APP, SessionSelector("gone"))
        left = {score.id for score in store.list_scores(APP, ScoreQuery(), EVERYTHING).items}
        assert left == {"kept session", "shared", "kept span", "other"}
        store.forget(APP, TraceSelector(trace_id("shared")))
        left = {score.id for score in store.list_scores(APP, ScoreQuery(), EVERYTHING).items}
        assert left == {"kept session", "other"}
        assert store.list_scores("another app", ScoreQuery(), EVERYTHING).items == []
