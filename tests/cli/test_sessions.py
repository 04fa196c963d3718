"""`agentmark api sessions`."""

import csv
import io
import json
import re
import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from agentmark_cli import client
from agentmark_cli.errors import CommandError

LIST = ("api", "sessions", "list")
GET = ("api", "sessions", "get")
OPENAPI = json.loads((Path(__file__).parents[2] / "openapi.json").read_text(encoding="utf-8"))
LIST_PARAMETERS = [
    parameter["name"]
    for parameter in OPENAPI["paths"]["/v1/sessions"]["get"]["parameters"]
    if parameter["name"] != "userId"  # the same as user_id
]
KEY = {"AGENTMARK_API_KEY": "am_live_abc123", "AGENTMARK_APP_ID": "app_abc123"}
ODD_IDS = [
    "session-1712764245",
    "a/b?c#d&e=f %2F+",
    "../../health",
    "..",
    "线 🙂 'quoted' \"double\"",
    "two\nlines\tand \x1b[31mred\x1b[0m",
    "[bold]markup[/bold]",
]


def plain(written: str) -> str:
    """Return what a terminal shows, without styles."""
    return re.sub(r"\x1b\[[\d;]*m", "", written)


def test_in_a_pipe_a_list_is_the_servers_own_bytes(server: Any, agentmark: Any, record: Any) -> None:
    """What is piped is the body of GET /v1/sessions, byte for byte, and a line end."""
    for number in range(3):
        record(server, f"session-{number}", **{"agentmark.user_id": "zoë"})
    done = agentmark(*LIST, "--limit", "2", env=server.env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"}\n")
    body = json.loads(done.stdout)
    assert [row["id"] for row in body["data"]] == ["session-2", "session-1"]
    assert body["pagination"]["total"] == 3


def test_json_is_passed_on_unread(agentmark: Any, gateway: Any) -> None:
    """Order of keys, spacing and numbers of the server's JSON stay as they are."""
    gateway.answer(200, b'{"pagination":  {"total": 1.0}, "data": [], "n": 1e400}')
    done = agentmark(*LIST, "--remote", env=KEY | {"AGENTMARK_BASE_URL": gateway.url})
    assert done.stdout == gateway.body + b"\n"


@pytest.mark.parametrize("session_id", ODD_IDS)
def test_any_id_is_found(shared_server: Any, agentmark: Any, record: Any, session_id: str) -> None:
    """`get` finds a session whatever characters its id is made of."""
    record(shared_server, session_id)
    done = agentmark(*GET, session_id, env=shared_server.env)
    assert done.stderr == b""
    session = json.loads(done.stdout)["data"]
    assert session["id"] == session_id
    assert len(session["traces"]) == 1


@pytest.mark.parametrize("session_id", ODD_IDS)
def test_an_id_is_one_segment_of_the_path(agentmark: Any, gateway: Any, session_id: str) -> None:
    """The whole id is percent-encoded, so that none of it is read as path or query."""
    agentmark(*GET, session_id, "--remote", env=KEY | {"AGENTMARK_BASE_URL": gateway.url})
    (path,) = gateway.paths
    prefix, segment = path.rsplit("/", 1)
    assert prefix == "/v1/sessions"
    assert unquote(segment) == session_id
    assert "?" not in segment


def test_options_become_parameters(agentmark: Any, gateway: Any) -> None:
    """Each option is the parameter of its name; what is not given is not sent."""
    env = KEY | {"AGENTMARK_BASE_URL": gateway.url}
    agentmark(*LIST, "--limit", "5", "--offset", "10", "--cursor", "a+b", "--name", "x y", "--remote", env=env)
    agentmark(*LIST, "--user-id", "u&1", "--remote", env=env)
    agentmark(*LIST, "--remote", env=env)
    agentmark(*GET, "s", "--limit", "5", "--offset", "1", "--remote", env=env)
    assert gateway.paths == [
        "/v1/sessions?limit=5&offset=10&cursor=a%2Bb&name=x+y",
        "/v1/sessions?user_id=u%261",
        "/v1/sessions",
        "/v1/sessions/s?limit=5&offset=1",
    ]


def test_every_parameter_has_an_option(agentmark: Any, gateway: Any) -> None:
    """What GET /v1/sessions can be asked, `list` can be asked, under the same names."""
    given: list[str] = []
    for name in LIST_PARAMETERS:
        side, _, rest = name.partition("_")
        if side in {"min", "max"}:
            given += [f"--{side}", f"{rest}=3"]
        elif name == "metadata.<key>":
            given += ["--metadata", "<key>=3"]
        else:
            given += [f"--{name.replace('_', '-')}", "3"]
    done = agentmark(*LIST, *given, "--remote", env=KEY | {"AGENTMARK_BASE_URL": gateway.url})
    assert done.returncode == 0, done.stderr
    [asked] = gateway.paths
    assert sorted(parse_qsl(urlsplit(asked).query)) == [(name, "3") for name in sorted(LIST_PARAMETERS)]


