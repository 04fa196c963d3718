"""POST /v1/logs and /v1/metrics: records that belong to spans are joined to them, all else is dropped."""

import base64
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from conftest import RunningServer
from support.spans import JSON, MS, PROTOBUF, START, any_value, call, pairs, post, span, span_id, trace_id

ENCODINGS = pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "json"])
DETAILS = "gen_ai.client.inference.operation.details"
CLAUDE_SCOPE = "com.anthropic.claude_code.events"


def fresh(name: str) -> str:
    return f"{name}-{uuid4()}"


def record(trace: str, name: str, event: str, *, at_ms: int = 1, body: Any = None, **attributes: Any) -> LogRecord:
    """A record that belongs to the span `name` of the trace called `trace`."""
    return LogRecord(
        trace_id=trace_id(trace),
        span_id=span_id(f"{trace}/{name}"),
        time_unix_nano=START + at_ms * MS,
        observed_time_unix_nano=START + at_ms * MS,
        event_name=event,
        attributes=pairs(attributes),
        body=nested(body),
    )


def nested(value: Any) -> AnyValue:
    if isinstance(value, dict):
        values = [KeyValue(key=key, value=nested(inner)) for key, inner in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=values))
    return any_value(value)


def request_of(*records: LogRecord, scope: str = "") -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope_logs = request.resource_logs.add().scope_logs.add()
    scope_logs.scope.name = scope
    scope_logs.log_records.extend(records)
    return request


def json_of(request: ExportLogsServiceRequest) -> str:
    shape = MessageToDict(request, use_integers_for_enums=True)
    for one in shape["resourceLogs"][0]["scopeLogs"][0].get("logRecords", []):
        for key in ("traceId", "spanId"):
            if key in one:
                one[key] = base64.b64decode(one[key]).hex()
    return json.dumps(shape)


def send(server: RunningServer, *records: LogRecord, as_json: bool = False, scope: str = "") -> Any:
    """Send records, which must all be taken; the answer."""
    request = request_of(*records, scope=scope)
    content = json_of(request) if as_json else request.SerializeToString()
    reply = httpx2.post(f"{server.url}/v1/logs", content=content, headers=JSON if as_json else PROTOBUF)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == ("application/json" if as_json else "application/x-protobuf")
    return reply


def session_of(server: RunningServer, session_id: str) -> Any:
    return server.get(f"/v1/sessions/{session_id}")["data"]


def said(server: RunningServer, session_id: str) -> tuple[int, str | None, str | None]:
    """Of its only trace: how many spans, what was asked, what was answered."""
    [trace] = session_of(server, session_id)["traces"]
    return trace["span_count"], trace["input_preview"], trace["output_preview"]


def spans_of(t: str) -> list[Any]:
    return [span(t, "root", session__id=t, end_ms=100), call(t, "call", "root", start_ms=1, end_ms=90)]


