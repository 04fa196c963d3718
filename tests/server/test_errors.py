"""What every route shares: the envelope of errors, and who may ask at all."""

import httpx2
import pytest

from conftest import RunningServer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("DELETE", "/v1/sessions", 405), ("GET", "/v1/logs", 405), ("GET", "//", 404)],
)
def test_unknown_routes(shared_server: RunningServer, method: str, path: str, status: int) -> None:
    """A route or method that is not there answers in the envelope of errors."""
    reply = httpx2.request(method, shared_server.url + path)
    assert reply.status_code == status
    assert path in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/traces", {"GET", "POST"}),
        ("/v1/sessions/a", {"GET", "PATCH", "DELETE"}),
        ("/v1/scores/a%2Fb", {"GET", "DELETE"}),
        ("/health", {"GET"}),
    ],
)
def test_allowed(shared_server: RunningServer, path: str, methods: set[str]) -> None:
    """405 says with what the path can be asked, whichever of its routes comes first."""
    reply = httpx2.request("PUT", shared_server.url + path)
    assert reply.status_code == 405
    assert set(reply.headers["Allow"].split(", ")) == methods


@pytest.mark.parametrize("path", ["sessions", "traces", "spans", "users", "scores", "metrics"])
def test_far_times(shared_server: RunningServer, path: str) -> None:
    """A range may begin before any time that can be kept, and end behind it."""
    shared_server.get(f"/v1/{path}", start_date="0001-01-01", end_date="9999-12-31T23:59:59.999999999Z")
    shared_server.get("/v1/sessions", filter='start > "0001-01-01" and end < "9999-12-31"')


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9418", "LOCALHOST:1", "[::1]:3000"])
def test_local_names(shared_server: RunningServer, host: str) -> None:
    """The server answers to the names of this machine, on any port that leads to it."""
    assert httpx2.get(f"{shared_server.url}/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9418", "localhost.evil.example", "127.0.0.1.x", ""]
)
@pytest.mark.parametrize("path", ["/health", "/v1/sessions", "/sessions"])
def test_foreign_names(shared_server: RunningServer, host: str, path: str) -> None:
    """A page that has its own name point here (DNS rebinding) reads nothing."""
    reply = httpx2.get(f"{shared_server.url}{path}", headers={"Host": host})
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "forbidden"


def test_no_cors(shared_server: RunningServer) -> None:
    """No other origin is let in."""
    reply = httpx2.get(f"{shared_server.url}/v1/sessions", headers={"Origin": "https://evil.example"})
    assert not [name for name in reply.headers if name.startswith("access-control")]
