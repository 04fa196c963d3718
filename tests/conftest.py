"""What all tests share: a real server in a process of its own, on free ports, with a file of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

SERVER_PYTHON = os.environ.get("SERVER_PYTHON", sys.executable)
"""Runs servers and commands, where the tests themselves run in an environment without their packages."""


@dataclass
class RunningServer:
    """`agentmark dev` in its own process: `url` is its API, `page_url` the page, `db` its file."""

    url: str
    page_url: str
    db: Path
    process: "subprocess.Popen[str]"

    def get(self, path: str, **params: Any) -> Any:
        """The JSON body of GET `path`, which must answer 200."""
        reply = httpx2.get(self.url + path, params=params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    @property
    def env(self) -> dict[str, str]:
        """The environment of a program that records to this server, and of a CLI that asks it."""
        return clean_env() | {"AGENTMARK_API_PORT": self.url.rsplit(":", 1)[1]}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=15)
        if self.process.stdout:
            self.process.stdout.close()


def clean_env() -> dict[str, str]:
    """The environment without what would direct the SDK, the CLI or an exporter elsewhere."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AGENTMARK_", "OTEL_"))}


def start_server(
    db: Path, *, api_port: int = 0, app_port: int = 0, program: Sequence[str] = ("-m", "agentmark_cli")
) -> RunningServer:
    """Start `agentmark dev` (port 0: any free one) and wait until it says where it listens."""
    command = [SERVER_PYTHON, *program, "dev", "--db", str(db)]
    command += ["--api-port", str(api_port), "--app-port", str(app_port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_env()
    )
    assert process.stdout
    addresses: list[str] = []
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        addresses += re.findall(r"http://127\.0\.0\.1:\d+", line)
        if len(addresses) >= 2:
            return RunningServer(addresses[0], addresses[1], db, process)
    process.stdout.close()
    msg = f"the server did not start: {''.join(said)}"
    raise AssertionError(msg)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that use ids of their own and count nothing but those."""
    running = start_server(tmp_path_factory.mktemp("shared") / "agentmark.db")
    yield running
    running.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """An empty server of the test's own."""
    running = start_server(tmp_path / "agentmark.db")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers, on the file `agentmark.db` of the test's folder, and stops them at the end."""
    started: list[RunningServer] = []

    def start(**options: Any) -> RunningServer:
        started.append(start_server(tmp_path / "agentmark.db", **options))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


@dataclass
class Gateway:
    """A server that is not ours: it answers everything alike, and keeps what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"data": [], "pagination": {"total": 0}}'
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Serve the answers that a test chooses."""
    asked = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.paths.append(self.path)
            asked.headers.append({key.lower(): value for key, value in self.headers.items()})
            self.send_response(asked.status)
            self.send_header("Content-Length", str(len(asked.body)))
            self.end_headers()
            self.wfile.write(asked.body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        asked.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield asked
        server.shutdown()
        thread.join()
