"""GET /v1/sessions/{id}/conversation."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest

from conftest import RunningServer
from support.spans import call, post, span, trace_id

NUMBERS = (
    *("call_count", "error_count", "input_tokens", "output_tokens", "total_tokens", "cached_tokens"),
    *("reasoning_tokens", "unpriced_calls", "unmetered_calls"),
)
PROGRAMS = sorted((Path(__file__).parent / "conventions").glob("*.json"))


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def exchange(
    session: str,
    number: int,
    asked: str,
    got: str | None = None,
    *,
    start_ms: int,
    length_ms: int = 500,
    **more: Any,
) -> list[Any]:
    """A trace of a session: a root, and a call in it that answers (or, without an answer, fails)."""
    trace = f"{session}/{number}"
    messages = [said("system", "Be brief."), said("user", asked)]
    answer = {"gen_ai__output__messages": json.dumps([said("assistant", got)])} if got is not None else {}
    usage = {"gen_ai__usage__input_tokens": 10, "gen_ai__usage__output_tokens": 3} if got is not None else {}
    times = {"start_ms": start_ms, "end_ms": start_ms + length_ms, "error": got is None}
    return [
        span(trace, "turn", session__id=session, **times),
        call(
            trace,
            "chat",
            "turn",
            gen_ai__request__model="gpt-4o-mini",
            gen_ai__input__messages=json.dumps(messages),
            **times,
            **answer,
            **usage,
            **more,
        ),
    ]


def conversation(server: RunningServer, session: str, **parameters: Any) -> Any:
    return server.get(f"/v1/sessions/{quote(session, safe='')}/conversation", **parameters)


def words(parts: list[dict[str, Any]]) -> str:
    return " ".join(part["content"] for part in parts)


def walk(server: RunningServer, session: str, limit: int) -> list[dict[str, Any]]:
    """The turns of all pages, by cursor."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while cursor is not None:
        body = conversation(server, session, limit=limit, **cursor)
        found += body["data"]["turns"]
        following = body["pagination"]["next_cursor"]
        cursor = {"cursor": following} if following else None
    return found


def session_ids(server: RunningServer) -> set[str]:
    return {session["id"] for session in server.get("/v1/sessions", limit=1000)["data"]}


def test_a_session_in_turns(shared_server: RunningServer) -> None:
    """A session comes with its own fields, and with what was said, done and answered, turn by turn."""
    session = f"turns-{uuid4()}"
    post(shared_server.url, *exchange(session, 2, "And then?", "Home.", start_ms=12_500))
    post(shared_server.url, *exchange(session, 1, "Where to?", "North.", start_ms=0))
    body = conversation(shared_server, session)
    data = body["data"]
    assert body["pagination"] == {"total": 2, "limit": 50, "offset": 0, "next_cursor": None}
    whole = shared_server.get(f"/v1/sessions/{session}")["data"]
    beside = {"traces", "scores", "status"}
    assert {key: data[key] for key in whole if key not in beside} == {
        key: value for key, value in whole.items() if key not in beside
    }
    one, two = data["turns"]
    assert (one["trace_id"], two["trace_id"]) == tuple(trace_id(f"{session}/{n}").hex() for n in (1, 2))
    assert [(words(turn["user"]), words(turn["answer"])) for turn in (one, two)] == [
        ("Where to?", "North."),
        ("And then?", "Home."),
    ]
    assert (words(one["system"]), two["system"]) == ("Be brief.", [])
    assert (one["gap_ms"], two["gap_ms"]) == (None, 12_000.0)
    assert data["active_ms"] == 1000.0
    assert (data["gap_count"], [gap["duration_ms"] for gap in data["gaps"]]) == (1, [12_000.0])


