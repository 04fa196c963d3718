"""POST /v1/traces, over a real socket, with OpenTelemetry's own exporters and with bodies that they never send."""

import gzip
import json
import signal
import zlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import zstandard
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ProtobufExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from conftest import RunningServer
from support.spans import JSON, PROTOBUF, START, body_of, json_of, post, request_of, span

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


def raw_post(server: RunningServer, body: bytes, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"{server.url}/v1/traces", content=body, headers=named)


def read(kind: type[Any], reply: httpx2.Response) -> Any:
    assert reply.headers["content-type"] == "application/x-protobuf"
    return kind.FromString(reply.content)


def session_of(server: RunningServer, session_id: str) -> Any:
    return server.get(f"/v1/sessions/{session_id}")["data"]


EXPORTERS: dict[str, Callable[[str], SpanExporter]] = {
    "protobuf": ProtobufExporter,
    "protobuf, gzip": lambda url: ProtobufExporter(url, compression=Compression.Gzip),
    "protobuf, deflate": lambda url: ProtobufExporter(url, compression=Compression.Deflate),
    "json": JsonExporter,
}


@pytest.mark.parametrize("exporter", EXPORTERS.values(), ids=EXPORTERS.keys())
def test_exporters(shared_server: RunningServer, exporter: Callable[[str], SpanExporter]) -> None:
    """What an unmodified OpenTelemetry exporter sends is a session in the next answer."""
    session_id = f"exported-{uuid4()}"
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter(f"{shared_server.url}/v1/traces")))
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("root", attributes={"session.id": session_id, "user.id": "jürgen 🦊"}),
        pytest.raises(ValueError, match="boom"),
        tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}),
    ):
        raise ValueError("boom")
    provider.shutdown()
    session = session_of(shared_server, session_id)
    assert (session["trace_count"], session["span_count"], session["call_count"]) == (1, 2, 1)
    assert (session["user_id"], session["error_count"]) == ("jürgen 🦊", 1)


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_encodings(shared_server: RunningServer, encoding: str) -> None:
    """Each content encoding carries the same spans, in protobuf and in JSON, whatever parameters the type has."""
    session_id = f"encoded-{uuid4()}"
    spans = [span(session_id, name, session__id=session_id) for name in ("a", "b")]
    as_json = json.dumps(json_of(request_of(spans[1]))).encode()
    compress = COMPRESSORS[encoding]
    first = raw_post(
        shared_server,
        compress(body_of(spans[0])),
        Content_Type="application/x-protobuf",
        Content_Encoding=encoding,
    )
    second = raw_post(
        shared_server,
        compress(as_json),
        Content_Type="Application/JSON; charset=utf-8",
        Content_Encoding=encoding.upper(),
    )
    assert (first.status_code, second.status_code) == (200, 200)
    assert read(ExportTraceServiceResponse, first) == ExportTraceServiceResponse()
    assert second.headers["content-type"] == "application/json"
    assert second.json() == {}
    assert session_of(shared_server, session_id)["span_count"] == 2


def test_gzip_of_several_members(shared_server: RunningServer) -> None:
    """Gzip may come in several members (RFC 1952, section 2.2)."""
    session_id = f"members-{uuid4()}"
    body = body_of(span(session_id, "a", session__id=session_id))
    members = gzip.compress(body[:20]) + gzip.compress(body[20:])
    reply = raw_post(shared_server, members, Content_Type="application/x-protobuf", Content_Encoding="gzip")
    assert reply.status_code == 200
    assert session_of(shared_server, session_id)["span_count"] == 1


def test_empty_request(shared_server: RunningServer) -> None:
    """A request without spans is fine: the specification says so."""
    assert raw_post(shared_server, b"", **{"Content-Type": "application/x-protobuf"}).status_code == 200
    assert raw_post(shared_server, b"{}", **{"Content-Type": "application/json"}).status_code == 200


