"""Whose session a span is in, and what a session takes over from its spans: docs/sessions.md, over HTTP."""

import json
from itertools import permutations
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from conftest import RunningServer
from support.spans import post, span, trace_id


def fresh(name: str) -> str:
    return f"{name}-{uuid4()}"


def session_of(server: RunningServer, session_id: str) -> Any:
    return server.get(f"/v1/sessions/{quote(session_id, safe='')}")["data"]


def is_unknown(server: RunningServer, session_id: str) -> bool:
    return httpx2.get(f"{server.url}/v1/sessions/{quote(session_id, safe='')}").status_code == 404


def share(server: RunningServer, session_id: str) -> int:
    """How many spans of its only trace a session owns."""
    [trace] = session_of(server, session_id)["traces"]
    return int(trace["span_count"])


def also_in(server: RunningServer, session_id: str) -> list[str]:
    [trace] = session_of(server, session_id)["traces"]
    return list(trace["also_in"])


def with_id(message: Span, number: int) -> Span:
    message.span_id = number.to_bytes(8, "big")
    return message


def test_nearest_application_key(shared_server: RunningServer) -> None:
    """A span belongs to the nearest application key on itself or an ancestor, whatever lies further up."""
    t = fresh("nearest")
    post(
        shared_server.url,
        span(t, "root", agentmark__session_id=f"{t}/a"),
        span(t, "below a", "root"),
        # A worse kind of key is nearer, and that decides.
        span(t, "job", "below a", wandb__thread_id=f"{t}/b"),
        span(t, "below b", "job"),
        span(t, "deeper", "below b"),
        span(t, "back", "deeper", session__id=f"{t}/a"),
    )
    assert share(shared_server, f"{t}/a") == 3
    assert share(shared_server, f"{t}/b") == 3


def test_nearest_the_root(shared_server: RunningServer) -> None:
    """Spans without a key above belong to the application key nearest the root, be it late and of a worse kind."""
    t = fresh("fallback")
    post(
        shared_server.url,
        span(t, "root"),
        span(t, "a", "root", start_ms=1),
        span(t, "deep", "a", start_ms=2, agentmark__session_id=f"{t}/deep"),
        span(t, "b", "root", start_ms=9, wandb__thread_id=f"{t}/near"),
    )
    assert share(shared_server, f"{t}/near") == 3
    assert share(shared_server, f"{t}/deep") == 1


TIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rank": ({"key": "session.id", "start_ms": 9, "number": 9}, {"key": "wandb.thread_id"}),
    "start": ({"start_ms": 1, "number": 9}, {"start_ms": 2}),
    "span id": ({"number": 1}, {"number": 2}),
}


@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("winner_first", [True, False])
def test_ties(shared_server: RunningServer, tie: str, winner_first: bool) -> None:
    """Of keys equally near the root the better kind wins, then the earlier span, then the smaller span id."""
    t = fresh("tie")
    spans = []
    # The winner's id is the greater one, so that no comparison of values can pass for the rule.
    for name, how in zip("zy", TIES[tie], strict=True):
        keys = {how.get("key", "session.id"): f"{name}-{t}"}
        made = span(t, name, "root", start_ms=how.get("start_ms", 5), **keys)
        spans.append(with_id(made, how.get("number", 5)))
    post(shared_server.url, span(t, "root"), *(spans if winner_first else reversed(spans)))
    assert share(shared_server, f"z-{t}") == 2
    assert share(shared_server, f"y-{t}") == 1


def test_framework_decides_for_the_trace(shared_server: RunningServer) -> None:
    """Without any application key the framework's key nearest the root owns the whole trace."""
    t = fresh("framework")
    post(
        shared_server.url,
        span(t, "root"),
        span(t, "aside", "root", start_ms=1),
        span(t, "sub-agent aside", "aside", start_ms=2, gen_ai__conversation__id=f"{t}/aside"),
        span(t, "agent", "root", start_ms=5, gen_ai__conversation__id=f"{t}/agent"),
        span(t, "sub-agent", "agent", start_ms=6, gen_ai__conversation__id=f"{t}/sub"),
        span(t, "call", "sub-agent", start_ms=7),
    )
    assert share(shared_server, f"{t}/agent") == 6
    assert also_in(shared_server, f"{t}/agent") == [f"{t}/aside", f"{t}/sub"]
    assert is_unknown(shared_server, f"{t}/sub")
    assert is_unknown(shared_server, f"{t}/aside")