def messages(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def details(t: str, asked: str = "how far?", answered: str = "42 km") -> LogRecord:
    both = {
        "gen_ai.input.messages": messages("user", asked),
        "gen_ai.output.messages": messages("assistant", answered),
    }
    return record(t, "call", DETAILS, **both)


@ENCODINGS
@pytest.mark.parametrize("late", [True, False], ids=["after its span", "before its span"])
def test_details(shared_server: RunningServer, as_json: bool, late: bool) -> None:
    """What a record says of its span's messages is said of the span, in either order; it is no span itself."""
    t = fresh("details")
    steps: list[Callable[[], Any]] = [
        lambda: post(shared_server.url, *spans_of(t)),
        lambda: send(shared_server, details(t), as_json=as_json),
    ]
    for step in steps if late else reversed(steps):
        step()
    assert said(shared_server, t) == (2, "how far?", "42 km")
    session = session_of(shared_server, t)
    assert (session["call_count"], session["input_preview"], session["output_preview"]) == (1, "how far?", "42 km")


@ENCODINGS
def test_repeated(shared_server: RunningServer, as_json: bool) -> None:
    """A record that is sent again, in any encoding, changes nothing."""
    t = fresh("repeated")
    post(shared_server.url, *spans_of(t))
    send(shared_server, details(t))
    before = session_of(shared_server, t)
    send(shared_server, details(t), details(t), as_json=as_json)
    send(shared_server, details(t), as_json=as_json)
    assert session_of(shared_server, t) == before


def test_record_without_its_span(shared_server: RunningServer) -> None:
    """A record whose span has not come waits, and neither counts as a span nor stands for it."""
    t = fresh("waits")
    send(shared_server, details(t))
    post(shared_server.url, spans_of(t)[0])
    assert said(shared_server, t) == (1, None, None)
    post(shared_server.url, spans_of(t)[1])
    assert said(shared_server, t) == (2, "how far?", "42 km")


def test_span_says_it_itself(shared_server: RunningServer) -> None:
    """What a span says itself stays; a record adds only what is missing."""
    t = fresh("itself")
    own = call(t, "call", "root", **{"gen_ai.input.messages": messages("user", "its own")})
    post(shared_server.url, spans_of(t)[0], own)
    send(shared_server, details(t))
    assert said(shared_server, t) == (2, "its own", "42 km")


def test_usage_in_details(shared_server: RunningServer) -> None:
    """Usage that only the record states is the call's, and is not added to what the span states."""
    t = fresh("usage")
    usage = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    post(shared_server.url, *spans_of(t), call(t, "other", "root", **usage))
    send(shared_server, record(t, "call", DETAILS, **usage), record(t, "other", DETAILS, **usage))
    session = session_of(shared_server, t)
    assert (session["call_count"], session["input_tokens"], session["output_tokens"]) == (2, 200, 20)
    assert (session["unmetered_calls"], session["unaccounted_tokens"]) == (0, 0)


@ENCODINGS
@pytest.mark.parametrize("by_attribute", [False, True], ids=["event_name", "event.name"])
def test_old_events(shared_server: RunningServer, as_json: bool, by_attribute: bool) -> None:
    """The older conventions' records, a message each in the body, are joined to their span."""
    t = fresh("old")
    answer = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "42 km"}}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("gen_ai.system.message", {"content": "be brief"}),
        ("gen_ai.user.message", {"content": "how far?"}),
        ("gen_ai.choice", answer),
    ]
    records = []
    for event, body in bodies:
        made = record(t, "call", event, body=body, **{"gen_ai.system": "openai"})
        if by_attribute:
            made.event_name = ""
            made.attributes.extend(pairs({"event.name": event}))
        records.append(made)
    post(shared_server.url, *spans_of(t))
    send(shared_server, *records, as_json=as_json)
    assert said(shared_server, t) == (2, "how far?", "42 km")


def unrelated(t: str) -> dict[str, LogRecord]:
    without_span = details(t)
    without_span.span_id = b""
    without_trace = details(t)
    without_trace.trace_id = b""
    keyed = {"session.id": f"{t}/other"}
    return {
        "a program's line": record(t, "call", "", body="something happened", **keyed),
        "another event": record(t, "call", "app.screen.click", body={"content": "no"}, **keyed),
        "without a span": without_span,
        "without a trace": without_trace,
        "Claude Code's without a session": record(t, "call", "", body="claude_code.api_request", input_tokens=5),
        "another's api_request": record(t, "call", "api_request", **keyed, input_tokens=5),
    }


@ENCODINGS
@pytest.mark.parametrize("case", unrelated("").keys())
def test_unrelated(shared_server: RunningServer, case: str, as_json: bool) -> None:
    """Records that belong to no span are dropped, with 200 and no word of it."""
    t = fresh("unrelated")
    post(shared_server.url, *spans_of(t))
    before = session_of(shared_server, t)
    reply = send(shared_server, unrelated(t)[case], as_json=as_json)
    if as_json:
        assert reply.json() == {}
    else:
        assert ExportLogsServiceResponse.FromString(reply.content) == ExportLogsServiceResponse()
    assert session_of(shared_server, t) == before
    assert httpx2.get(f"{shared_server.url}/v1/sessions/{t}%2Fother").status_code == 404