def test_pages_are_the_whole(shared_server: RunningServer) -> None:
    """However it is paged, each turn is as it is in the whole, with its gap, instructions and new words."""
    session = f"pages-{uuid4()}"
    # The first runs beside the next two; the third fails, and its words are sent again by the fourth.
    post(shared_server.url, *exchange(session, 0, "zero", "0", start_ms=0, length_ms=9_000))
    post(shared_server.url, *exchange(session, 1, "one", "1", start_ms=1_000))
    post(shared_server.url, *exchange(session, 2, "two", "2", start_ms=10_000))
    post(shared_server.url, *exchange(session, 3, "three", None, start_ms=11_000))
    again = json.dumps([said("user", "three"), said("user", "four")])
    post(shared_server.url, *exchange(session, 4, "", "4", start_ms=13_000)[:1])
    post(
        shared_server.url,
        call(
            f"{session}/4",
            "chat",
            "turn",
            start_ms=13_000,
            end_ms=13_500,
            gen_ai__input__messages=again,
            gen_ai__output__messages=json.dumps([said("assistant", "4")]),
        ),
    )
    whole = conversation(shared_server, session)["data"]["turns"]
    assert [words(turn["user"]) for turn in whole] == ["zero", "one", "two", "three", "four"]
    assert [turn["gap_ms"] for turn in whole] == [None, 0.0, 1000.0, 500.0, 1500.0]
    for limit in (1, 2, 3):
        assert walk(shared_server, session, limit) == whole
        by_offset = [
            conversation(shared_server, session, limit=limit, offset=n)["data"]["turns"] for n in range(5)
        ]
        assert by_offset == [whole[n : n + limit] for n in range(5)]


def test_what_turns_count_is_what_the_session_counts(shared_server: RunningServer) -> None:
    """The turns of all pages add up to the session: tokens, cost, calls and errors."""
    session = f"sums-{uuid4()}"
    post(shared_server.url, *exchange(session, 0, "a", "1", start_ms=0))
    post(shared_server.url, *exchange(session, 1, "b", None, start_ms=1_000))
    # A gateway records the call of the third once more, and states what it cost.
    once, _ = exchange(session, 2, "c", "3", start_ms=2_000)
    outer = exchange(session, 2, "c", "3", start_ms=2_000, gen_ai__response__id="r")[1]
    copy = call(
        f"{session}/2",
        "gateway",
        "chat",
        start_ms=2_000,
        end_ms=2_500,
        gen_ai__request__model="gpt-4o-mini",
        gen_ai__response__id="r",
        gen_ai__usage__input_tokens=10,
        gen_ai__usage__output_tokens=3,
        gen_ai__usage__cost=0.5,
    )
    post(shared_server.url, once, outer, copy)
    data = conversation(shared_server, session)["data"]
    turns = walk(shared_server, session, 1)
    assert {key: sum(turn[key] for turn in turns) for key in NUMBERS} == {key: data[key] for key in NUMBERS}
    costs = [turn["total_cost"] for turn in turns]
    assert costs[1] is None
    assert sum(cost for cost in costs if cost is not None) == pytest.approx(data["total_cost"])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_recorded_programs_add_up(shared_server: RunningServer, program: Path) -> None:
    """Of every recorded program, each session's turns add up to what the session counts."""
    file = json.loads(program.read_text(encoding="utf-8"))
    before = session_ids(shared_server)
    for route, key in (("traces", "requests"), ("logs", "logs")):
        for request in file.get(key, []):
            assert httpx2.post(f"{shared_server.url}/v1/{route}", json=request).status_code == 200
    ids = session_ids(shared_server) - before
    for session in ids:
        data = conversation(shared_server, session, limit=1000)["data"]
        assert data["turns"]
        for key in NUMBERS:
            assert sum(turn[key] for turn in data["turns"]) == data[key], (session, key)


def test_a_trace_of_two_sessions(shared_server: RunningServer) -> None:
    """Each session tells its own share of a trace."""
    one, two = f"one-{uuid4()}", f"two-{uuid4()}"
    jobs = []
    for n, session in enumerate((one, two)):
        options = {"start_ms": n * 100 + 1, "end_ms": n * 100 + 50}
        given = json.dumps([said("user", f"for {n}")])
        jobs += [
            span(one, f"job {n}", "worker", session__id=session, **options),
            call(one, f"chat {n}", f"job {n}", gen_ai__input__messages=given, **options),
        ]
    post(shared_server.url, span(one, "worker", end_ms=300), *jobs)
    for n, session in enumerate((one, two)):
        [turn] = conversation(shared_server, session)["data"]["turns"]
        assert words(turn["user"]) == f"for {n}"


def test_the_later_version_of_a_span_is_told(shared_server: RunningServer) -> None:
    """A span that is sent again, in another request, is told once, as it was in the end."""
    session = f"again-{uuid4()}"
    root, running = exchange(session, 0, "Hello", None, start_ms=0)
    running.end_time_unix_nano = 0
    running.status.code = 0
    post(shared_server.url, running)
    post(shared_server.url, *exchange(session, 0, "Hello", "Hi.", start_ms=0))
    post(shared_server.url, running, root)
    [turn] = walk(shared_server, session, 1)
    assert words(turn["answer"]) == "Hi."
    assert not turn["running"]


