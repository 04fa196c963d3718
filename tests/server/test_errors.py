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
