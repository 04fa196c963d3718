"""What the tests of commands share: runs of `python -m agentmark_cli`, in a pipe or on a terminal."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest


@dataclass
class Commands:
    """Runs commands in `folder`, with nothing in the environment that directs them anywhere."""

    folder: Path
    env: dict[str, str] = field(
        default_factory=lambda: {
            k: v for k, v in os.environ.items() if not k.startswith(("AGENTMARK_", "OTEL_", "COLUMNS"))
        }
    )

    def command(self, *words: str) -> list[str]:
        """Return what starts a command."""
        return [sys.executable, "-m", "agentmark_cli", *words]

    def __call__(self, *words: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[bytes]":
        """Run one command with its output in pipes."""
        everything = self.env | dict(env or {})
        return subprocess.run(
            self.command(*words),
            env=everything,
            cwd=self.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def on_terminal(self, *words: str, env: Mapping[str, str], columns: int = 100) -> str:
        """Run one command on a terminal, and return what it wrote there."""
        ours, theirs = pty.openpty()
        everything = self.env | dict(env) | {"COLUMNS": str(columns), "TERM": "xterm-256color", "TZ": "UTC"}
        with subprocess.Popen(self.command(*words), env=everything, cwd=self.folder, stdout=theirs) as process:
            os.close(theirs)
            written = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
        assert process.returncode == 0
        return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def error_line(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Return the one line on stderr of a command that failed, and wrote nothing else."""
    assert done.returncode not in (0, -15)
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    return done.stderr.decode().rstrip("\n")


@pytest.fixture
def agentmark(tmp_path: Path) -> Commands:
    """Run commands in the test's own folder."""
    return Commands(tmp_path)


@pytest.fixture
def one_error() -> Callable[..., str]:
    """Check that a command failed with one line, and return that."""
    return error_line


@pytest.fixture
def record() -> Callable[..., None]:
    """Record one span, a trace of its own, into a running server."""

    def send(server: Any, session_id: str, name: str = "handle-message", **attributes: Any) -> None:
        attributes = {"agentmark.session_id": session_id} | attributes
        now = time.time_ns()
        span = {
            "traceId": os.urandom(16).hex(),
            "spanId": os.urandom(8).hex(),
            "name": name,
            "kind": 1,
            "startTimeUnixNano": str(now - 1_500_000_000),
            "endTimeUnixNano": str(now),
            "attributes": [{"key": key, "value": _any_value(value)} for key, value in attributes.items()],
        }
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        assert httpx2.post(f"{server.url}/v1/traces", json=body).status_code == 200

    return send


def _any_value(value: object) -> dict[str, object]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
