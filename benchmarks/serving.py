"""The server under test: `agentmark dev` on a file of its own, what it answers, and what it takes."""

import http.client
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote, urlencode

import apsw

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import RunningServer, start_server

PAGE: Final = 1000
MEGABYTE: Final = 1_000_000
_STOP_SECONDS: Final = 300


class Server:
    """A running server, asked over one connection that stays open."""

    def __init__(self, running: RunningServer) -> None:
        self._running = running
        self._connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=120)

    @property
    def url(self) -> str:
        """Where spans are sent to."""
        return f"{self._running.url}/v1/traces"

    @property
    def pid(self) -> int:
        """The process."""
        return self._running.process.pid

    def ask(self, path: str, **parameters: Any) -> Any:
        """The JSON body of GET `path`, which must answer 200."""
        self._connection.request("GET", f"{path}?{urlencode(parameters, doseq=True)}")
        try:
            answer = self._connection.getresponse()
        except http.client.RemoteDisconnected:  # it was idle for longer than the server waits
            self._connection.request("GET", f"{path}?{urlencode(parameters, doseq=True)}")
            answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            msg = f"GET {path} answered {answer.status}: {body[:200]!r}"
            raise RuntimeError(msg)
        return json.loads(body)

    def timed(self, path: str, **parameters: Any) -> tuple[float, Any]:
        """How many milliseconds the answer took, and the answer."""
        began = time.perf_counter()
        answer = self.ask(path, **parameters)
        return 1000 * (time.perf_counter() - began), answer

    def totals(self) -> tuple[int, int]:
        """How many sessions are listed and how many spans they say they have, from all pages of the list."""
        spans, listed = 0, 0
        cursor: dict[str, str] = {}
        while True:
            page = self.ask("/v1/sessions", limit=PAGE, **cursor)
            listed += len(page["data"])
            spans += sum(session["span_count"] for session in page["data"])
            if not page["pagination"]["next_cursor"]:
                break
            cursor = {"cursor": page["pagination"]["next_cursor"]}
        total = page["pagination"]["total"]
        if total != listed:
            msg = f"the list says {total} sessions and shows {listed}"
            raise RuntimeError(msg)
        return listed, spans

    def memory(self) -> int:
        """Bytes of memory that the process holds now."""
        return memory(self.pid)

    def disk(self) -> int:
        """Bytes on disk: the database with what lies beside it."""
        return sum(file.stat().st_size for file in self._running.db.parent.iterdir())

    def stop(self) -> int:
        """Stop it, bring its log into the database, and say how many bytes the database has."""
        self._connection.close()
        if self._running.process.poll() is None:
            self._running.process.send_signal(signal.SIGTERM)
            self._running.process.wait(timeout=_STOP_SECONDS)
        if self._running.process.stdout:
            self._running.process.stdout.close()
        database = apsw.Connection(str(self._running.db))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return self._running.db.stat().st_size


def session_path(session_id: str) -> str:
    """Where one session is asked for."""
    return f"/v1/sessions/{quote(session_id, safe='')}"


def memory(pid: int) -> int:
    """Bytes of memory that a process holds: from /proc, or psutil where there is none."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024
    import psutil  # noqa: PLC0415 - only where there is no /proc

    return int(psutil.Process(pid).memory_info().rss)


@contextmanager
def serving(profile: Path | None = None) -> Iterator[Server]:
    """A server on a new file, which goes with the block; with `profile` its stacks are recorded into that file."""
    with TemporaryDirectory(prefix="agentmark-bench-") as folder:
        server = Server(start_server(Path(folder) / "data" / "agentmark.db"))
        recorder = _record(server.pid, profile) if profile else None
        try:
            yield server
        finally:
            server.stop()
            if recorder:
                recorder.wait(timeout=60)


def profiler() -> str | None:
    """The path of py-spy."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _record(pid: int, profile: Path) -> "subprocess.Popen[bytes]":
    """Record raw stacks until the process ends."""
    profile.parent.mkdir(parents=True, exist_ok=True)
    options = ["--pid", str(pid), "--format", "raw", "--output", str(profile), "--threads", "--rate", "100"]
    return subprocess.Popen(
        [profiler() or "py-spy", "record", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def start_seconds(times: int) -> float:
    """From the start of the process to its first answer: the median."""
    return statistics.median(_start_once() for _ in range(times))


def _start_once() -> float:
    with TemporaryDirectory(prefix="agentmark-bench-") as folder:
        began = time.perf_counter()
        server = Server(start_server(Path(folder) / "data" / "agentmark.db"))
        server.ask("/health")
        took = time.perf_counter() - began
        server.stop()
    return took
