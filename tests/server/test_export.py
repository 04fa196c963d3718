"""GET /v1/sessions/{id}/export."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from conftest import RunningServer, start_server
from support.spans import call, pairs, post, span

PROTOBUF = "application/x-protobuf"


def export(server: RunningServer, session_id: str, accept: str = "*/*", **params: str) -> httpx2.Response:
    address = f"{server.url}/v1/sessions/{quote(session_id, safe='')}/export"
    reply = httpx2.get(address, params=params, headers={"Accept": accept}, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply


def session_of(server: RunningServer, session_id: str) -> Any:
    """What the API says of a session and its traces."""
    return server.get(f"/v1/sessions/{quote(session_id, safe='')}", limit=1000)["data"]


def filled(server: RunningServer) -> str:
    """A session of three traces, with calls, errors, events, links, several origins, two versions of a span."""
    session_id = f"export-{uuid4()}"
    said = {"session__id": session_id, "agentmark__session_name": "A name", "user__id": "ann"}
    for n in range(3):
        trace, times = f"{session_id}/{n}", {"start_ms": n * 1000, "end_ms": n * 1000 + 900}
        root = span(trace, "turn", error=n == 2, agentmark__tags='["x"]', **times, **said)
        root.events.add(name="noted", time_unix_nano=root.start_time_unix_nano, attributes=pairs({"n": n}))
        root.links.add(trace_id=b"l" * 16, span_id=b"l" * 8, attributes=pairs({"why": "because"}))
        model = call(
            trace,
            "chat",
            "turn",
            gen_ai__request__model="gpt-4o",
            gen_ai__usage__input_tokens=100 + n,
            gen_ai__usage__output_tokens=20,
            gen_ai__input__messages='[{"role":"user","parts":[{"type":"text","content":"Why <b>?"}]}]',
            gen_ai__output__messages='[{"role":"assistant","parts":[{"type":"text","content":"So."}]}]',
            payload=bytes([0, 255]),
            odd=[1.5, True, None, "x"],
            **times,
        )
        running = span(trace, "chat", "turn", end_ms=None, x="first version")
        post(server.url, running, resource={"service.name": "bot"})
        post(server.url, model, resource={"service.name": "bot", "service.version": f"{n}"}, scope="lib")
        post(server.url, root, resource={"service.name": "gate"}, scope="other")
    return session_id


def test_json(shared_server: RunningServer) -> None:
    """`json`, which is the default, is the session as the API shows it, with its spans and all that they hold."""
    session_id = filled(shared_server)
    score = {"resource_id": session_id, "resource_type": "session", "name": "helpful", "score": 0.5}
    assert httpx2.post(f"{shared_server.url}/v1/scores", json=score).status_code == 201
    reply = export(shared_server, session_id)
    assert reply.headers["content-type"] == "application/json"
    data = reply.json()["data"]
    spans = [trace.pop("spans") for trace in data["traces"]]
    assert data == session_of(shared_server, session_id)
    assert [sorted(one["name"] for one in some) for some in spans] == [["chat", "turn"]] * 3
    chat, turn = sorted(spans[1], key=lambda one: one["name"])
    shown = httpx2.get(f"{shared_server.url}/v1/traces/{chat['trace_id']}/spans/{chat['id']}").json()["data"]
    assert chat == shown
    assert chat["input_tokens"] == 101
    assert chat["attributes"]["odd"] == [1.5, True, None, "x"]
    assert chat["messages"]["input"] == [
        {"role": "user", "parts": [{"type": "text", "content": "Why <b>?"}]},
    ]
    assert chat["parent_id"] == turn["id"]
    assert turn["events"] == [{"name": "noted", "time": turn["start"], "attributes": {"n": 1}}]
    assert turn["links"][0]["trace_id"] == (b"l" * 16).hex()
    assert "first version" not in reply.text


def test_jsonl(shared_server: RunningServer) -> None:
    """`jsonl` is a span a line: the same spans as in `json`, in the same order."""
    session_id = filled(shared_server)
    reply = export(shared_server, session_id, format="jsonl")
    lines = [json.loads(line) for line in reply.text.splitlines()]
    traces = export(shared_server, session_id, format="json").json()["data"]["traces"]
    assert lines == [one for trace in traces for one in trace["spans"]]
    assert {line["session_id"] for line in lines} == {session_id}


@pytest.mark.parametrize(
    ("accept", "params", "media_type"),
    [
        ("*/*", {}, "application/json"),
        (PROTOBUF, {}, PROTOBUF),
        ("*/*", {"encoding": "protobuf"}, PROTOBUF),
        (PROTOBUF, {"encoding": "json"}, "application/json"),
    ],
)
def test_otlp(
    shared_server: RunningServer, tmp_path: Path, accept: str, params: dict[str, str], media_type: str
) -> None:
    """`otlp`, posted to another server, gives the same session there, with the same ids, totals and contents."""
    session_id = filled(shared_server)
    reply = export(shared_server, session_id, accept, format="otlp", **params)
    assert reply.headers["content-type"] == media_type
    other = start_server(tmp_path / "other.db")
    taken = httpx2.post(f"{other.url}/v1/traces", content=reply.content, headers={"Content-Type": media_type})
    assert taken.status_code == 200
    assert b"ejected" not in taken.content
    assert session_of(other, session_id) == session_of(shared_server, session_id)
    assert export(other, session_id).json() == export(shared_server, session_id).json()
    again = export(other, session_id, accept, format="otlp", **params)
    other.stop()
    assert spans_in(again) == spans_in(reply)


def spans_in(reply: httpx2.Response) -> list[bytes]:
    if reply.headers["content-type"] != PROTOBUF:
        return sorted(json.dumps(one, sort_keys=True).encode() for one in reply.json()["resourceSpans"])
    request = ExportTraceServiceRequest.FromString(reply.content)
    return sorted(one.SerializeToString(deterministic=True) for one in request.resource_spans)


def test_what_it_owns(shared_server: RunningServer) -> None:
    """Of a trace that serves several sessions goes what the session owns."""
    one, two = f"one-{uuid4()}", f"two-{uuid4()}"
    post(
        shared_server.url,
        span(one, "worker"),
        span(one, "job 1", "worker", start_ms=1, session__id=one),
        span(one, "job 2", "worker", start_ms=2, session__id=two),
        span(one, "step", "job 2", start_ms=3),
    )
    lines = export(shared_server, two, format="jsonl").text.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["job 2", "step"]


def test_unreadable_text(shared_server: RunningServer) -> None:
    """A span with text that is not UTF-8 is exported all the same: in protobuf to the letter."""
    session_id = f"bytes-{uuid4()}"
    body = ExportTraceServiceRequest()
    body.resource_spans.add().scope_spans.add().spans.append(
        span(session_id, "a", session__id=session_id, good="yes", bad="?!?!")
    )
    sent = body.SerializeToString().replace(b"?!?!", b"\xff\xfe\xff\xfe")
    reply = httpx2.post(f"{shared_server.url}/v1/traces", content=sent, headers={"Content-Type": PROTOBUF})
    assert reply.status_code == 200
    assert b"\xff\xfe\xff\xfe" in export(shared_server, session_id, format="otlp", encoding="protobuf").content
    for format_ in ("json", "jsonl", "otlp", "html"):
        assert "yes" in export(shared_server, session_id, format=format_).text


HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(2)</script>",
    "</title></pre></details><img src=x onerror=alert(3)>",
    "<a href='javascript:alert(4)'>x</a>",
    '"><svg onload="alert(5)">',
    "' onmouseover='alert(6)",
    "<!-- name: head -->",
    "-->",
    "$title ${facts} $$",
    "&lt;script&gt;&#x27;",
    "\u2028\u202e\x00\x1b[31m",
    "<link rel=stylesheet href=//evil.example/x.css><base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
]


class Elements(HTMLParser):
    """What a page is made of: its elements with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.comments: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    elements.close()
    assert elements.open == []
    return elements


