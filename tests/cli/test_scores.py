"""`agentmark api scores`."""

import json
from typing import Any

import pytest

SCORES = ("api", "scores")


def added(agentmark: Any, server: Any, *words: str) -> str:
    done = agentmark(*SCORES, "add", *words, env=server.env)
    assert (done.returncode, done.stderr) == (0, b"")
    made: str = json.loads(done.stdout)["data"]["id"]
    assert json.loads(done.stdout) == {"data": {"id": made}}
    return made


def test_add_list_delete(server: Any, agentmark: Any) -> None:
    """What is added is listed with all that was said, until it is deleted."""
    said = ("--name", "helpful", "--score", "-0.5", "--label", "no", "--reason", "Wrong year.")
    made = added(agentmark, server, "session", "a/b ß", *said, "--source", "me")
    span = ("--trace-id", "0" * 31 + "1", "--name", "n", "--score", "1", "--id", "own/1")
    assert added(agentmark, server, "span", "0" * 15 + "A", *span) == "own/1"
    listed = json.loads(agentmark(*SCORES, "list", "--resource-type", "session", env=server.env).stdout)
    [score] = listed["data"]
    assert score.pop("created_at")
    assert score == {
        "id": made,
        "resource_type": "session",
        "resource_id": "a/b ß",
        "trace_id": None,
        "name": "helpful",
        "score": -0.5,
        "label": "no",
        "reason": "Wrong year.",
        "source": "me",
    }
    gone = agentmark(*SCORES, "delete", "own/1", env=server.env)
    assert json.loads(gone.stdout) == {"data": {"id": "own/1"}}
    assert json.loads(agentmark(*SCORES, "list", env=server.env).stdout)["pagination"]["total"] == 1


def test_on_a_terminal(server: Any, agentmark: Any) -> None:
    """A terminal shows a table, and what to do where there is nothing."""
    assert "No scores yet: agentmark api scores add adds one." in agentmark.on_terminal(
        *SCORES, "list", env=server.env
    )
    for number in range(2):
        added(agentmark, server, "session", f"s{number}", "--name", "polite", "--score", str(number / 4))
    shown = agentmark.on_terminal(*SCORES, "list", "--limit", "1", env=server.env)
    assert "polite" in shown
    assert "0.25" in shown
    assert "1 of 2 scores; next page: agentmark api scores list --limit 1 --cursor" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "trace", "x", "--name", "n", "--score", "1"), "32 hexadecimal digits"),
        (("add", "session", "x", "--name", "n", "--score", "high"), "--score"),
        (("add", "user", "x", "--name", "n", "--score", "1"), "user"),
        (("delete", "nothing"), "there is no score 'nothing'"),
        (("delete", ""), "the score id is empty"),
        (("list", "--min-score", "low"), "min_score"),
    ],
)
def test_mistakes(shared_server: Any, agentmark: Any, one_error: Any, words: tuple[str, ...], said: str) -> None:
    """What cannot be done is one line that says why."""
    assert said in one_error(agentmark(*SCORES, *words, env=shared_server.env))
