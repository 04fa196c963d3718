"""The page at port 3000: static files that ask the API of their own origin."""

import httpx2
import pytest

from conftest import RunningServer


def test_root(shared_server: RunningServer) -> None:
    """`/` leads to the sessions."""
    reply = httpx2.get(shared_server.page_url)
    assert (reply.status_code, reply.headers["location"]) == (307, "/sessions")


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/sessions", "text/html; charset=utf-8"),
        ("/sessions/a%2Fb", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_files(shared_server: RunningServer, path: str, media_type: str) -> None:
    """Each file of the page comes with its type, and with a policy that lets nothing else run or load."""
    reply = httpx2.get(shared_server.page_url + path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy


def test_api_of_the_own_origin(shared_server: RunningServer) -> None:
    """The page's port serves `/v1` itself."""
    assert httpx2.get(f"{shared_server.page_url}/v1/sessions").status_code == 200