@ENCODINGS
def test_bad_neighbour(shared_server: RunningServer, as_json: bool) -> None:
    """A record whose ids cannot be is counted and told; its neighbours are joined."""
    t = fresh("neighbour")
    bad = details(t)
    bad.trace_id = b"short"
    post(shared_server.url, *spans_of(t))
    reply = send(shared_server, bad, details(t), as_json=as_json)
    if as_json:
        assert int(reply.json()["partialSuccess"]["rejectedLogRecords"]) == 1
    else:
        assert ExportLogsServiceResponse.FromString(reply.content).partial_success.rejected_log_records == 1
    assert said(shared_server, t) == (2, "how far?", "42 km")


def claude(
    session_id: str, event: str, prompt_id: str = "p1", *, at_ms: int = 1000, **attributes: Any
) -> LogRecord:
    """A record as Claude Code writes it: no span, no trace."""
    common = {
        "event.name": event,
        "session.id": session_id,
        "prompt.id": prompt_id,
        "user.id": "someone",
        "event.timestamp": "2025-11-24T16:00:01.000Z",
    }
    return LogRecord(
        time_unix_nano=START + at_ms * MS,
        observed_time_unix_nano=START + at_ms * MS,
        body=any_value(f"claude_code.{event}"),
        attributes=pairs(common | attributes),
    )


def two_prompts(session_id: str, number: Callable[[Any], Any] = lambda value: value) -> list[LogRecord]:
    """Two prompts: the first asks twice with a tool between, the second fails."""
    first = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 100, "cache_creation_tokens": 20}
    second = {"input_tokens": 7, "output_tokens": 3, "cache_read_tokens": 120, "cache_creation_tokens": 0}
    model = {"model": "claude-sonnet-4-5-20250929"}
    usages = [
        {key: number(value) for key, value in (usage | {"cost_usd": cost, "duration_ms": 400}).items()}
        for usage, cost in ((first, 0.25), (second, 0.5))
    ]
    return [
        claude(session_id, "user_prompt", at_ms=0, prompt_length=8, prompt="how far?"),
        claude(session_id, "api_request", at_ms=1000, **model, **usages[0]),
        claude(session_id, "tool_result", at_ms=1500, tool_name="Bash", success="true", duration_ms=number(300)),
        claude(session_id, "api_request", at_ms=2000, **model, **usages[1]),
        claude(session_id, "user_prompt", "p2", at_ms=5000, prompt_length=5),
        claude(session_id, "api_error", "p2", at_ms=6000, error="overloaded", **model, duration_ms=number(100)),
    ]


@ENCODINGS
@pytest.mark.parametrize("number", [lambda value: value, str], ids=["numbers", "text"])
def test_claude_code(shared_server: RunningServer, as_json: bool, number: Callable[[Any], Any]) -> None:
    """Claude Code's records are a session, a trace for each prompt, with calls, tokens (cached too) and costs."""
    t = fresh("claude")
    send(shared_server, *two_prompts(t, number), as_json=as_json, scope=CLAUDE_SCOPE)
    session = session_of(shared_server, t)
    assert (session["trace_count"], session["span_count"], session["call_count"]) == (2, 6, 3)
    assert (session["input_tokens"], session["cached_tokens"], session["output_tokens"]) == (257, 220, 8)
    assert (session["total_cost"], session["unmetered_calls"], session["unpriced_calls"]) == (0.75, 1, 0)
    assert (session["error_count"], session["user_id"]) == (1, "someone")
    assert session["models"] == ["claude-sonnet-4-5-20250929"]
    assert session["input_preview"] == "how far?"
    one, two = session["traces"]
    assert (one["call_count"], one["input_tokens"], one["total_cost"]) == (2, 257, 0.75)
    assert (two["call_count"], two["total_cost"], two["error_count"]) == (1, None, 1)
    # The second prompt lasts from its record to that of its failed request.
    assert (one["duration_ms"], two["duration_ms"]) == (2000, 1000)


def test_duration_of_claude_code(shared_server: RunningServer) -> None:
    """A request of Claude Code begins as long before its record as it took."""
    t = fresh("claude")
    send(shared_server, claude(t, "api_request", at_ms=1000, duration_ms=400, input_tokens=1), scope=CLAUDE_SCOPE)
    assert session_of(shared_server, t)["duration_ms"] == 400


