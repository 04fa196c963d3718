"""`agentmark api sessions get` on a terminal: the conversation, turn by turn."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.spans import call, post, span

GET = ("api", "sessions", "get")
STYLE = re.compile(r"\x1b\[[\d;]*m")


def said(role: str, *parts: Any) -> str:
    return json.dumps(
        [{"role": role, "parts": [{"type": "text", "content": p} if isinstance(p, str) else p for p in parts]}]
    )


def plain(written: str) -> str:
    """Return what a terminal shows, without styles."""
    return STYLE.sub("", written)


def send(url: str, session: str, number: int, asked: str, got: str | None, *, at: int, **more: Any) -> None:
    """Record a turn of two seconds: a call of a tool, and an answer, or a failure with a message."""
    trace = f"{session}/{number}"
    tool = {"type": "tool_call", "id": "c", "name": "lookup", "arguments": {"order": 48213}}
    usage = {"gen_ai__usage__input_tokens": 1000, "gen_ai__usage__output_tokens": 20} | more
    asks = call(
        trace,
        "chat",
        "turn",
        start_ms=at,
        end_ms=at + 500,
        gen_ai__input__messages=said("user", asked),
        gen_ai__output__messages=said("assistant", tool),
        **usage,
    )
    ran = span(
        trace,
        "execute_tool lookup",
        "turn",
        start_ms=at + 500,
        end_ms=at + 1340,
        error=got is None,
        gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="lookup",
        gen_ai__tool__call__id="c",
        **({"gen_ai__tool__call__result": f"the result of {asked}"} if got else {}),
    )
    history = json.loads(said("user", asked)) + json.loads(said("assistant", tool))
    ends = call(
        trace,
        "chat again",
        "turn",
        start_ms=at + 1340,
        end_ms=at + 2000,
        error=got is None,
        gen_ai__input__messages=json.dumps(history),
        **({"gen_ai__output__messages": said("assistant", got)} if got else {}),
        **usage,
    )
    ends.status.message = "" if got else "429: too many requests"
    root = span(trace, "turn", start_ms=at, end_ms=at + 2000, error=got is None, session__id=session)
    post(url, root, asks, ran, ends)


@pytest.fixture(scope="module")
def recorded(shared_server: Any) -> Iterator[Any]:
    """Serve three turns: one that is answered, one that fails, one an hour later."""
    priced = {"gen_ai__request__model": "gpt-4o-mini"}
    send(shared_server.url, "told", 0, "Where is my order?", "On its way.", at=0, **priced)
    send(shared_server.url, "told", 1, "And the other?", None, at=14_000)
    send(shared_server.url, "told", 2, "Thank you.", "You are welcome.", at=3_616_000, **priced)
    return shared_server


def shown(agentmark: Any, server: Any, *words: str, columns: int = 100) -> str:
    return plain(agentmark.on_terminal(*GET, *words, env=server.env, columns=columns))


@pytest.mark.parametrize("columns", [80, 120])
def test_turn_by_turn(recorded: Any, agentmark: Any, columns: int) -> None:
    """Each turn says when, how long after the one before, what was said and done, what it took; all of it fits."""
    written = shown(agentmark, recorded, "told", columns=columns)
    lines = written.splitlines()
    assert max(map(len, lines)) <= columns
    assert re.search(r"^Session +told", written, re.MULTILINE)
    assert re.search(r"^Duration +1h00m, 0% of it active", written, re.MULTILINE)
    assert re.search(r"^Errors +2 errors, 1 failed trace", written, re.MULTILINE)
    heads = [line for line in lines if re.match(r"[123]  ", line)]
    assert [re.findall(r"\S+ \S+ later", line) for line in heads] == [[], ["12 s later"], ["1 hour later"]]
    assert all("2.0s" in line and "2,040 tokens" in line for line in heads)
    assert re.search(r"^  User +Where is my order\?", written, re.MULTILINE)
    assert re.search(r"^  Tool +lookup \{\"order\": 48213\} → the result of .*840ms *$", written, re.MULTILINE)
    assert re.search(r"^  Answer +On its way\.", written, re.MULTILINE)
    assert re.search(r"^  Error +429: too many requests", written, re.MULTILINE)
    assert lines[-1] == "3 of 3 traces"


def test_bars_are_on_one_scale(recorded: Any, agentmark: Any) -> None:
    """Each turn's line has a bar as long as the session, with the turn where it was in it."""
    written = shown(agentmark, recorded, "told", columns=120)
    bars = re.findall(r"[·━]{8,}", written)
    assert len({len(bar) for bar in bars}) == 1
    assert [bar.strip("━")[:1] for bar in bars] == ["·", "·", "·"]
    assert bars[0].startswith("━")
    assert bars[2].endswith("━")


def test_what_is_not_known_is_never_zero_dollars(recorded: Any, agentmark: Any) -> None:
    """A turn whose calls have no price has a dash; the others say what they cost."""
    heads = re.findall(r"^[123]  .*$", shown(agentmark, recorded, "told"), re.MULTILINE)
    assert heads[1].endswith("–")  # noqa: RUF001 - an en dash is meant
    assert all(re.search(r"\$0\.000\d$", head) for head in (heads[0], heads[2]))


def test_errors_are_red(recorded: Any, agentmark: Any) -> None:
    """What failed is red: the turn's number, the step and the reason."""
    written = agentmark.on_terminal(*GET, "told", env=recorded.env)
    for words in ("2", "429: too many requests"):
        assert re.search(rf"\x1b\[[\d;]*31m *{words}", written)
    assert not re.search(r"\x1b\[[\d;]*31m *On its way", written)


def test_pages_go_on_counting(recorded: Any, agentmark: Any) -> None:
    """A page shows its turns under their numbers, with the gap to the page before, and names the next."""
    written = shown(agentmark, recorded, "told", "--limit", "1", "--offset", "1")
    assert re.search(r"^2  .*12 s later", written, re.MULTILINE)
    assert "Where is my order" not in written
    assert "1 of 3 traces; next page: agentmark api sessions get told --limit 1 --offset 2" in written
    assert "they end before it" in shown(agentmark, recorded, "told", "--offset", "9")


def test_in_a_pipe_it_is_the_sessions_own_body(recorded: Any, agentmark: Any) -> None:
    """What is piped is GET /v1/sessions/{id}, with traces and no turns."""
    data = json.loads(agentmark(*GET, "told", env=recorded.env).stdout)["data"]
    assert len(data["traces"]) == 3
    assert "turns" not in data


def test_content_cannot_steer_the_terminal(shared_server: Any, agentmark: Any) -> None:
    """Escape sequences, direction marks and Rich markup in what was said are shown, not obeyed."""
    evil = "x\x1b]0;owned\x07\n[red]y[/red]\u202eabc\x9b2J\r:smile:"
    send(shared_server.url, "evil", 0, evil, evil, at=0)
    written = shown(agentmark, shared_server, "evil", columns=200)
    assert not set("\x1b\x07\u202e\x9b\r") & set(written)
    assert written.count("[red]y[/red]\\u202eabc\\x9b2J") >= 2
    assert ":smile:" in written


def test_long_texts_are_cut(shared_server: Any, agentmark: Any) -> None:
    """Of a long text the beginning is shown, and how long it is."""
    send(shared_server.url, "long", 0, "w " * 5000, "Fine.", at=0)
    written = shown(agentmark, shared_server, "long")
    assert "10,000 characters in all" in written
    assert len(written) < 6000