def test_application_beats_framework(shared_server: RunningServer) -> None:
    """An application key anywhere in the trace, be it at a leaf, beats every framework key, be it at the root."""
    t = fresh("beats")
    post(
        shared_server.url,
        span(t, "root", gen_ai__conversation__id=f"{t}/conversation"),
        span(t, "agent", "root", session_id=f"{t}/bare"),
        span(t, "leaf", "agent", session__id=f"{t}/own"),
        resource={"session.id": f"{t}/resource"},
    )
    assert share(shared_server, f"{t}/own") == 3
    assert also_in(shared_server, f"{t}/own") == sorted(
        f"{t}/{key}" for key in ("conversation", "bare", "resource")
    )
    assert all(is_unknown(shared_server, f"{t}/{key}") for key in ("conversation", "bare", "resource"))


def test_worker(shared_server: RunningServer) -> None:
    """A worker's trace gives each of the sessions that it served its own spans, tokens and times, and no more."""
    t = fresh("worker")
    spans = [span(t, "worker", end_ms=10_000)]
    for n in range(30):
        times = {"start_ms": 100 * n, "end_ms": 100 * n + 50}
        spans.append(span(t, f"job {n}", "worker", **times, session__id=f"{t}/{n:02}"))
        tokens = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": n + 1}
        spans.append(span(t, f"call {n}", f"job {n}", **times, **tokens))
    post(shared_server.url, *spans)
    for n in range(30):
        session = session_of(shared_server, f"{t}/{n:02}")
        # The worker's own span goes with the earliest key.
        assert (session["span_count"], session["call_count"]) == (3 if n == 0 else 2, 1)
        assert session["input_tokens"] == n + 1
        assert session["duration_ms"] == (10_000 if n == 0 else 50)
        [trace] = session["traces"]
        assert trace["session_ids"] == [f"{t}/{n:02}" for n in range(30)]
        assert trace["input_tokens"] == n + 1


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join(map(str, order)))
def test_any_order(shared_server: RunningServer, order: tuple[int, ...]) -> None:
    """Spans that come one by one, before their parents and before their keys, end where they belong."""
    t = fresh("order")
    spans = [
        span(t, "root", gen_ai__conversation__id=f"{t}/framework"),
        span(t, "a", "root", session__id=f"{t}/a"),
        span(t, "b", "a", session__id=f"{t}/b"),
        span(t, "leaf", "b"),
    ]
    for place in order:
        post(shared_server.url, spans[place])
    assert share(shared_server, f"{t}/a") == 2
    assert share(shared_server, f"{t}/b") == 2
    assert is_unknown(shared_server, f"{t}/framework")


def test_key_moves_spans(shared_server: RunningServer) -> None:
    """A key that comes late moves the spans below it out of the session in which they were until then."""
    t = fresh("moves")
    post(shared_server.url, span(t, "leaf", "middle"), span(t, "root", session__id=f"{t}/root"))
    # The leaf has no way up to the root yet, and the root's key is the nearest to itself.
    assert share(shared_server, f"{t}/root") == 2
    post(shared_server.url, span(t, "middle", "root", session__id=f"{t}/middle"))
    assert share(shared_server, f"{t}/root") == 1
    assert share(shared_server, f"{t}/middle") == 2


def test_session_that_lost_everything(shared_server: RunningServer) -> None:
    """A framework's session is gone when an application key comes for its only trace."""
    t = fresh("gone")
    post(shared_server.url, span(t, "agent", "root", gen_ai__conversation__id=f"{t}/framework"))
    assert share(shared_server, f"{t}/framework") == 1
    post(shared_server.url, span(t, "root", session__id=f"{t}/own"))
    assert is_unknown(shared_server, f"{t}/framework")
    assert also_in(shared_server, f"{t}/own") == [f"{t}/framework"]