def test_failed_tool_of_claude_code(shared_server: RunningServer) -> None:
    """A tool of Claude Code that failed is an error, one that did not is none."""
    t = fresh("claude")
    records = [
        claude(t, "tool_result", at_ms=n, tool_name="Bash", success=s) for n, s in enumerate(("false", "true"))
    ]
    send(shared_server, *records, scope=CLAUDE_SCOPE)
    session = session_of(shared_server, t)
    assert (session["span_count"], session["error_count"], session["call_count"]) == (2, 1, 0)


def test_order_of_claude_code(shared_server: RunningServer) -> None:
    """Claude Code's records make the same session in any order, one by one, and sent twice."""
    t, u = fresh("claude"), fresh("claude")
    send(shared_server, *two_prompts(t), scope=CLAUDE_SCOPE)
    for one in [*reversed(two_prompts(u)), *two_prompts(u)]:
        send(shared_server, one, scope=CLAUDE_SCOPE)
    send(shared_server, *two_prompts(u), as_json=True, scope=CLAUDE_SCOPE)
    one, other = (without_ids(session_of(shared_server, session_id)) for session_id in (t, u))
    assert one == other


def without_ids(session: Any) -> Any:
    for shape in (session, *session["traces"]):
        shape.pop("id")
        shape.pop("session_ids", None)
    return session


def test_sessions_of_claude_code(shared_server: RunningServer) -> None:
    """Two sessions of Claude Code stay apart, though their prompts have the same ids."""
    t, u = fresh("claude"), fresh("claude")
    send(
        shared_server, *(claude(s, "api_request", input_tokens=n) for s, n in ((t, 1), (u, 2))), scope=CLAUDE_SCOPE
    )
    assert [session_of(shared_server, s)["input_tokens"] for s in (t, u)] == [1, 2]


UNREADABLE: dict[str, tuple[bytes, dict[str, str], int]] = {
    "garbage": (b"\xff\xfe not protobuf", PROTOBUF, 400),
    "truncated protobuf": (request_of(details("t")).SerializeToString()[:-50], PROTOBUF, 400),
    "truncated json": (b'{"resourceLogs": [', JSON, 400),
    "json of another shape": (b'{"resourceLogs": 5}', JSON, 400),
    "not gzip": (b"plain", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
    "text": (b"hello", {"Content-Type": "text/plain"}, 415),
    "no type": (b"hello", {}, 415),
    "unknown encoding": (b"{}", {**JSON, "Content-Encoding": "br"}, 415),
}


@pytest.mark.parametrize(("body", "headers", "status"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable(shared_server: RunningServer, body: bytes, headers: dict[str, str], status: int) -> None:
    """What cannot be read is refused with a Status message in the request's encoding that says what is wrong."""
    reply = httpx2.post(f"{shared_server.url}/v1/logs", content=body, headers=headers)
    assert reply.status_code == status
    if headers.get("Content-Type") == "application/json":
        assert reply.headers["content-type"] == "application/json"
        message = reply.json()["message"]
    else:
        assert reply.headers["content-type"] == "application/x-protobuf"
        message = Status.FromString(reply.content).message
    assert len(message) > 20


def test_empty_request(shared_server: RunningServer) -> None:
    """A request without records is fine."""
    assert httpx2.post(f"{shared_server.url}/v1/logs", content=b"", headers=PROTOBUF).status_code == 200
    assert httpx2.post(f"{shared_server.url}/v1/logs", content=b"{}", headers=JSON).json() == {}


def metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="gen_ai.client.token.usage")
    metric.sum.data_points.add(as_int=5, attributes=pairs({"session.id": "metrics-are-dropped"}))
    return request


@ENCODINGS
def test_metrics(shared_server: RunningServer, as_json: bool) -> None:
    """Metrics are taken and dropped, with an empty answer in the request's encoding."""
    content = json.dumps(MessageToDict(metrics())) if as_json else metrics().SerializeToString()
    reply = httpx2.post(f"{shared_server.url}/v1/metrics", content=content, headers=JSON if as_json else PROTOBUF)
    assert reply.status_code == 200
    if as_json:
        assert reply.headers["content-type"] == "application/json"
        assert reply.json() == {}
    else:
        assert reply.headers["content-type"] == "application/x-protobuf"
        assert reply.content == ExportMetricsServiceResponse().SerializeToString() == b""
    assert httpx2.get(f"{shared_server.url}/v1/sessions/metrics-are-dropped").status_code == 404