def page_with(server: RunningServer, said: list[str]) -> tuple[httpx2.Response, Elements]:
    """The page of a session that says something in every place that a page shows."""
    session_id = f"page-{uuid4()}"
    for n, text in enumerate(said):
        message = json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])
        one = call(
            f"{session_id}/{n}",
            text,
            start_ms=n,
            end_ms=n + 1,
            session__id=session_id,
            user__id=text,
            gen_ai__request__model=text,
            gen_ai__input__messages=message,
            agentmark__session_name=text,
            agentmark__tags=json.dumps([text]),
            agentmark__metadata__key=text,
        )
        one.attributes.extend(pairs({text: text}))
        one.status.message = text
        one.events.add(name=text, attributes=pairs({text: text}))
        post(server.url, one, resource={"service.name": text}, scope=text)
    reply = export(server, session_id, format="html")
    return reply, parsed(reply.text)


def test_html_holds_no_markup_of_others(shared_server: RunningServer) -> None:
    """Whatever a session says, its page is made of what a harmless one is made of, and says it all."""
    _, harmless = page_with(shared_server, [f"harmless {n}" for n in range(len(HOSTILE))])
    reply, hostile = page_with(shared_server, HOSTILE)
    assert hostile.elements == harmless.elements
    assert hostile.comments == harmless.comments == []
    assert {tag for tag, _ in hostile.elements} & {"script", "a", "img", "svg", "link", "base", "iframe"} == set()
    assert not any(
        name.startswith("on") or name in {"href", "src"} for _, some in hostile.elements for name, _ in some
    )
    assert all(text in hostile.text for text in HOSTILE if text.isprintable())
    assert "\x00" not in reply.text