def test_long_texts_are_cut_where_asked(shared_server: RunningServer) -> None:
    """`content_limit` bounds every text; what was cut says how long it is."""
    session = f"long-{uuid4()}"
    post(shared_server.url, *exchange(session, 0, "x" * 30_000, "y" * 50, start_ms=0))
    [part] = conversation(shared_server, session)["data"]["turns"][0]["user"]
    assert (len(part["content"]), part["truncated"], part["size"]) == (20_000, True, 30_000)
    [turn] = conversation(shared_server, session, content_limit=10)["data"]["turns"]
    assert (len(turn["user"][0]["content"]), turn["answer"][0]["size"]) == (10, 50)
    [turn] = conversation(shared_server, session, content_limit=30_000)["data"]["turns"]
    assert turn["user"] == [{"type": "text", "content": "x" * 30_000}]


HOSTILE = [
    "\x1b]0;owned\x07",
    "</script><script>alert(1)</script>",
    "\ud83d",
    "[" * 5000,
    '{"role": ' * 300,
    "\x00\u202e",
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_content_is_data(shared_server: RunningServer, content: str) -> None:
    """Whatever a message holds comes out as the text that it was, in JSON."""
    session = f"hostile-{uuid4()}"
    text = content.encode("utf-8", "replace").decode()
    post(shared_server.url, *exchange(session, 0, text, text, start_ms=0))
    [turn] = conversation(shared_server, session)["data"]["turns"]
    assert (words(turn["user"]), words(turn["answer"])) == (text, text)


@pytest.mark.parametrize("value", ["[" * 9000, '[{"role": "user"', "null", '{"a": [1, {}]}', '"\\ud800"', ""])
def test_broken_messages_break_nothing(shared_server: RunningServer, value: str) -> None:
    """An attribute that should hold messages and does not is no error of the server's."""
    session = f"broken-{uuid4()}"
    post(
        shared_server.url,
        call(session, "chat", gen_ai__input__messages=value, gen_ai__output__messages=value, session__id=session),
    )
    assert len(conversation(shared_server, session)["data"]["turns"]) == 1


def test_any_id(shared_server: RunningServer) -> None:
    """An id may hold any characters."""
    session = f"a/b?c#d%2F {uuid4()} 🦊"
    post(shared_server.url, *exchange(session, 0, "Hello", "Hi.", start_ms=0))
    assert conversation(shared_server, session)["data"]["id"] == session


def test_unknown(shared_server: RunningServer) -> None:
    """A session that is not there is a 404 in the envelope that says so."""
    reply = httpx2.get(f"{shared_server.url}/v1/sessions/nobody%2Fhere/conversation")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"
    assert "nobody/here" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "offset=x", "content_limit=0", "content_limit=1000001", "cursor=!", "q=1"]
)
def test_wrong_parameters(shared_server: RunningServer, query: str) -> None:
    """A wrong parameter is a 400 that names it."""
    session = "wrong-parameters"
    post(shared_server.url, span(session, "a", session__id=session))
    reply = httpx2.get(f"{shared_server.url}/v1/sessions/{session}/conversation?{query}")
    assert reply.status_code == 400
    assert query.split("=", maxsplit=1)[0] in reply.json()["error"]["message"]


def test_behind_the_last_page(shared_server: RunningServer) -> None:
    """A page behind the end is empty, and says how many traces there are."""
    session = f"behind-{uuid4()}"
    post(shared_server.url, *exchange(session, 0, "Hello", "Hi.", start_ms=0))
    body = conversation(shared_server, session, offset=5)
    assert (body["data"]["turns"], body["pagination"]["total"]) == ([], 1)


def test_the_description_is_whole(shared_server: RunningServer) -> None:
    """The API's description has every shape that an answer is made of, with every field."""
    schemas = shared_server.get("/v1/openapi.json")["components"]["schemas"]
    session = f"described-{uuid4()}"
    post(shared_server.url, *exchange(session, 0, "Hello", "Hi.", start_ms=0))
    [turn] = conversation(shared_server, session)["data"]["turns"]
    assert turn.keys() == schemas["Turn"]["properties"].keys()
    assert turn["steps"][0].keys() == schemas["Step"]["properties"].keys()
    assert schemas["SessionWithTurns"]["properties"]["turns"]["items"] == {"$ref": "#/components/schemas/Turn"}