def test_an_option_again_means_either(server: Any, agentmark: Any, record: Any) -> None:
    """Several values of one option find what either finds; several options what all find."""
    for number, plan in enumerate(["free", "pro", "team"]):
        record(server, f"s{number}", **{"agentmark.metadata.plan": plan, "user.id": "ann"})
    words = ["--metadata", "plan=pro", "--metadata", "plan=team", "--sort-by", "start", "--sort-order", "asc"]
    asked = [*words, "--user-id", "ann", "--min", "span_count=1", "--filter", "not any(span.status = error)"]
    body = json.loads(agentmark(*LIST, *asked, env=server.env).stdout)
    assert [row["id"] for row in body["data"]] == ["s1", "s2"]


def test_a_pair_without_a_value_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """--min, --max and --metadata say how they are given."""
    for option in ("--min", "--max", "--metadata"):
        assert one_error(agentmark(*LIST, option, "x")) == f"{option} is given as name=value, not as 'x'"


def test_csv(server: Any, agentmark: Any, record: Any) -> None:
    """--output csv has a column for each field of the API and a line for each session, with sets as JSON."""
    record(server, "a,b", **{"agentmark.session_name": 'say "hi"\nthere', "agentmark.tags": '["x"]'})
    body = json.loads(agentmark(*LIST, env=server.env).stdout)
    written = agentmark(*LIST, "--output", "csv", env=server.env).stdout.decode()
    [row] = csv.DictReader(io.StringIO(written, newline=""))
    assert list(row) == list(body["data"][0])
    assert (row["id"], row["name"], row["tags"]) == ("a,b", 'say "hi"\nthere', '["x"]')
    assert (row["total_cost"], row["span_count"]) == ("", "1")


def test_filters_find(server: Any, agentmark: Any, record: Any) -> None:
    """--name finds a part of the name, --user-id the sessions of a user."""
    record(server, "s1", **{"agentmark.session_name": "Billing issue", "agentmark.user_id": "u1"})
    record(server, "s2", **{"agentmark.session_name": "Other", "agentmark.user_id": "u2"})
    for words in (["--name", "billing"], ["--user-id", "u1"]):
        body = json.loads(agentmark(*LIST, *words, env=server.env).stdout)
        assert [row["id"] for row in body["data"]] == ["s1"]


def test_remote_sends_key_and_app(agentmark: Any, gateway: Any) -> None:
    """--remote asks AGENTMARK_BASE_URL with the key and the app of the environment."""
    env = KEY | {"AGENTMARK_BASE_URL": gateway.url + "/"}
    assert agentmark(*LIST, "--remote", env=env).returncode == 0
    assert gateway.paths == ["/v1/sessions"]
    assert gateway.headers[0]["authorization"] == "Bearer am_live_abc123"
    assert gateway.headers[0]["x-agentmark-app-id"] == "app_abc123"


def test_the_app_may_be_left_out(agentmark: Any, gateway: Any) -> None:
    """Without AGENTMARK_APP_ID no app is named: the key knows it."""
    env = {"AGENTMARK_API_KEY": "k", "AGENTMARK_BASE_URL": gateway.url}
    assert agentmark(*LIST, "--remote", env=env).returncode == 0
    assert "x-agentmark-app-id" not in gateway.headers[0]


def test_remote_without_a_key_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """A missing key is said with the variable to set, and nothing is asked."""
    assert one_error(agentmark(*LIST, "--remote")) == "--remote needs an API key: set AGENTMARK_API_KEY"


def test_a_broken_key_is_not_shown(agentmark: Any, one_error: Callable[..., str]) -> None:
    """A key that no header can hold is refused without being printed."""
    said = one_error(agentmark(*LIST, "--remote", env={"AGENTMARK_API_KEY": "am_live_sécret"}))
    assert said.startswith("AGENTMARK_API_KEY holds characters")
    assert "cret" not in said


def test_local_questions_carry_no_key(agentmark: Any, gateway: Any) -> None:
    """Without --remote neither the key nor AGENTMARK_BASE_URL is used."""
    env = KEY | {
        "AGENTMARK_API_PORT": gateway.url.rsplit(":", 1)[1],
        "AGENTMARK_BASE_URL": "http://127.0.0.1:9",
    }
    assert agentmark(*LIST, env=env).returncode == 0
    assert "authorization" not in gateway.headers[0]