def test_html_is_alone(shared_server: RunningServer) -> None:
    """The page needs no other file and no network, and forbids both to itself."""
    session_id = filled(shared_server)
    reply = export(shared_server, session_id, format="html")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in reply.headers["content-security-policy"]
    page = parsed(reply.text)
    policies = [dict(some)["content"] for _, some in page.elements if dict(some).get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not re.search(r"url\(|@import|https?:", reply.text)
    said = page.text.replace("\n", " ")
    assert all(text in said for text in ("A name", session_id, "Why <b>?", "So.", "gpt-4o", "noted"))


NAMES = {
    "simple-1": "session-simple-1",
    'a/b\\c"d;e\nf': "session-a_b_c_d_e_f",
    "../..": "session",
    "ünï 🦊": "session-n",
    "x" * 500: "session-" + "x" * 80,
}


@pytest.mark.parametrize(("session_id", "name"), NAMES.items(), ids=range(len(NAMES)))
def test_file_name(shared_server: RunningServer, session_id: str, name: str) -> None:
    """Whatever its id, a session is offered as a file of a plain name, that ends as its format does."""
    post(shared_server.url, span(f"name {session_id}", "a", session__id=session_id))
    suffixes = {"json": "json", "jsonl": "jsonl", "otlp": "otlp.json", "html": "html"}
    for format_, suffix in suffixes.items():
        said = export(shared_server, session_id, format=format_).headers["content-disposition"]
        assert said == f'attachment; filename="{name}.{suffix}"'


@pytest.mark.parametrize("query", ["format=pdf", "color=red", "format=otlp&encoding=xml"])
def test_wrong_parameters(shared_server: RunningServer, query: str) -> None:
    """A wrong parameter is a 400 that names it."""
    reply = httpx2.get(f"{shared_server.url}/v1/sessions/any/export?{query}")
    assert reply.status_code == 400
    assert query.rsplit("&", maxsplit=1)[-1].split("=", maxsplit=1)[0] in reply.json()["error"]["message"]


def test_unknown(shared_server: RunningServer) -> None:
    """A session that is not there is a 404."""
    reply = httpx2.get(f"{shared_server.url}/v1/sessions/nobody%2Fhere/export")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def memory_of(server: RunningServer) -> int:
    """The most memory that the server held so far, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def test_large(server: RunningServer) -> None:
    """A large session is sent as it is read: it never lies in memory whole, and a slow reader stops no writer."""
    filler = "x" * 20_000
    for n in range(40):
        some = [span(f"{n}/{i}", "a", start_ms=n, session__id="large", text=f"{i}{filler}") for i in range(50)]
        assert post(server.url, *some).status_code == 200
    before, size = memory_of(server), 0
    with httpx2.stream("GET", f"{server.url}/v1/sessions/large/export?format=jsonl", timeout=60) as reply:
        for number, piece in enumerate(reply.iter_bytes(1 << 16)):
            size += len(piece)
            if number == 0:
                assert post(server.url, span("more", "a", session__id="other")).status_code == 200
    assert size > 2000 * len(filler)
    assert memory_of(server) - before < size / 2
