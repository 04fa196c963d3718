"""`agentmark api spans`."""

import json
import re
from collections.abc import Callable
from typing import Any

from support.spans import call, post, span, span_id, trace_id

LIST = ("api", "spans", "list")
GET = ("api", "spans", "get")


def plain(written: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", written)


def chat(trace: str) -> Any:
    asked = [{"role": "user", "parts": [{"type": "text", "content": "Why?\nNow \x1b[31mred"}]}]
    answered = [{"role": "assistant", "parts": [{"type": "tool_call", "name": "find", "arguments": {"q": 1}}]}]
    return call(
        trace,
        "chat",
        end_ms=500,
        gen_ai__request__model="gpt-4o",
        gen_ai__input__messages=json.dumps(asked),
        gen_ai__output__messages=json.dumps(answered),
        gen_ai__usage__input_tokens=100,
        custom__key="value",
    )


def test_in_a_pipe_a_list_is_the_servers_own_bytes(shared_server: Any, agentmark: Any) -> None:
    """What is piped is the body of GET /v1/spans, with the parameters that were given."""
    post(shared_server.url, chat("cli-list"), span("cli-list", "tool", "chat", start_ms=3))
    params = {"trace_id": trace_id("cli-list").hex(), "kind": "llm", "include": "content"}
    words = [word for key, value in params.items() for word in (f"--{key.replace('_', '-')}", value)]
    done = agentmark(*LIST, *words, env=shared_server.env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == shared_server.get("/v1/spans", **params)


def test_every_filter_is_passed_on(agentmark: Any, gateway: Any) -> None:
    """Options have the names of the API's parameters."""
    options = ["trace-id", "session-id", "user-id", "name", "kind", "status", "model", "start-date", "end-date"]
    options += ["sort-by", "sort-order", "include", "cursor"]
    words = [word for option in options for word in (f"--{option}", "x")]
    env = {"AGENTMARK_API_KEY": "k", "AGENTMARK_BASE_URL": gateway.url}
    assert agentmark(*LIST, "--remote", *words, env=env).returncode == 0
    [path] = gateway.paths
    for option in options:
        assert f"{option.replace('-', '_')}=x" in path


def test_list_on_a_terminal(shared_server: Any, agentmark: Any) -> None:
    """A terminal shows a table with the end of what else there is."""
    post(shared_server.url, chat("cli-table"))
    words = ("--trace-id", trace_id("cli-table").hex())
    shown = plain(agentmark.on_terminal(*LIST, *words, env=shared_server.env, columns=140))
    assert span_id("cli-table/chat").hex() in shown
    assert "gpt-4o" in shown
    assert "1 of 1 spans" in shown


def test_span_on_a_terminal(shared_server: Any, agentmark: Any) -> None:
    """`get` shows who said what, line by line, and the attributes; nothing of it steers the terminal."""
    post(shared_server.url, chat("cli-get"))
    ids = trace_id("cli-get").hex(), span_id("cli-get/chat").hex()
    written = agentmark.on_terminal(*GET, *ids, env=shared_server.env, columns=140)
    assert "Now \x1b[31mred" not in written
    shown = plain(written)
    assert re.search(r"user +Why\? *\n +Now \\x1b\[31mred", shown)
    assert re.search(r'assistant +find\(\{"q": 1\}\)', shown)
    assert re.search(r"custom\.key +value", shown)
    assert re.search(r"Tokens +100 in, ", shown)


def test_unknown(shared_server: Any, agentmark: Any, one_error: Callable[..., str]) -> None:
    """A span that is not there is the server's own line."""
    done = agentmark(*GET, "0" * 32, "a/b", env=shared_server.env)
    assert "there is no span 'a/b'" in one_error(done)
