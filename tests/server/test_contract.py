"""The server does what its own description, `/v1/openapi.json`, says, whatever it is asked."""

from collections.abc import Iterator

import httpx2
import pytest
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from conftest import RunningServer, start_server
from support.spans import call, post, span

# The description's examples: these are there.
SESSION, USER, SCORE = "chat-1", "ann", "score-1"
TRACE, SPAN = bytes.fromhex("5b8efff798038103d269b633813fc60c"), bytes.fromhex("051581bf3cb55c13")

CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"deterministic": True, "database": "none", "max-examples": 10},
        "phases": {"stateful": {"enabled": False}},
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own, whose answers depend on no other test; what the examples name is there."""
    running = start_server(tmp_path_factory.mktemp("contract") / "agentmark.db")
    of = {"session__id": SESSION, "user__id": USER, "tag__tags": ["beta"]}
    root, other = span("t", "root", **of), call("t", "call", "root", session__id="chat-2")
    root.span_id = other.parent_span_id = SPAN
    root.trace_id = other.trace_id = TRACE
    assert post(running.url, root, other).status_code == 200
    assert post(running.url, *(call(f"t{n}", "call", session__id=f"s{n}") for n in range(3))).status_code == 200
    score = {"id": SCORE, "resource_type": "session", "resource_id": SESSION, "name": "helpful", "score": 1}
    assert httpx2.post(f"{running.url}/v1/scores", json=score).status_code == 201
    yield running
    running.stop()


@pytest.fixture(scope="module")
def described(server: RunningServer) -> BaseSchema:
    """What the server says that it does."""
    return schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json", config=CONFIG)


# Its stream has no end: tests/server/test_get_events.py reads it.
contract = schemathesis.pytest.from_fixture("described").exclude(path="/v1/events")


@contract.exclude(method="DELETE").parametrize()
def test_contract(case: Case) -> None:
    case.call_and_validate()


@contract.include(method="DELETE").parametrize()
def test_deleting(case: Case) -> None:
    case.call_and_validate()
