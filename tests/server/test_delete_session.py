"""DELETE /v1/sessions/{id} and /v1/traces/{id}."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from conftest import RunningServer
from support.spans import call, pairs, post, span, trace_id


def delete(server: RunningServer, path: str) -> httpx2.Response:
    return httpx2.delete(f"{server.url}/v1/{path}")


def status(server: RunningServer, path: str) -> int:
    return httpx2.get(f"{server.url}/v1/{path}").status_code


def test_session(shared_server: RunningServer) -> None:
    """The answer says how many spans went; then the session is in no answer, and to delete it again a 404."""
    session_id = f"del/{uuid4()}"
    path = f"sessions/{quote(session_id, safe='')}"
    for n in range(3):
        root = span(f"{session_id}/{n}", "a", session__id=session_id, user__id=session_id)
        post(shared_server.url, root, span(f"{session_id}/{n}", "b", "a"))
    reply = delete(shared_server, path)
    assert (reply.status_code, reply.json()) == (200, {"data": {"id": session_id, "deleted_spans": 6}})
    assert status(shared_server, path) == status(shared_server, f"{path}/export") == 404
    assert status(shared_server, f"traces/{trace_id(f'{session_id}/0').hex()}") == 404
    for question in ({"user_id": session_id}, {"search": session_id[4:]}):
        assert shared_server.get("/v1/sessions", **question)["data"] == []
    assert delete(shared_server, path).status_code == 404


def test_trace(shared_server: RunningServer) -> None:
    """A deleted trace goes from its session, which loses what it added and stays; the last one takes it along."""
    session_id = f"traces-{uuid4()}"
    for n in range(2):
        post(
            shared_server.url, span(f"{session_id}/{n}", "a", session__id=session_id, agentmark__tags=f'["t{n}"]')
        )
    first, second = (trace_id(f"{session_id}/{n}").hex() for n in range(2))
    reply = delete(shared_server, f"traces/{first.upper()}")
    assert (reply.status_code, reply.json()) == (200, {"data": {"id": first, "deleted_spans": 1}})
    session = shared_server.get(f"/v1/sessions/{session_id}")["data"]
    assert (session["trace_count"], session["tags"]) == (1, ["t1"])
    assert delete(shared_server, f"traces/{first}").status_code == 404
    assert delete(shared_server, f"traces/{second}").status_code == 200
    assert status(shared_server, f"sessions/{session_id}") == 404


def test_shared_trace(shared_server: RunningServer) -> None:
    """Of a trace that serves several sessions a deleted session takes what it owns."""
    one, two = f"one-{uuid4()}", f"two-{uuid4()}"
    post(
        shared_server.url,
        span(one, "worker"),
        span(one, "job 1", "worker", start_ms=1, session__id=one),
        span(one, "job 2", "worker", start_ms=2, session__id=two),
    )
    assert delete(shared_server, f"sessions/{two}").json()["data"]["deleted_spans"] == 1
    [trace] = shared_server.get(f"/v1/sessions/{one}")["data"]["traces"]
    assert (trace["span_count"], trace["session_ids"]) == (2, [one])


def test_late_spans(shared_server: RunningServer) -> None:
    """Spans of what was deleted that come late, or again, are counted as rejected; the others are stored."""
    session_id, other = f"late-{uuid4()}", f"other-{uuid4()}"
    spans = [span(f"{session_id}/{n}", "a", session__id=session_id) for n in range(2)]
    post(shared_server.url, *spans)
    delete(shared_server, f"sessions/{session_id}")
    new = span(f"{session_id}/new", "a", session__id=session_id)
    reply = post(
        shared_server.url, *spans, new, span(f"{session_id}/0", "late", "a"), span(other, "a", session__id=other)
    )
    told = ExportTraceServiceResponse.FromString(reply.content).partial_success
    assert told.rejected_spans == 4
    assert "deleted" in told.error_message
    assert status(shared_server, f"sessions/{session_id}") == 404
    assert status(shared_server, f"sessions/{other}") == 200


@pytest.mark.parametrize(
    "path", ["sessions/nobody%2Fhere", f"traces/{'0' * 32}", "traces/xyz", "traces/%2F", f"traces/{'é' * 32}"]
)
def test_unknown(shared_server: RunningServer, path: str) -> None:
    """What is not there is a 404, and is not remembered as deleted."""
    reply = delete(shared_server, path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_unknown_is_not_refused_later(shared_server: RunningServer) -> None:
    """A session that was not there when it was to be deleted can come."""
    session_id = f"yet-to-come-{uuid4()}"
    assert delete(shared_server, f"sessions/{session_id}").status_code == 404
    assert post(shared_server.url, span(session_id, "a", session__id=session_id)).content == b""
    assert status(shared_server, f"sessions/{session_id}") == 200


def test_wrong_parameter(shared_server: RunningServer) -> None:
    """A parameter is a 400 that names it, and nothing is deleted."""
    session_id = f"kept-{uuid4()}"
    post(shared_server.url, span(session_id, "a", session__id=session_id))
    reply = delete(shared_server, f"sessions/{session_id}?force=true")
    assert reply.status_code == 400
    assert "force" in reply.json()["error"]["message"]
    assert status(shared_server, f"sessions/{session_id}") == 200


def said_by(session: int, version: int) -> list[Span]:
    """Spans of a session in which everything that can be said holds words of its own."""
    name = f"q{session:04}z"
    said: dict[str, Any] = {
        "session__id": f"session-{name}",
        "user__id": f"user-{name}",
        "agentmark__session_name": f"named {name} v{version} " + "x" * (session * 37 % 300),
        "agentmark__tags": f'["tag-{name}"]',
        "agentmark__metadata__plan": f"plan-{name}",
        "agentmark__input": f"asked {name} " * (1 + session * 7 % 20),
        "agentmark__output": f"answered {name}",
        "gen_ai__request__model": f"model-{name}",
        "gen_ai__agent__name": f"agent-{name}",
    }
    one = call(name, f"span {name}", start_ms=version, end_ms=version + 1, **said)
    one.events.add(name=f"event {name}", attributes=pairs({"told": f"told {name}"}))
    return [one, span(name, f"below {name} {version}", f"span {name}", start_ms=version, end_ms=version + 1)]


def files_of(server: RunningServer) -> bytes:
    """Every byte of every file of the database."""
    return b"".join(
        one.read_bytes() for one in Path(server.db).parent.iterdir() if one.name.startswith(server.db.name)
    )


def chunks_of(server: RunningServer, names: set[str]) -> Iterator[bytes]:
    """What is kept of the spans of sessions, compressed."""
    with closing(sqlite3.connect(f"file:{server.db}?mode=ro", uri=True)) as connection:
        for name in names:
            rows = connection.execute(
                "SELECT facts, contents FROM chunk JOIN trace ON chunk.id >> 32 = trace.id WHERE trace_id = ?",
                (trace_id(name),),
            )
            yield from (blob for row in rows for blob in row)


def test_nothing_is_left_in_the_files(server: RunningServer) -> None:
    """After deletions no file of the database holds a word, an id or a compressed span of what was deleted.

    Rows were written in any order, several times, and moved from page to page before.
    """
    random, everything = Random(4), list(range(300))  # noqa: S311  # no secret
    for version in range(3):
        random.shuffle(everything)
        for first in range(0, len(everything), 60):
            some = everything[first : first + 60]
            assert post(server.url, *(one for n in some for one in said_by(n, version))).status_code == 200
    httpx2.patch(f"{server.url}/v1/sessions/session-q0007z", json={"name": "edited q0007z", "tags": ["by q0007z"]})
    while server.get("/v1/sessions", q="nothing")["pagination"].get("index_lag_ms"):
        time.sleep(0.1)
    gone = {7, *random.sample(everything, 120)}
    names = {f"q{n:04}z" for n in gone}
    for name in names:
        score = {"resource_id": f"session-{name}", "resource_type": "session", "name": name, "score": 1}
        assert httpx2.post(f"{server.url}/v1/scores", json=score).status_code == 201
    compressed = list(chunks_of(server, names))
    assert len(compressed) > 2 * len(gone)
    before = files_of(server)
    assert all(name.encode() in before for name in names)
    assert all(blob in before for blob in compressed)
    for number, name in enumerate(sorted(names)):
        path = f"sessions/session-{name}" if number % 3 else f"traces/{trace_id(name).hex()}"
        assert delete(server, path).status_code == 200
    for _ in range(100):
        left = left_of(server, names, compressed)
        if not left:
            break
        time.sleep(0.1)
    assert left == []
    kept = files_of(server)
    assert all(f"session-q{n:04}z".encode() in kept for n in everything if n not in gone)
    assert server.get("/v1/sessions", limit=1000)["pagination"]["total"] == len(everything) - len(gone)


def left_of(server: RunningServer, names: set[str], compressed: list[bytes]) -> list[bytes]:
    content = files_of(server)
    ids = [trace_id(name) for name in names]
    return [one for one in [*(name.encode() for name in names), *ids, *compressed] if one in content]


def test_readers_do_not_keep_it(server: RunningServer) -> None:
    """Where somebody reads the file meanwhile, it is clean soon after that, and nobody waits for it."""
    post(server.url, *said_by(1, 0), *said_by(2, 0))
    with closing(sqlite3.connect(f"file:{server.db}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM span").fetchone()
        started = time.monotonic()
        assert delete(server, "sessions/session-q0001z").status_code == 200
        assert post(server.url, *said_by(3, 0)).status_code == 200
        assert time.monotonic() - started < 5
        assert b"q0001z" in files_of(server)
    for _ in range(100):
        if b"q0001z" not in files_of(server):
            return
        time.sleep(0.1)
    raise AssertionError
