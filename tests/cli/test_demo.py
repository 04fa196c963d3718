"""`agentmark demo`."""

import re
import time
from collections.abc import Callable
from typing import Any

from agentmark_cli.demo_player import Player
from agentmark_cli.demo_script import CONVERSATIONS


def test_a_dozen_sessions_of_several_kinds_are_written(server: Any, agentmark: Any) -> None:
    """One run leaves about a dozen sessions: several users and models, names, agents, errors, unicode."""
    begun = time.monotonic()
    done = agentmark("demo", env=server.env)
    assert time.monotonic() - begun < 10
    assert (done.returncode, done.stderr) == (0, b"")
    sessions = server.get("/v1/sessions")["data"]
    assert len(sessions) == len(CONVERSATIONS)
    assert all(re.fullmatch(r"demo-[\w.]+-\w+-\d{13}", session["id"]) for session in sessions)
    assert len({session["user_id"] for session in sessions} - {None}) >= 8
    assert len({model for session in sessions for model in session["models"]}) >= 6
    assert any(session["name"] is None for session in sessions)
    assert any(not (session["name"] or "").isascii() for session in sessions)
    assert any(session["error_count"] for session in sessions)
    assert any(session["failed_trace_count"] for session in sessions)
    assert any(session["total_cost"] is None for session in sessions)
    assert any(session["agents"] for session in sessions)
    assert all(session["total_tokens"] for session in sessions)
    assert any(session["total_cost"] for session in sessions)
    assert any(session["total_cost"] is None for session in sessions)


def test_it_says_what_it_wrote_and_how_to_see_it(server: Any, agentmark: Any) -> None:
    """The counts that are printed are the server's, and the command that shows the sessions is named."""
    said = agentmark("demo", env=server.env).stdout.decode()
    numbers = re.match(r"Wrote (\d+) sessions, (\d+) traces and (\d+) spans", said)
    assert numbers
    sessions = server.get("/v1/sessions")["data"]
    assert [int(number) for number in numbers.groups()] == [
        len(sessions),
        sum(session["trace_count"] for session in sessions),
        sum(session["span_count"] for session in sessions),
    ]
    assert "agentmark api sessions list" in said


def test_each_run_adds_sessions_of_its_own(server: Any, agentmark: Any) -> None:
    """A second run changes no session of the first."""
    for run in (1, 2):
        assert agentmark("demo", env=server.env).returncode == 0
        assert server.get("/v1/sessions")["pagination"]["total"] == run * len(CONVERSATIONS)


def test_without_a_server_nothing_is_played(agentmark: Any, one_error: Callable[..., str]) -> None:
    """The demo asks first whether the server is there, and says in one line that it is not."""
    begun = time.monotonic()
    said = one_error(agentmark("demo", env={"AGENTMARK_API_PORT": "9"}))
    assert said == "nothing answers at http://127.0.0.1:9: start it with agentmark dev"
    assert time.monotonic() - begun < 3


def test_a_key_alone_sends_nothing_to_the_cloud(agentmark: Any, one_error: Callable[..., str]) -> None:
    """Without AGENTMARK_BASE_URL the demo is for the local server, whatever key the environment holds."""
    env = {"AGENTMARK_API_PORT": "9", "AGENTMARK_API_KEY": "am_live_secret"}
    assert "127.0.0.1:9" in one_error(agentmark("demo", env=env))


def test_a_server_that_takes_no_spans_is_an_error(agentmark: Any, gateway: Any) -> None:
    """Spans that were not taken are never reported as written."""
    gateway.answer(200, {"status": "ok"})  # it answers GET only
    done = agentmark("demo", env={"AGENTMARK_BASE_URL": gateway.url})
    assert done.returncode == 1
    assert done.stdout == b""
    assert f"{gateway.url} did not take all spans" in done.stderr.decode().splitlines()[-1]


def test_session_ids_say_user_topic_and_run() -> None:
    """The id of a session is made of who talks about what, and of the run."""
    ids = [Player(conversation, 1763856000000).session_id for conversation in CONVERSATIONS]
    assert ids[0] == "demo-amara-refund-1763856000000"
    assert len(set(ids)) == len(ids)