def test_no_key(server: RunningServer) -> None:
    """Without any key a trace is in no session, and one that has a key beside it is not touched by that."""
    post(server.url, span("none", "root", user__id="u"), span("none", "leaf", "root"))
    assert server.get("/v1/sessions")["pagination"]["total"] == 0
    post(server.url, span("other", "root", session__id="s"))
    assert [(one["id"], one["span_count"]) for one in server.get("/v1/sessions")["data"]] == [("s", 1)]


RANKS = (
    "agentmark.session_id",
    "langfuse.session.id",
    "session.id",
    "gen_ai.session.id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "gen_ai.conversation.id",
    "session_id",
)
RESOURCE = "resource"


@pytest.mark.parametrize(("better", "worse"), list(zip(RANKS, [*RANKS[1:], RESOURCE], strict=True)))
def test_ranks(shared_server: RunningServer, better: str, worse: str) -> None:
    """On one span the better kind of key wins, and the other is shown beside it."""
    t = fresh("rank")
    # By value the loser would come first, and by its place among the attributes too.
    keys = {worse: f"a-{t}", better: f"z-{t}"}
    resource = {"session.id": keys.pop(RESOURCE)} if worse == RESOURCE else {}
    post(shared_server.url, span(t, "root", **keys), resource=resource)
    assert also_in(shared_server, f"z-{t}") == [f"a-{t}"]
    assert is_unknown(shared_server, f"a-{t}")


APPLICATION = (
    "agentmark.session_id",
    "agentmark.metadata.session_id",
    "agentmark.metadata.sessionId",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.conversation_id",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.session_id",
    "ai.telemetry.metadata.threadId",
    "lmnr.association.properties.session_id",
    "group_id",
    "mlflow.trace.session",
    "langsmith.metadata.thread_id",
    "langsmith.metadata.session_id",
    "langsmith.metadata.conversation_id",
    "gen_ai.session.id",
    "coding_agent.session.id",
    "wandb.thread_id",
    "mastra.metadata.sessionId",
    "mastra.metadata.threadId",
    "opik.thread_id",
    "$ai_session_id",
)
IN_METADATA = ("session_id", "thread_id", "conversation_id")
FRAMEWORK = ("gen_ai.conversation.id", "gcp.vertex.agent.session_id", "session_id")


def owned_by(server: RunningServer, t: str, attributes: dict[str, Any]) -> None:
    """The keys on a leaf own the whole trace, though a framework's is on its root."""
    root = span(t, "root", gen_ai__conversation__id=f"{t}/framework")
    post(server.url, root, span(t, "leaf", "root", **attributes))
    assert share(server, t) == 2
    assert also_in(server, t) == [f"{t}/framework"]


@pytest.mark.parametrize("key", APPLICATION)
def test_application_keys(shared_server: RunningServer, key: str) -> None:
    """Each vendor's session key is an application key."""
    t = fresh("application")
    owned_by(shared_server, t, {key: t})


@pytest.mark.parametrize("key", IN_METADATA)
def test_keys_in_metadata(shared_server: RunningServer, key: str) -> None:
    """A session id in a JSON object of metadata is an application key."""
    t = fresh("metadata")
    owned_by(shared_server, t, {"metadata": json.dumps({"other": 1, key: t})})


@pytest.mark.parametrize("key", FRAMEWORK)
def test_framework_keys(shared_server: RunningServer, key: str) -> None:
    """Each framework's key makes a session where nothing else does, and loses to one nearer the root."""
    alone, t = fresh("alone"), fresh("framework")
    post(shared_server.url, span(alone, "root"), span(alone, "leaf", "root", **{key: alone}))
    assert share(shared_server, alone) == 2
    root = span(t, "root", gen_ai__conversation__id=t)
    post(shared_server.url, root, span(t, "leaf", "root", **{key: f"{t}/leaf"}))
    assert share(shared_server, t) == 2
    assert also_in(shared_server, t) == [f"{t}/leaf"]


