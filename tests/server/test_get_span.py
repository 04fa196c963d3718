"""GET /v1/traces/{id}/spans/{span_id}."""

import json
import math
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from conftest import RunningServer
from support.spans import MS, START, call, pairs, post, span, span_id, trace_id


def opened(server: RunningServer, one: Span) -> Any:
    return server.get(f"/v1/traces/{one.trace_id.hex()}/spans/{one.span_id.hex()}")["data"]


def test_all_that_came(shared_server: RunningServer) -> None:
    """Attributes, events and links come whole and as they came, whatever their type and length."""
    long = "x" * 200_000
    values = {"s": "ü\n", "i": 2**63 - 1, "f": 0.1, "b": True, "none": None, "raw": b"\x00\xff", "long": long}
    one = span(f"{uuid4()}", "root", **values, list=[1, "a", [False]])
    one.attributes.append(
        KeyValue(key="map", value=AnyValue(kvlist_value=KeyValueList(values=pairs({"k": [1.5]}))))
    )
    one.attributes.extend(pairs({"nan": math.nan, "inf": -math.inf}))
    one.events.add(name="happened", time_unix_nano=START + 5 * MS, attributes=pairs({"exception.message": "no"}))
    one.links.add(
        trace_id=trace_id("other"), span_id=span_id("other"), trace_state="a=b", attributes=pairs({"why": 1})
    )
    post(shared_server.url, one)
    data = opened(shared_server, one)
    expected = values | {"raw": "AP8=", "list": [1, "a", [False]], "map": {"k": [1.5]}}
    assert data["attributes"] == expected | {"nan": "NaN", "inf": "-Infinity"}
    assert data["events"] == [
        {"name": "happened", "time": "2025-11-24T16:00:00.005000000Z", "attributes": {"exception.message": "no"}}
    ]
    assert data["links"] == [
        {
            "trace_id": trace_id("other").hex(),
            "span_id": span_id("other").hex(),
            "trace_state": "a=b",
            "attributes": {"why": 1},
        }
    ]


def test_messages(shared_server: RunningServer) -> None:
    """A call says in one shape what it was asked and answered, uncut; `input` and `output` say it as text."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": "Why? " * 100}]}]
    one = call(
        f"{uuid4()}",
        "chat",
        gen_ai__system_instructions='[{"type": "text", "content": "Be brief."}]',
        gen_ai__input__messages=json.dumps(asked),
        gen_ai__output__messages='[{"role": "assistant", "parts": [{"type": "text", "content": "So."}]}]',
    )
    post(shared_server.url, one)
    data = opened(shared_server, one)
    system = {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "So."}]}
    assert data["messages"] == {"input": [system, *asked], "output": [answer]}
    assert (data["input"], data["output"]) == ("Why? " * 100, "So.")


def test_tool(shared_server: RunningServer) -> None:
    """A tool's span says its arguments and its result."""
    one = span(
        f"{uuid4()}",
        "execute_tool search",
        gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="search",
        gen_ai__tool__call__arguments='{"q": "x"}',
        gen_ai__tool__call__result="found",
    )
    post(shared_server.url, one)
    data = opened(shared_server, one)
    assert json.loads(data["input"]) == {"q": "x"}
    assert data["output"] == "found"
    assert data["messages"]["input"][0]["parts"][0]["name"] == "search"


def test_nothing(shared_server: RunningServer) -> None:
    """A span that holds nothing says nothing."""
    one = span(f"{uuid4()}", "root")
    post(shared_server.url, one)
    data = opened(shared_server, one)
    assert (data["input"], data["output"], data["messages"]) == (None, None, {"input": [], "output": []})
    assert (data["attributes"], data["events"], data["links"]) == ({}, [], [])


def test_status_message(shared_server: RunningServer) -> None:
    """What a program says of a status is there, cut at a thousand characters."""
    one = span(f"{uuid4()}", "root")
    one.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="no " * 1000))
    post(shared_server.url, one)
    data = opened(shared_server, one)
    assert (data["status"], data["status_message"]) == ("error", ("no " * 1000)[:1000])


@pytest.mark.parametrize(
    "key", ["agentmark.prompt_name", "gen_ai.prompt.name", "langfuse.observation.prompt.name"]
)
def test_prompt_name(shared_server: RunningServer, key: str) -> None:
    """A span says the prompt that it ran, by whichever convention names it."""
    one = span(f"{uuid4()}", "root", **{key: "chat.prompt.mdx"})
    post(shared_server.url, one)
    assert opened(shared_server, one)["prompt_name"] == "chat.prompt.mdx"


def test_same_id_in_two_traces(shared_server: RunningServer) -> None:
    """A span's id is its trace's own: in another trace it is another span."""
    one, two = span(f"{uuid4()}", "one"), span(f"{uuid4()}", "two")
    two.span_id = one.span_id
    post(shared_server.url, one, two)
    assert (opened(shared_server, one)["name"], opened(shared_server, two)["name"]) == ("one", "two")


def test_newest_version(shared_server: RunningServer) -> None:
    """Of a span that was sent running and then ended, what it held at its end is shown."""
    name = f"{uuid4()}"
    post(shared_server.url, span(name, "root", end_ms=None, agentmark__output="not yet"))
    ended = span(name, "root", end_ms=5, agentmark__output="done")
    post(shared_server.url, ended)
    assert opened(shared_server, ended)["output"] == "done"


def test_odd_content(shared_server: RunningServer) -> None:
    """Content that JSON can hardly hold is still answered."""
    deep = "[" * 5000 + "]" * 5000
    messages = '[{"role": "user", "parts": [{"type": "text", "content": "\\ud800"}]}]'
    one = call(f"{uuid4()}", "chat", gen_ai__input__messages=messages, gen_ai__output__messages=deep)
    post(shared_server.url, one)
    assert opened(shared_server, one)["attributes"]["gen_ai.output.messages"] == deep


def test_unknown(shared_server: RunningServer) -> None:
    """A span that is not there, of a trace that is or is not, is a 404; so is what no id looks like."""
    one = span(f"{uuid4()}", "root")
    post(shared_server.url, one)
    there, nowhere = one.trace_id.hex(), "0" * 32
    for path in (f"{there}/spans/{'1' * 16}", f"{nowhere}/spans/{one.span_id.hex()}", f"{there}/spans/a%2Fb"):
        reply = httpx2.get(f"{shared_server.url}/v1/traces/{path}")
        assert reply.status_code == 404
        assert "there is no span" in reply.json()["error"]["message"]


def test_wrong_parameters(shared_server: RunningServer) -> None:
    """A parameter is a 400 that names it: there are none."""
    reply = httpx2.get(f"{shared_server.url}/v1/traces/{'0' * 32}/spans/{'0' * 16}?limit=1")
    assert reply.status_code == 400
    assert "limit" in reply.json()["error"]["message"]