def test_local_questions_use_no_proxy(agentmark: Any, gateway: Any) -> None:
    """A proxy of the environment is not asked for what is on this machine."""
    env = {"AGENTMARK_API_PORT": gateway.url.rsplit(":", 1)[1], "HTTP_PROXY": "http://127.0.0.1:9"}
    assert agentmark(*LIST, env=env).returncode == 0


def test_no_server_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """Where nothing listens, the address and the command that starts the server are named."""
    said = one_error(agentmark(*LIST, env={"AGENTMARK_API_PORT": "9"}))
    assert said == "nothing answers at http://127.0.0.1:9: start it with agentmark dev"


def test_a_wrong_port_in_the_environment_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """A port that is none is named with its variable."""
    assert "AGENTMARK_API_PORT is 'x'" in one_error(agentmark(*LIST, env={"AGENTMARK_API_PORT": "x"}))


def test_a_wrong_address_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """An AGENTMARK_BASE_URL that is no address is one line."""
    for url in ("ftp://example.org", "http://", "nonsense", "http://[::1"):
        assert "cannot ask" in one_error(agentmark(*LIST, "--remote", env=KEY | {"AGENTMARK_BASE_URL": url}))


def test_an_error_of_the_api_is_its_message(agentmark: Any, gateway: Any, one_error: Callable[..., str]) -> None:
    """What the API says went wrong is printed on one line, without anything that steers a terminal."""
    gateway.answer(400, {"error": {"code": "bad", "message": "limit\nis \x1b[31mtoo big", "details": {}}})
    env = KEY | {"AGENTMARK_BASE_URL": gateway.url}
    assert one_error(agentmark(*LIST, "--remote", env=env)) == "limit is \\x1b[31mtoo big"


def test_an_unknown_session_is_one_line(shared_server: Any, agentmark: Any, one_error: Callable[..., str]) -> None:
    """A session that does not exist is an error of the command."""
    assert one_error(agentmark(*GET, "no-such-session", env=shared_server.env))


def test_a_refused_limit_is_one_line(shared_server: Any, agentmark: Any, one_error: Callable[..., str]) -> None:
    """The server's 400 names the parameter, and so does the command."""
    assert "limit" in one_error(agentmark(*LIST, "--limit", "0", env=shared_server.env))


