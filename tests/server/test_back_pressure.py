"""POST /v1/traces when more comes than the server may hold."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from google.rpc.status_pb2 import Status

from conftest import clean_env
from support.spans import PROTOBUF, body_of, span

ROOM = 300_000
SERVER = f"""
import socket, sys
from pathlib import Path
from agentmark_cli.serving import serve
from agentmark_server.app import create_app
from agentmark_server.settings import Settings

listening = socket.create_server(("127.0.0.1", 0))
app = create_app(Settings(db=Path(sys.argv[1]), max_request_bytes={ROOM}, max_body_bytes=2_000_000))
serve(app, [listening], lambda: print(listening.getsockname()[1], flush=True))
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a server with little room."""
    command = [sys.executable, "-c", SERVER, str(tmp_path / "agentmark.db")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_env())
    assert process.stdout
    yield int(process.stdout.readline())
    process.terminate()
    assert process.wait(timeout=15) == 0
    process.stdout.close()


def head(length: int) -> bytes:
    lines = ["POST /v1/traces HTTP/1.1", "Host: localhost", f"Content-Type: {PROTOBUF['Content-Type']}"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def send_all(port: int, body: bytes) -> int:
    return httpx2.post(f"http://127.0.0.1:{port}/v1/traces", content=body, headers=PROTOBUF).status_code


def test_full(port: int) -> None:
    """While requests under way fill the room, another is told to come back; with room again it is taken."""
    large = body_of(span("large", "a", session__id="s", text="x" * (ROOM - 1000)))
    other = body_of(span("other", "a", session__id="s", text="y" * 10_000))
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(head(len(large)) + large[:-1])
        refusals = []
        for _ in range(100):  # until the server has read what the slow one sent
            reply = httpx2.post(f"http://127.0.0.1:{port}/v1/traces", content=other, headers=PROTOBUF)
            refusals = [reply] if reply.status_code == 503 else refusals
            if refusals:
                break
        [refusal] = refusals
        assert refusal.headers["retry-after"] in {"1", "2"}
        assert "again later" in Status.FromString(refusal.content).message
        slow.sendall(large[-1:])
        assert re.match(rb"HTTP/1.1 200 ", slow.recv(1000))
    assert send_all(port, other) == 200


def test_larger_than_the_room(port: int) -> None:
    """A request that is larger than all the room is taken when it is alone."""
    assert send_all(port, body_of(span("large", "a", session__id="s", text="x" * 3 * ROOM))) == 200
