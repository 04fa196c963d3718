"""`agentmark api users`."""

import csv
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

LIST = ("api", "users", "list")
KEY = {"AGENTMARK_API_KEY": "am_live_abc123"}


def test_in_a_pipe_a_list_is_the_servers_own_bytes(server: Any, agentmark: Any, record: Any) -> None:
    """What is piped is the body of GET /v1/users, byte for byte, and a line end; or csv, with a line a user."""
    for number in range(3):
        record(server, f"session-{number}", **{"agentmark.user_id": f"zoë {number // 2}"})
    done = agentmark(*LIST, "--sort-by", "id", env=server.env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [row["id"] for row in json.loads(done.stdout)["data"]] == ["zoë 1", "zoë 0"]
    table = agentmark(*LIST, "--sort-by", "id", "--sort-order", "asc", "--output", "csv", env=server.env)
    rows = list(csv.DictReader(io.StringIO(table.stdout.decode())))
    assert [(row["id"], row["session_count"]) for row in rows] == [("zoë 0", "2"), ("zoë 1", "1")]


def test_options_become_parameters(agentmark: Any, gateway: Any) -> None:
    """Each option is the parameter of its name; what is not given is not sent."""
    words = {
        "limit": "5",
        "cursor": "a+b",
        "search": "x y",
        "start_date": "2026-11-01",
        "end_date": "2026-11-02",
        "sort_by": "total_cost",
        "sort_order": "asc",
    }
    given = [word for name, value in words.items() for word in (f"--{name.replace('_', '-')}", value)]
    agentmark(*LIST, *given, "--remote", env=KEY | {"AGENTMARK_BASE_URL": gateway.url})
    agentmark(*LIST, "--remote", env=KEY | {"AGENTMARK_BASE_URL": gateway.url})
    full, empty = map(urlsplit, gateway.paths)
    assert (full.path, empty.path, empty.query) == ("/v1/users", "/v1/users", "")
    assert parse_qs(full.query) == {name: [value] for name, value in words.items()}


def test_on_a_terminal(server: Any, agentmark: Any, record: Any) -> None:
    """A terminal shows a table, how many there are, and the command for the next page."""
    assert "No users yet" in agentmark.on_terminal(*LIST, env=server.env)
    for number in range(3):
        record(server, f"session-{number}", **{"agentmark.user_id": f"user {number}\x1b[31m"})
    shown = agentmark.on_terminal(*LIST, "--limit", "2", env=server.env)
    assert "user 2\\x1b[31m" in shown
    assert "user 0" not in shown
    assert "2 of 3 users; next page: agentmark api users list --limit 2 --cursor" in shown
    assert "No user matches." in agentmark.on_terminal(*LIST, "--search", "nobody", env=server.env)


def test_what_the_server_says_is_wrong(shared_server: Any, agentmark: Any, one_error: Any) -> None:
    """A value that the server refuses is one line, and an exit code."""
    assert "sort_by" in one_error(agentmark(*LIST, "--sort-by", "color", env=shared_server.env))