@pytest.mark.parametrize(
    ("status", "body"), [(502, b"<html>Bad Gateway</html>"), (200, b"<html>"), (200, b"[1]"), (204, b"")]
)
def test_an_answer_that_is_not_json_is_one_line(
    agentmark: Any, gateway: Any, one_error: Callable[..., str], status: int, body: bytes
) -> None:
    """A proxy's page in place of an answer is said to be one."""
    gateway.answer(status, body)
    said = one_error(agentmark(*LIST, "--remote", env=KEY | {"AGENTMARK_BASE_URL": gateway.url}))
    assert said == f"{gateway.url} answered {status} with something other than a JSON object"


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [1]}, {"data": {"traces": 7}}])
def test_json_of_another_shape_is_one_line(
    agentmark: Any, gateway: Any, one_error: Callable[..., str], body: dict[str, Any]
) -> None:
    """A table of something else than sessions is refused."""
    gateway.answer(200, body)
    env = KEY | {"AGENTMARK_BASE_URL": gateway.url}
    for words in (LIST, (*GET, "s")):
        said = one_error(agentmark(*words, "--remote", "--output", "table", env=env))
        assert said.startswith("the server answered without a")


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts a connection and stays silent is an error after the time-out."""
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway = client.Gateway(f"http://127.0.0.1:{silent.getsockname()[1]}", "", local=True)
        with pytest.raises(CommandError, match="did not answer within"):
            client.ask(gateway, "/health")


def test_a_table_fits_the_terminal(server: Any, agentmark: Any, record: Any) -> None:
    """On a terminal a list is a table that is as wide as there is room, with id and name in any case."""
    record(server, "session-1712764245", **{"agentmark.session_name": "Customer Support Chat #12345"})
    for columns, titles in (
        (200, "id name user status activity duration traces tokens cost errors"),
        (80, "id name"),
    ):
        lines = plain(agentmark.on_terminal(*LIST, env=server.env, columns=columns)).splitlines()
        assert max(len(line) for line in lines) <= columns
        assert lines[0].split()[: len(titles.split())] == titles.split()
        assert lines[1].startswith("session-1712764245")
        assert "Customer Suppo" in lines[1]
        assert lines[-1] == "1 of 1 sessions"


def test_what_is_unknown_is_never_zero_dollars(server: Any, agentmark: Any, record: Any) -> None:
    """A session without a price has a dash for its cost, and no $."""
    record(server, "s1")
    for words in (LIST, (*GET, "s1")):
        shown = plain(agentmark.on_terminal(*words, env=server.env))
        assert "–" in shown  # noqa: RUF001 - an en dash is meant
        assert "$" not in shown


def test_the_table_names_the_next_page(server: Any, agentmark: Any, record: Any) -> None:
    """The command below the table shows the next page, with the same filters; the last page names none."""
    for number in range(3):
        record(server, f"session-{number}", **{"agentmark.session_name": "it's one"})
    shown = plain(agentmark.on_terminal(*LIST, "--limit", "2", "--name", "it's", env=server.env, columns=300))
    said = re.search(r"2 of 3 sessions; next page: agentmark (.*)", shown)
    assert said
    following = plain(agentmark.on_terminal(*shlex.split(said[1]), env=server.env))
    assert "session-0" in following
    assert "session-1" not in following
    assert "1 of 3 sessions" in following
    assert "next page" not in following


def test_an_empty_list_says_how_to_begin(server: Any, agentmark: Any) -> None:
    """Without any session the table is one sentence, and another where a filter left none."""
    assert "agentmark demo" in agentmark.on_terminal(*LIST, env=server.env)
    assert agentmark.on_terminal(*LIST, "--name", "x", env=server.env) == "No session matches.\n"


def test_content_cannot_steer_the_terminal(shared_server: Any, agentmark: Any, record: Any) -> None:
    """Escape sequences, line ends, direction marks and Rich markup in ids and names are shown, not obeyed."""
    evil = "x\x1b]0;owned\x07\n[red]y[/red]\u202eabc"
    record(shared_server, "id\x1b[2J[bold]", **{"agentmark.session_name": evil, "agentmark.user_id": evil})
    for words in (LIST, (*GET, "id\x1b[2J[bold]")):
        shown = plain(agentmark.on_terminal(*words, env=shared_server.env, columns=300))
        assert not set("\x1b\x07\u202e") & set(shown)
        assert "id\\x1b[2J[bold]" in shown
        assert "[red]y[/red]" in shown


def test_a_name_that_is_missing_is_the_first_message(agentmark: Any, gateway: Any) -> None:
    """A session without a name is shown by what its user said first, dimmed."""
    gateway.answer(200, {"data": [{"id": "s", "name": None, "input_preview": "Hello there"}]})
    env = KEY | {"AGENTMARK_BASE_URL": gateway.url}
    shown = agentmark.on_terminal(*LIST, "--remote", env=env)
    assert re.search(r"\x1b\[2mHello there", shown)


def test_get_shows_the_session_and_its_traces(shared_server: Any, agentmark: Any, record: Any) -> None:
    """`get` on a terminal shows the session's fields, and its traces in order, by name where nobody spoke."""
    usage = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 34,
    }
    named = {"agentmark.session_name": "Billing", "agentmark.user_id": "user-123"}
    record(shared_server, "get-1", "handle-greeting", **named)
    record(shared_server, "get-1", "handle-follow-up", **named, **usage)
    shown = plain(agentmark.on_terminal(*GET, "get-1", env=shared_server.env, columns=120))
    assert re.search(r"Session +get-1 *\n", shown)
    assert re.search(r"Name +Billing *\n", shown)
    assert re.search(r"User +user-123", shown)
    assert re.search(r"Contains +2 traces, 2 spans, 1 call *\n", shown)
    assert re.search(r"Tokens +1,234: 1,200 in, 34 out", shown)
    assert shown.index("handle-greeting") < shown.index("handle-follow-up")
    assert shown.endswith("\n2 of 2 traces\n")
    first = plain(agentmark.on_terminal(*GET, "get-1", "--limit", "1", env=shared_server.env, columns=120))
    assert first.endswith("\n1 of 2 traces; next page: agentmark api sessions get get-1 --limit 1 --offset 1\n")


def test_the_output_can_be_chosen(server: Any, agentmark: Any, record: Any) -> None:
    """--output decides, on a terminal and in a pipe."""
    record(server, "s1")
    assert json.loads(agentmark.on_terminal(*LIST, "--output", "json", env=server.env))["data"][0]["id"] == "s1"
    piped = agentmark(*LIST, "--output", "table", env=server.env).stdout.decode()
    assert piped.startswith("id ")
    assert "\x1b" not in piped


@pytest.mark.parametrize("group", [(), ("api",), ("api", "sessions")])
def test_a_group_alone_shows_its_commands(agentmark: Any, group: tuple[str, ...]) -> None:
    """A group without a command prints the same as with --help."""
    done = agentmark(*group)
    assert done.returncode == 0
    assert done.stdout == agentmark(*group, "--help").stdout
    assert b"Commands:" in done.stdout
