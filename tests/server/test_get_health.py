"""GET /health."""

import statistics
from importlib.metadata import version

import httpx2

from conftest import RunningServer


def test_no_delay(shared_server: RunningServer) -> None:
    """Answers on a connection that is kept open do not wait for the acknowledgement of the one before (Nagle)."""
    with httpx2.Client() as client:
        answers = [client.get(f"{shared_server.url}/health") for _ in range(20)]
    # Delayed, each but the first takes 40 ms or more: this is no measurement of speed.
    assert statistics.median(answer.elapsed.total_seconds() for answer in answers) < 0.03


def test_health(shared_server: RunningServer) -> None:
    """A server that runs says so, and which version it is."""
    assert shared_server.get("/health") == {"status": "ok", "version": version("agentmark")}
