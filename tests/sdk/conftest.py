"""A collector on a real socket, for these tests check what is on the wire; and programs to run."""

import gzip
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

import agentmark_sdk


@dataclass
class Recorded:
    """A span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    status: int
    message: str
    resource: dict[str, Any]
    scope: str


@dataclass
class Received:
    """A request as it came over the wire."""

    path: str
    headers: dict[str, str]
    spans: list[Recorded]


@dataclass
class Answer:
    """How the collector answers: after `seconds`, with a status, headers and a body."""

    status: int = 200
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Collector:
    """Keeps what it receives; `answers` are used up first, then `answer` serves."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answers: list[Answer] = []
        self.answer = Answer()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"collector": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def spans(self) -> list[Recorded]:
        """All spans that were accepted, in the order of arrival."""
        return [span for request in list(self.requests) for span in request.spans]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collector: ClassVar[Collector]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer = self.collector.answers.pop(0) if self.collector.answers else self.collector.answer
        headers = {name.lower(): value for name, value in self.headers.items()}
        spans = _decode(body) if answer.status == 200 else []
        self.collector.requests.append(Received(self.path, headers, spans))
        time.sleep(answer.seconds)
        self.send_response(answer.status)
        if headers.get("connection") == "close":
            self.send_header("Connection", "close")
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):  # the client did not wait
            self.close_connection = True


def _decode(body: bytes) -> list[Recorded]:
    return [
        Recorded(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes=_map(span.attributes),
            events=[(event.name, _map(event.attributes)) for event in span.events],
            status=span.status.code,
            message=span.status.message,
            resource=_map(group.resource.attributes),
            scope=scope.scope.name,
        )
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _map(attributes: "list[KeyValue]") -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in attributes}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An empty collector of the test's own, for a program in a process of its own."""
    running = Collector()
    yield running
    running.close()


@pytest.fixture
def answer() -> type[Answer]:
    """How a test says what the collector answers."""
    return Answer


@dataclass
class Ended:
    """A program that ran: what it printed, and how long it took."""

    code: int
    out: str
    err: str
    seconds: float


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ended]:
    """Run a script in a process of its own, every warning an error, with `env` beside a clean environment."""

    def start(script: str, *arguments: str, **env: str) -> Ended:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(script))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AGENTMARK_", "OTEL_"))}
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments, str(path)],
            env=clean | env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)

    return start


@pytest.fixture(scope="session")
def own_collector() -> Iterator[Collector]:
    """The collector of this process: its recording is set up once, and stays as it is."""
    assert agentmark_sdk._setup._recorder is None, "something in this process recorded before the SDK's tests"
    running = Collector()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AGENTMARK_", "OTEL_"))]:
            patch.delenv(name)
        patch.setenv("AGENTMARK_BASE_URL", running.url)
        with agentmark_sdk.session():
            pass
    yield running
    agentmark_sdk._setup._recorder.outbox.shutdown()
    running.close()


@pytest.fixture
def recorded(own_collector: Collector) -> Callable[..., dict[str, Recorded]]:
    """Gives the spans that this test recorded, each under its name."""
    before = len(own_collector.spans)

    def spans() -> dict[str, Recorded]:
        assert agentmark_sdk.flush()
        return {span.name: span for span in own_collector.spans[before:]}

    return spans
