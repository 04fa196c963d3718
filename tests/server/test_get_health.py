"""GET /health."""

from importlib.metadata import version

from conftest import RunningServer


def test_health(shared_server: RunningServer) -> None:
    """A server that runs says so, and which version it is."""
    assert shared_server.get("/health") == {"status": "ok", "version": version("agentmark")}
