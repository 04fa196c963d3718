"""PATCH /v1/sessions/{id}."""

import sys
from collections.abc import Callable
from subprocess import run
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from conftest import RunningServer
from support.spans import post, span


def patch(server: RunningServer, session_id: str, **body: Any) -> Any:
    """The session as the answer shows it, which is as it is read afterwards, in the list too."""
    reply = httpx2.patch(f"{server.url}/v1/sessions/{session_id}", json=body)
    assert reply.status_code == 200, reply.text
    edited = reply.json()["data"]
    read = server.get(f"/v1/sessions/{session_id}")["data"]
    assert {key: read[key] for key in edited} == edited
    [listed] = [one for one in server.get("/v1/sessions", limit=1000)["data"] if one["id"] == session_id]
    assert listed == edited
    return edited


def fresh(server: RunningServer, **attributes: Any) -> str:
    session_id = f"patched-{uuid4()}"
    post(server.url, span(session_id, "a", session__id=session_id, **attributes))
    return session_id


def test_name(shared_server: RunningServer) -> None:
    """A name that was set wins over those of spans, of later ones too, and is found by `name`."""
    session_id = fresh(shared_server, agentmark__session_name="by span")
    name = f"By hand {session_id}"
    assert patch(shared_server, session_id, name=f"  {name} ")["name"] == name
    later = {"session__id": session_id, "agentmark__session_name": "by a later span"}
    post(shared_server.url, span(f"{session_id}/2", "b", start_ms=5000, end_ms=6000, **later))
    session = shared_server.get(f"/v1/sessions/{session_id}")["data"]
    assert (session["name"], session["trace_count"]) == (name, 2)
    assert [one["id"] for one in shared_server.get("/v1/sessions", name=name)["data"]] == [session_id]
    assert patch(shared_server, session_id, name="a smaller one")["name"] == "a smaller one"


@pytest.mark.parametrize("nothing", [None, "", "   "])
def test_name_taken_away(shared_server: RunningServer, nothing: str | None) -> None:
    """Without the name that was set, the name of the spans is there again."""
    session_id = fresh(shared_server, agentmark__session_name="by span")
    patch(shared_server, session_id, name="by hand", tags=["kept"])
    edited = patch(shared_server, session_id, name=nothing)
    assert (edited["name"], edited["tags"]) == ("by span", ["kept"])
    assert patch(shared_server, fresh(shared_server), name=nothing)["name"] is None


def test_tags(shared_server: RunningServer) -> None:
    """Tags that were set take the place of those set before; those of the spans stay beside them."""
    session_id = fresh(shared_server, agentmark__tags='["span"]')
    assert patch(shared_server, session_id, tags=["b", "a", "b"])["tags"] == ["a", "b", "span"]
    assert patch(shared_server, session_id, tags=["c"])["tags"] == ["c", "span"]
    assert patch(shared_server, session_id, name="x")["tags"] == ["c", "span"]
    post(shared_server.url, span(f"{session_id}/2", "b", session__id=session_id, agentmark__tags='["late"]'))
    assert patch(shared_server, session_id)["tags"] == ["c", "late", "span"]
    assert patch(shared_server, session_id, tags=[])["tags"] == ["late", "span"]
    assert patch(shared_server, session_id, tags=None)["tags"] == ["late", "span"]


def test_before_it_comes_back(shared_server: RunningServer) -> None:
    """An edit holds for a session that went, as its spans became another's, and came back."""
    session_id, other = f"back-{uuid4()}", f"other-{uuid4()}"
    post(shared_server.url, span(session_id, "a", "root", start_ms=1, gen_ai__conversation__id=session_id))
    patch(shared_server, session_id, name="by hand")
    post(shared_server.url, span(session_id, "root", session__id=other))
    assert httpx2.get(f"{shared_server.url}/v1/sessions/{session_id}").status_code == 404
    assert httpx2.patch(f"{shared_server.url}/v1/sessions/{session_id}", json={"name": "x"}).status_code == 404
    post(shared_server.url, span(f"{session_id}/2", "a", session__id=session_id))
    assert shared_server.get(f"/v1/sessions/{session_id}")["data"]["name"] == "by hand"


def test_survives(launch: Callable[..., RunningServer]) -> None:
    """What was set is there after the server stopped, and after everything was derived anew."""
    first = launch()
    session_id = fresh(first, agentmark__session_name="by span")
    edited = patch(first, session_id, name="by hand", tags=["t"])
    first.stop()
    again = launch()
    assert again.get(f"/v1/sessions/{session_id}")["data"].items() >= edited.items()
    again.stop()
    run([sys.executable, "-m", "agentmark_cli", "db", "rebuild", "--db", str(again.db)], check=True)
    assert launch().get(f"/v1/sessions/{session_id}")["data"].items() >= edited.items()


def test_gone_with_the_session(shared_server: RunningServer) -> None:
    """With a session its edits are deleted: under the old id a new one has none of them."""
    for path in ("sessions", "traces"):
        session_id = f"gone-{uuid4()}"
        trace = span(session_id, "a", session__id=session_id)
        post(shared_server.url, trace)
        patch(shared_server, session_id, name="by hand", tags=["t"])
        gone = session_id if path == "sessions" else trace.trace_id.hex()
        assert httpx2.delete(f"{shared_server.url}/v1/{path}/{gone}").status_code == 200
        new = span(f"{session_id}/2", "a", start_ms=10**9, end_ms=10**9 + 1, session__id=session_id)
        new.start_time_unix_nano = new.end_time_unix_nano = 4_000_000_000 * 10**9
        post(shared_server.url, new)
        session = shared_server.get(f"/v1/sessions/{session_id}")["data"]
        assert (session["name"], session["tags"]) == (None, [])


def test_unknown(shared_server: RunningServer) -> None:
    """A session that is not there is a 404, and is not made."""
    reply = httpx2.patch(f"{shared_server.url}/v1/sessions/nobody%2Fhere", json={"name": "x"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert httpx2.get(f"{shared_server.url}/v1/sessions/nobody%2Fhere").status_code == 404


WRONG: list[tuple[bytes, str]] = [
    (b'{"color": "red"}', "color"),
    (b'{"name": 5}', "name"),
    (b'{"name": "' + b"x" * 1001 + b'"}', "name"),
    (b'{"name": "\\ud800"}', "name"),
    (b'{"tags": "x"}', "tags"),
    (b'{"tags": [""]}', "tags"),
    (b'{"tags": [1]}', "tags"),
    (b"[]", ""),
    (b"{", "JSON"),
    (b"", ""),
]


@pytest.mark.parametrize(("body", "place"), WRONG, ids=range(len(WRONG)))
def test_wrong_body(shared_server: RunningServer, body: bytes, place: str) -> None:
    """An unknown field, a value of another type and what is no JSON object are a 400 that names the place."""
    session_id = fresh(shared_server)
    headers = {"Content-Type": "application/json"}
    reply = httpx2.patch(f"{shared_server.url}/v1/sessions/{session_id}", content=body, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_parameter")
    assert place in reply.json()["error"]["message"]


def test_wrong_parameter(shared_server: RunningServer) -> None:
    """A parameter in the address is a 400 that names it."""
    reply = httpx2.patch(f"{shared_server.url}/v1/sessions/{fresh(shared_server)}?color=red", json={})
    assert reply.status_code == 400
    assert "color" in reply.json()["error"]["message"]
