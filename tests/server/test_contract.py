"""The server does what its own description, `/v1/openapi.json`, says, whatever it is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from conftest import RunningServer, start_server
from support.spans import body_of, call, post, span

# As committed: tests/project/test_openapi.py compares it with what the server says.
OPENAPI = Path(__file__).parents[2] / "openapi.json"
# The examples of the description: these are there.
SESSION, USER, SCORE = "chat-1", "ann", "score-1"
TRACE, SPAN = bytes.fromhex("5b8efff798038103d269b633813fc60c"), bytes.fromhex("051581bf3cb55c13")

CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"deterministic": True, "database": "none", "max-examples": 10},
        "phases": {"stateful": {"enabled": False}},
    }
)
PROTOBUF = "application/x-protobuf"


@schemathesis.serializer(PROTOBUF)
def as_it_is(_: Any, value: Any) -> Any:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


# To JSON Schema a message is any bytes. Without spans it is the same for all of OTLP's signals.
schemathesis.openapi.media_type(PROTOBUF, st.text().map(lambda name: body_of(resource={"service.name": name})))


def narrowed() -> dict[str, Any]:
    """The description, less what no schema can say: what a text means, and what parameters mean together."""
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    for operation in (one for path in document["paths"].values() for one in path.values()):
        said = operation.get("parameters", [])
        # Nobody can make one up, and it fits one list in one order only: the tests of lists walk by it.
        operation["parameters"] = [one for one in said if one["name"] != "cursor"]
        schemas = {one["name"]: one["schema"] for one in said}
        if "filter" in schemas:  # a language: tests/server/test_filters.py fuzzes it
            schemas["filter"]["enum"] = ["total_cost > 0.01", 'any(span.name contains "a") or not tag = "beta"']
    # A range must go forwards, and has so many minutes at most.
    for one in document["paths"]["/v1/metrics"]["get"]["parameters"]:
        if one["name"] in {"start_date", "end_date"}:
            one["schema"] = {"enum": ["2025-11-24" if one["name"] == "start_date" else "2025-11-25"]}
    return document


# The stream of events has no end: tests/server/test_get_events.py reads it.
contract = schemathesis.openapi.from_dict(narrowed(), config=CONFIG).exclude(path="/v1/events")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own, whose answers depend on no other test; what the examples name is there."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "agentmark.json").write_text('{"agentmarkPath": "."}')
    (folder / "chat.prompt.mdx").write_text("Hello")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        running = start_server(folder / "agentmark.db")
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
def session() -> Iterator[requests.Session]:
    """Keeps its connection to the server."""
    with requests.Session() as kept:
        yield kept


def check(case: Case[Any], server: RunningServer, session: requests.Session) -> None:
    """Send a request, and compare what comes back with the description."""
    assert case.meta
    if (
        case.meta.generation.mode.is_positive
        and case.query.get("include")
        and int(case.query.get("limit", 0)) > 100
    ):
        del case.query["include"]  # with content, `limit` is at most 100
    case.call_and_validate(base_url=server.url, session=session)


@contract.exclude(method="DELETE").parametrize()
def test_contract(case: Case[Any], server: RunningServer, session: requests.Session) -> None:
    """No request, whether it fits the description or not, is answered otherwise than described."""
    check(case, server, session)


@contract.include(method="DELETE").parametrize()
def test_deleting(case: Case[Any], server: RunningServer, session: requests.Session) -> None:
    """The same of what takes away what the other requests ask for."""
    check(case, server, session)