def test_resource_key(shared_server: RunningServer) -> None:
    """A session id on the resource makes a session where no span has one."""
    t = fresh("resource")
    post(shared_server.url, span(t, "root"), span(t, "leaf", "root"), resource={"session.id": t})
    assert share(shared_server, t) == 2


def test_sdk_sets_both(shared_server: RunningServer) -> None:
    """The conversation id that our SDK sets beside its own key makes no second session and is shown nowhere."""
    t = fresh("both")
    post(shared_server.url, span(t, "root", agentmark__session_id=t, gen_ai__conversation__id=t))
    assert also_in(shared_server, t) == []
    assert session_of(shared_server, t)["traces"][0]["session_ids"] == [t]


def test_langsmith_project(shared_server: RunningServer) -> None:
    """`langsmith.trace.session_id` is a project, never a session, and not shown as a key that lost."""
    alone, t = fresh("alone"), fresh("langsmith")
    post(shared_server.url, span(alone, "root", langsmith__trace__session_id=alone))
    assert is_unknown(shared_server, alone)
    project = {"langsmith.trace.session_id": f"{t}/project"}
    post(shared_server.url, span(t, "root", gen_ai__conversation__id=t, **project))
    assert also_in(shared_server, t) == []


SCOPES_OF_FRAMEWORKS = (
    "@opentelemetry/instrumentation-fetch",
    "@opentelemetry/instrumentation-user-interaction",
    "opentelemetry.instrumentation.fastapi",
    "com.anthropic.claude_code.tracing",
    "claude_agent_sdk",
)


@pytest.mark.parametrize("scope", SCOPES_OF_FRAMEWORKS)
def test_scopes_of_frameworks(shared_server: RunningServer, scope: str) -> None:
    """`session.id` of browser, HTTP and Claude instrumentation is a framework's: it loses to the application's."""
    t = fresh("scope")
    post(shared_server.url, span(t, "root", session__id=f"{t}/browser"), scope=scope)
    assert share(shared_server, f"{t}/browser") == 1
    post(shared_server.url, span(t, "turn", "root", session__id=t))
    assert share(shared_server, t) == 2
    assert also_in(shared_server, t) == [f"{t}/browser"]
    assert is_unknown(shared_server, f"{t}/browser")


@pytest.mark.parametrize("key", ["agentmark.session_id", "traceloop.association.properties.session_id"])
@pytest.mark.parametrize("scope", SCOPES_OF_FRAMEWORKS[:3])
def test_other_keys_in_such_scopes(shared_server: RunningServer, scope: str, key: str) -> None:
    """Keys other than `session.id` stay the application's, whatever instrumentation writes them."""
    t = fresh("scope")
    post(shared_server.url, span(t, "root", gen_ai__conversation__id=f"{t}/framework"))
    post(shared_server.url, span(t, "leaf", "root", **{key: t}), scope=scope)
    assert share(shared_server, t) == 2


@pytest.mark.parametrize("scope", ["", "my.program", "openinference.instrumentation.openai", "agentmark"])
def test_scopes_of_applications(shared_server: RunningServer, scope: str) -> None:
    """`session.id` of OpenInference, of our SDK and of plain programs is the application's."""
    t = fresh("scope")
    post(shared_server.url, span(t, "root", session__id=f"{t}/root"), scope=scope)
    post(shared_server.url, span(t, "turn", "root", session__id=t))
    assert share(shared_server, f"{t}/root") == 1
    assert share(shared_server, t) == 1