UNREADABLE: dict[str, tuple[bytes, dict[str, str], int]] = {
    "garbage": (b"\xff\xfe not protobuf", PROTOBUF, 400),
    "truncated protobuf": (body_of(span("t", "a", x="y" * 100))[:-50], PROTOBUF, 400),
    "truncated json": (b'{"resourceSpans": [', JSON, 400),
    "json of another shape": (b'{"resourceSpans": {"a": 1}}', JSON, 400),
    "json that is a list": (b"[]", JSON, 400),
    "json, deeply nested": (b'{"resourceSpans":' + b"[" * 100_000, JSON, 400),
    "empty json": (b"", JSON, 400),
    "not gzip": (b"plain", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
    "truncated gzip": (
        gzip.compress(body_of(span("t", "a")))[:-12],
        {**PROTOBUF, "Content-Encoding": "gzip"},
        400,
    ),
    "not zstd": (b"plain", {**PROTOBUF, "Content-Encoding": "zstd"}, 400),
    "gzip bomb": (gzip.compress(bytes(200 << 20)), {**PROTOBUF, "Content-Encoding": "gzip"}, 413),
    "zstd bomb": (zstandard.compress(bytes(200 << 20)), {**PROTOBUF, "Content-Encoding": "zstd"}, 413),
    "large": (bytes(65 << 20), PROTOBUF, 413),
    "text": (b"hello", {"Content-Type": "text/plain"}, 415),
    "no type": (b"hello", {}, 415),
    "unknown encoding": (b"", {**JSON, "Content-Encoding": "br"}, 415),
}


@pytest.mark.parametrize(("body", "headers", "status"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable(shared_server: RunningServer, body: bytes, headers: dict[str, str], status: int) -> None:
    """What cannot be read is refused with a Status message in the request's encoding that says what is wrong."""
    reply = httpx2.post(f"{shared_server.url}/v1/traces", content=body, headers=headers)
    assert reply.status_code == status
    if headers.get("Content-Type") == "application/json":
        message = reply.json()["message"]
    else:
        message = read(Status, reply).message
    assert len(message) > 20
    assert shared_server.get("/health")["status"] == "ok"


def odd_span(**changes: Any) -> Any:
    made = span("odd", "odd", session__id="odd")
    for field, value in changes.items():
        setattr(made, field, value)
    return made


BAD_SPANS = {
    "empty trace id": odd_span(trace_id=b""),
    "short trace id": odd_span(trace_id=b"12345678"),
    "zero trace id": odd_span(trace_id=bytes(16)),
    "empty span id": odd_span(span_id=b""),
    "long span id": odd_span(span_id=b"123456789"),
    "zero span id": odd_span(span_id=bytes(8)),
    "short parent id": odd_span(parent_span_id=b"1234"),
}


@pytest.mark.parametrize("bad", BAD_SPANS.values(), ids=BAD_SPANS.keys())
@pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "json"])
def test_bad_neighbour(shared_server: RunningServer, bad: Any, as_json: bool) -> None:
    """One bad span is counted and told; its neighbours are stored."""
    session_id = f"neighbours-{uuid4()}"
    good = [span(session_id, name, session__id=session_id) for name in "ab"]
    reply = post(shared_server.url, good[0], bad, good[1], as_json=as_json)
    assert reply.status_code == 200
    if as_json:
        partial = reply.json()["partialSuccess"]
        assert int(partial["rejectedSpans"]) == 1
        assert " id " in partial["errorMessage"]
    else:
        partial = read(ExportTraceServiceResponse, reply).partial_success
        assert partial.rejected_spans == 1
        assert " id " in partial.error_message
    assert session_of(shared_server, session_id)["span_count"] == 2


def test_bad_text_in_one_span(shared_server: RunningServer) -> None:
    """Bytes that are no UTF-8, where protobuf wants text, cost only the span that has them."""
    session_id = f"utf8-{uuid4()}"
    body = body_of(
        span(session_id, "good", session__id=session_id), span(session_id, "BAD_NAME", session__id=session_id)
    )
    reply = raw_post(shared_server, body.replace(b"BAD_NAME", b"BAD\xff\xfeNAM"), **PROTOBUF)
    assert read(ExportTraceServiceResponse, reply).partial_success.rejected_spans == 1
    assert session_of(shared_server, session_id)["span_count"] == 1


JSON_SPANS: dict[str, tuple[dict[str, Any], bool]] = {
    "numbers as text": ({"startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 1)}, True),
    "numbers as numbers": ({"startTimeUnixNano": START, "endTimeUnixNano": START + 1}, True),
    "unknown fields": ({"someday": {"a": [1]}, "traceState": "a=b"}, True),
    "nulls": ({"parentSpanId": None, "events": None, "status": None, "kind": None}, True),
    "upper case id": ({"spanId": "ABCDEF0123456789"}, True),
    "an integer too large": ({"attributes": [{"key": "n", "value": {"intValue": str(2**70)}}]}, False),
    "an integer that is none": ({"attributes": [{"key": "n", "value": {"intValue": "five"}}]}, False),
    "special numbers": ({"attributes": [{"key": "n", "value": {"doubleValue": "NaN"}}]}, True),
    "an empty value": ({"attributes": [{"key": "n", "value": {}}, {"key": "m"}]}, True),
    "an id that is not hex": ({"spanId": "zzzzzzzzzzzzzzzz"}, False),
    "a name of a wrong type": ({"name": ["a"]}, False),
    "a time that is none": ({"startTimeUnixNano": "yesterday"}, False),
    "a negative time": ({"startTimeUnixNano": -5}, False),
    "not an object": ({}, False),
}


@pytest.mark.parametrize("case", JSON_SPANS)
def test_json_spans(shared_server: RunningServer, case: str) -> None:
    """OTLP's JSON is read as leniently as it says, and a span that is none costs no other."""
    changes, kept = JSON_SPANS[case]
    session_id = f"json-{uuid4()}"
    shape = json_of(request_of(*(span(session_id, name, session__id=session_id) for name in "ab")))
    spans = shape["resourceSpans"][0]["scopeSpans"][0]["spans"]
    attributes = spans[0]["attributes"] + changes.get("attributes", [])
    spans[0] = spans[0] | changes | {"attributes": attributes} if case != "not an object" else 5
    reply = raw_post(shared_server, json.dumps(shape).encode(), **JSON)
    assert reply.status_code == 200
    assert int(reply.json().get("partialSuccess", {}).get("rejectedSpans", 0)) == (0 if kept else 1)
    assert session_of(shared_server, session_id)["span_count"] == (2 if kept else 1)


ODD_SPANS = {
    "end before start": {"start_time_unix_nano": START, "end_time_unix_nano": START - 10**9},
    "times of 0": {"start_time_unix_nano": 0, "end_time_unix_nano": 0},
    "times of 2^64 - 1": {"start_time_unix_nano": 2**64 - 1, "end_time_unix_nano": 2**64 - 1},
    "NUL in the name": {"name": "a\0b"},
    "an own parent": {"parent_span_id": odd_span().span_id},
}


@pytest.mark.parametrize("changes", ODD_SPANS.values(), ids=ODD_SPANS.keys())
def test_odd_spans(shared_server: RunningServer, changes: dict[str, Any]) -> None:
    """A span that is strange but readable is kept, and its session opens and has no negative duration."""
    session_id = f"odd-{uuid4()}"
    odd = odd_span(trace_id=uuid4().bytes, **changes)
    odd.attributes[0].value.string_value = session_id
    assert not post(shared_server.url, odd, span(session_id, "a", session__id=session_id)).content
    session = session_of(shared_server, session_id)
    assert (session["trace_count"], session["span_count"]) == (2, 2)
    assert session["duration_ms"] >= 0


ODD_ATTRIBUTES: dict[str, Any] = {
    "negative tokens": {"gen_ai__usage__input_tokens": -5},
    "tokens beyond measure": {"gen_ai__usage__input_tokens": 2**62},
    "tokens that are no number": {"gen_ai__usage__input_tokens": "many"},
    "tokens of NaN": {"gen_ai__usage__input_tokens": float("nan")},
    "infinite tokens": {"gen_ai__usage__input_tokens": float("inf")},
    "messages that are no JSON": {"gen_ai__input__messages": "[{"},
    "messages of another shape": {"gen_ai__input__messages": '[{"role": "user", "parts": 5}, 7, null]'},
    "messages nested deeply": {"gen_ai__input__messages": "[" * 50_000},
    "tags of another shape": {"agentmark__tags": "[5"},
    "5,000 attributes": {f"key-{n}": "v" for n in range(5000)},
    "a user that is a list": {"user__id": ["a", "b"]},
    "an operation that is bytes": {"gen_ai__operation__name": b"\xff"},
}


@pytest.mark.parametrize("attributes", ODD_ATTRIBUTES.values(), ids=ODD_ATTRIBUTES.keys())
def test_odd_attributes(shared_server: RunningServer, attributes: dict[str, Any]) -> None:
    """An attribute that makes no sense says nothing; the span that has it counts as any other."""
    session_id = f"odd-{uuid4()}"
    sent = span(session_id, "a", session__id=session_id, **attributes)
    assert not post(shared_server.url, sent).content
    session = session_of(shared_server, session_id)
    assert (session["span_count"], session["input_tokens"]) == (1, 0)


def test_textual_tokens(shared_server: RunningServer) -> None:
    """A count of tokens that a program wrote as text is a count."""
    session_id = f"tokens-{uuid4()}"
    post(shared_server.url, span(session_id, "a", session__id=session_id, gen_ai__usage__input_tokens="12"))
    assert session_of(shared_server, session_id)["input_tokens"] == 12


def test_parents_in_a_cycle(shared_server: RunningServer) -> None:
    """Spans that are each other's parents, and what hangs below them, are counted once each."""
    session_id = f"cycle-{uuid4()}"
    spans = [
        span(session_id, "a", "b", session__id=session_id),
        span(session_id, "b", "a"),
        span(session_id, "below", "a", error=True),
    ]
    post(shared_server.url, *spans)
    session = session_of(shared_server, session_id)
    assert (session["span_count"], session["error_count"]) == (3, 1)


def test_durable(launch: Callable[..., RunningServer]) -> None:
    """200 means stored: what was acknowledged is there after the process was killed."""
    server = launch()
    for n in range(20):
        assert post(server.url, span(f"trace {n}", "a", session__id="durable")).status_code == 200
    server.stop(signal.SIGKILL)
    assert session_of(launch(), "durable")["trace_count"] == 20


def test_repeated(server: RunningServer) -> None:
    """A batch that is sent again, in protobuf or in JSON, changes nothing."""
    spans = [
        span("t", "root", session__id="s", agentmark__session_name="once"),
        span("t", "call", "root", gen_ai__operation__name="chat", gen_ai__usage__input_tokens=7),
    ]
    post(server.url, *spans)
    first = session_of(server, "s")
    post(server.url, *spans)
    post(server.url, *reversed(spans), as_json=True)
    assert session_of(server, "s") == first
    assert (first["span_count"], first["input_tokens"]) == (2, 7)


@pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "json"])
def test_huge_value(shared_server: RunningServer, as_json: bool) -> None:
    """A single value of more than 16 MiB is cut, and its span stays, with all else that it says."""
    session_id = f"huge-{uuid4()}"
    huge = span(
        session_id, "a", session__id=session_id, agentmark__input="é" * (9 << 20), agentmark__output="short"
    )
    assert post(shared_server.url, huge, as_json=as_json).status_code == 200
    session = session_of(shared_server, session_id)
    assert session["input_preview"] == "é" * 160
    assert session["output_preview"] == "short"
