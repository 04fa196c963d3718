"""`agentmark api traces`."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conftest import RunningServer, start_server
from support.spans import call, post, span, trace_id

LIST = ("api", "traces", "list")
GET = ("api", "traces", "get")
ID = trace_id("turn").hex()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A trace of four spans in a session, and one of a single span in none."""
    running = start_server(tmp_path_factory.mktemp("traces") / "agentmark.db")
    post(
        running.url,
        span("turn", "handle \x1b[31m[bold]", end_ms=4000, session__id="s"),
        span("turn", "agent", "handle \x1b[31m[bold]", end_ms=3000, start_ms=1),
        call("turn", "chat", "agent", start_ms=1000, end_ms=2000, gen_ai__request__model="gpt-4o"),
        span("turn", "store", "handle \x1b[31m[bold]", start_ms=3500, end_ms=3900, error=True),
    )
    post(running.url, span("alone", "alone", start_ms=9000, end_ms=9001))
    yield running
    running.stop()


def plain(written: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", written)


def test_in_a_pipe_a_list_is_the_servers_own_bytes(server: Any, agentmark: Any) -> None:
    """What is piped is the body of GET /v1/traces, with the parameters that were given."""
    done = agentmark(*LIST, "--session-id", "s", "--sort-by", "total_cost", "--sort-order", "asc", env=server.env)
    assert (done.returncode, done.stderr) == (0, b"")
    params = {"session_id": "s", "sort_by": "total_cost", "sort_order": "asc"}
    assert json.loads(done.stdout) == server.get("/v1/traces", **params)


def test_every_filter_is_passed_on(agentmark: Any, gateway: Any) -> None:
    """Options have the names of the API's parameters."""
    options = ["session-id", "user-id", "name", "status", "model", "start-date", "end-date", "cursor"]
    words = [word for option in options for word in (f"--{option}", "x")]
    env = {"AGENTMARK_API_KEY": "k", "AGENTMARK_BASE_URL": gateway.url}
    assert agentmark(*LIST, "--remote", *words, "--limit", "3", env=env).returncode == 0
    [path] = gateway.paths
    for option in options:
        assert f"{option.replace('-', '_')}=x" in path


def test_list_on_a_terminal(server: Any, agentmark: Any) -> None:
    """A terminal shows a table, the latest first, and the command for the next page."""
    shown = plain(agentmark.on_terminal(*LIST, "--limit", "1", env=server.env, columns=120))
    assert shown.index("alone") > 0
    assert "1 of 2 traces; next page: agentmark api traces list --limit 1 --cursor " in shown


def test_tree_on_a_terminal(server: Any, agentmark: Any) -> None:
    """`get` draws the spans as a tree, with bars for when they ran, and no control character of theirs."""
    written = agentmark.on_terminal(*GET, ID, env=server.env, columns=110)
    assert "\x1b[31m[bold]" not in written
    shown = plain(written).splitlines()
    rows = [line for line in shown if "━" in line]
    assert [row[: row.index("  ")] for row in rows] == [
        r"handle \x1b[31m[bold]",
        "├ agent",
        "│ └ chat",
        "└ store",
    ]
    assert [row.count("━") for row in rows] == [20, 15, 5, 2]
    assert "4 spans" in "\n".join(shown)
    assert "4 of 4 spans" in shown[-1]


def test_lines_and_csv(server: Any, agentmark: Any) -> None:
    """Jsonl is a thing a line, csv a row a thing; of one trace its spans."""
    lines = agentmark(*LIST, "--output", "jsonl", env=server.env).stdout.decode().splitlines()
    assert [json.loads(line)["name"][:6] for line in lines] == ["alone", "handle"]
    written = agentmark(*GET, ID, "--output", "csv", env=server.env).stdout.decode()
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [row["depth"] for row in rows] == ["0", "1", "2", "1"]
    assert rows[2]["model"] == "gpt-4o"
    assert rows[2]["cost"] == ""
    assert json.loads(rows[2]["metadata"]) == {}


def test_unknown(server: Any, agentmark: Any, one_error: Callable[..., str]) -> None:
    """An id that is not there is the server's own line."""
    assert "there is no trace 'abc'" in one_error(agentmark(*GET, "abc", env=server.env))


def test_nothing_yet(agentmark: Any, launch: Callable[..., RunningServer]) -> None:
    """Without traces, a terminal is told how to get some."""
    empty = launch()
    assert "agentmark demo" in agentmark.on_terminal(*LIST, env=empty.env)
    assert "No trace matches" in agentmark.on_terminal(*LIST, "--name", "x", env=empty.env)