NUMBER = uuid4().int >> 88
VALUES: dict[str, tuple[Any, str]] = {
    "integer": (NUMBER, f"{NUMBER}"),
    "negative": (-NUMBER, f"-{NUMBER}"),
    "real": (NUMBER + 0.5, f"{NUMBER + 0.5}"),
    "boolean": (True, "true"),
    "list": ([f"{NUMBER}", 1], f'["{NUMBER}", 1]'),
    "white space": (f" \t\n{NUMBER} inside {NUMBER}\r\n ", f"{NUMBER} inside {NUMBER}"),
    "unicode and slashes": (f"ü/🦊/{NUMBER}", f"ü/🦊/{NUMBER}"),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("key", ["session.id", "agentmark.session_id", "gen_ai.conversation.id"])
def test_values(shared_server: RunningServer, kind: str, key: str) -> None:
    """A key is text: other types become text, and white space at the ends is dropped."""
    t = fresh("value")
    given, expected = VALUES[kind]
    post(shared_server.url, span(t, "root", **{key: given}))
    traces = session_of(shared_server, expected)["traces"]
    assert trace_id(t).hex() in [trace["id"] for trace in traces]


@pytest.mark.parametrize("empty", ["", " \t\n ", None], ids=["empty", "white space", "no value"])
def test_empty_values(shared_server: RunningServer, empty: str | None) -> None:
    """An empty key is none: the next one decides."""
    t = fresh("empty")
    keys = {"agentmark.session_id": empty, "session.id": empty, "gen_ai.conversation.id": t}
    post(shared_server.url, span(t, "root", **keys))
    assert share(shared_server, t) == 1
    assert also_in(shared_server, t) == []


USERS = (
    "agentmark.user_id",
    "agentmark.metadata.user_id",
    "agentmark.metadata.userId",
    "user.id",
    "enduser.id",
    "langfuse.user.id",
    "traceloop.association.properties.user_id",
    "traceloop.association.properties.customer_id",
    "ai.telemetry.metadata.userId",
    "ai.telemetry.metadata.user_id",
    "lmnr.association.properties.user_id",
    "mlflow.trace.user",
    "langsmith.metadata.user_id",
    "gen_ai.user.id",
    "mastra.metadata.userId",
    "mastra.metadata.resourceId",
)


@pytest.mark.parametrize("key", USERS)
def test_users(shared_server: RunningServer, key: str) -> None:
    """Each vendor's attribute of the user is read, and the session is found by it."""
    t = fresh("user")
    post(shared_server.url, span(t, "root", session__id=t), span(t, "leaf", "root", **{key: f"u {t}"}))
    session = session_of(shared_server, t)
    assert (session["user_id"], session["user_ids"]) == (f"u {t}", [f"u {t}"])
    found = shared_server.get("/v1/sessions", user_id=f"u {t}")["data"]
    assert [one["id"] for one in found] == [t]


def test_users_of_a_session(shared_server: RunningServer) -> None:
    """A session's users are those of all its spans; the one asked for is the earliest, whatever came first."""
    t = fresh("users")
    post(shared_server.url, span(f"{t}/2", "root", start_ms=20, session__id=t, user__id="late"))
    post(shared_server.url, span(f"{t}/1", "root", start_ms=10, session__id=t, user__id="early"))
    post(shared_server.url, span(f"{t}/0", "root", start_ms=0, session__id=t))
    session = session_of(shared_server, t)
    assert (session["user_id"], session["user_ids"]) == ("early", ["early", "late"])


def test_user_in_metadata(shared_server: RunningServer) -> None:
    """The user is read out of a JSON object of metadata."""
    t = fresh("user")
    post(shared_server.url, span(t, "root", session__id=t, metadata='{"user_id": 7}'))
    assert session_of(shared_server, t)["user_id"] == "7"


NAMES = (
    "agentmark.session_name",
    "agentmark.metadata.session_name",
    "ai.telemetry.metadata.sessionName",
    "ai.telemetry.metadata.session_name",
)


@pytest.mark.parametrize("key", NAMES)
def test_session_names(shared_server: RunningServer, key: str) -> None:
    """Each attribute of the session's name is read; of several names the latest span's stays."""
    t = fresh("name")
    post(shared_server.url, span(f"{t}/2", "root", start_ms=20, session__id=t, **{key: "late"}))
    post(shared_server.url, span(f"{t}/1", "root", start_ms=10, session__id=t, **{key: "early"}))
    assert session_of(shared_server, t)["name"] == "late"


@pytest.mark.parametrize("key", ["agentmark.trace_name", "langfuse.trace.name", "traceloop.workflow.name"])
def test_trace_names(shared_server: RunningServer, key: str) -> None:
    """Each attribute of the trace's name is read, and names the trace in place of its root."""
    t = fresh("name")
    post(shared_server.url, span(t, "root", session__id=t), span(t, "leaf", "root", **{key: "given"}))
    assert [trace["name"] for trace in session_of(shared_server, t)["traces"]] == ["given"]


TAGS = (
    "agentmark.tags",
    "tag.tags",
    "langfuse.trace.tags",
    "ai.telemetry.metadata.tags",
    "lmnr.association.properties.tags",
)


@pytest.mark.parametrize("key", TAGS)
@pytest.mark.parametrize("as_text", [True, False], ids=["JSON", "list"])
def test_tags(shared_server: RunningServer, key: str, as_text: bool) -> None:
    """Each attribute of tags is read, as a list or as JSON; a session has the tags of all its spans."""
    t = fresh("tags")
    given: list[list[str]] = [["b", "ü, x"], ["b", "a"]]
    one, two = map(json.dumps, given) if as_text else given
    post(shared_server.url, span(t, "root", session__id=t, **{key: one}), span(t, "leaf", "root", **{key: two}))
    assert session_of(shared_server, t)["tags"] == ["a", "b", "ü, x"]


METADATA = (
    "agentmark.metadata.",
    "langfuse.trace.metadata.",
    "traceloop.association.properties.",
    "ai.telemetry.metadata.",
    "lmnr.association.properties.metadata.",
    "langsmith.metadata.",
    "mastra.metadata.",
)


@pytest.mark.parametrize("prefix", METADATA)
def test_metadata(shared_server: RunningServer, prefix: str) -> None:
    """Each vendor's metadata is the session's, the union over its spans; of one name the latest value stays."""
    t = fresh("metadata")
    early = {f"{prefix}plan": "free", f"{prefix}seats": 3}
    post(shared_server.url, span(t, "leaf", "root", start_ms=5, **{f"{prefix}plan": "paid"}))
    post(shared_server.url, span(t, "root", session__id=t, **early))
    assert session_of(shared_server, t)["metadata"] == {"plan": "paid", "seats": "3"}


def test_metadata_in_json(shared_server: RunningServer) -> None:
    """A JSON object in `metadata` is the session's metadata."""
    t = fresh("metadata")
    post(shared_server.url, span(t, "root", session__id=t, metadata='{"plan": "free", "seats": 3}'))
    assert session_of(shared_server, t)["metadata"] == {"plan": "free", "seats": "3"}


PLACES = {
    "service.name": "services",
    "service.version": "releases",
    "langfuse.release": "releases",
    "deployment.environment.name": "environments",
    "deployment.environment": "environments",
    "langfuse.environment": "environments",
}


@pytest.mark.parametrize("key", PLACES)
def test_places(shared_server: RunningServer, key: str) -> None:
    """Service, release and environment are those that the resource names."""
    t = fresh("place")
    post(shared_server.url, span(t, "root", session__id=t), resource={key: "there"})
    assert session_of(shared_server, t)[PLACES[key]] == ["there"]


@pytest.mark.parametrize("key", ["langfuse.environment", "langfuse.release"])
def test_places_on_spans(shared_server: RunningServer, key: str) -> None:
    """Langfuse's release and environment are read of spans too."""
    t = fresh("place")
    post(shared_server.url, span(t, "root", session__id=t, **{key: "there"}))
    assert session_of(shared_server, t)[PLACES[key]] == ["there"]


def test_agents(shared_server: RunningServer) -> None:
    """A session has the agents that its spans name."""
    t = fresh("agents")
    post(shared_server.url, span(t, "root", session__id=t, gen_ai__agent__name="planner"))
    post(shared_server.url, span(t, "leaf", "root", gen_ai__agent__name="writer"))
    assert session_of(shared_server, t)["agents"] == ["planner", "writer"]
