"""An OTLP/HTTP collector on loopback that keeps each request as it came and can give it as OTLP/JSON."""

import base64
import gzip
import json
import threading
import zlib
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MESSAGES = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    content_type: str
    body: bytes

    @property
    def signal(self) -> str:
        """What the path says that it is: traces, logs, metrics, or something that is no OTLP."""
        return urlsplit(self.path).path.rstrip("/").rsplit("/", 1)[-1]

    def as_json(self) -> dict[str, Any]:
        """The request as OTLP/JSON: ids in hexadecimal, enumerations as numbers."""
        if "json" in self.content_type:
            given: dict[str, Any] = json.loads(self.body)
            return given
        message = MESSAGES[self.signal]()
        message.ParseFromString(self.body)
        made: dict[str, Any] = hexed(MessageToDict(message, use_integers_for_enums=True))
        return made


def hexed(value: Any) -> Any:
    """The same with its trace and span ids in hexadecimal, where protobuf's JSON has base64."""
    if isinstance(value, list):
        return [hexed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex() if key in IDS and isinstance(item, str) else hexed(item)
        for key, item in value.items()
    }


class Handler(BaseHTTPRequestHandler):
    """One request of an exporter, or of a vendor's SDK that asks its own server something."""

    protocol_version = "HTTP/1.1"
    server: "Collector"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def do_GET(self) -> None:
        """Whatever is asked, the answer is an empty object."""
        self.reply("application/json", b"{}")

    def do_POST(self) -> None:
        """Keep what comes."""
        body = self.body()
        encoding = self.headers.get("Content-Encoding", "").lower()
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        kind = self.headers.get("Content-Type", "")
        self.server.received.append(Received(self.path, kind, body))
        self.reply(kind, b"" if "protobuf" in kind else b"{}")

    do_PATCH = do_PUT = do_POST  # noqa: N815 - the base class looks for these names

    def body(self) -> bytes:
        """The request's body, however long it says that it is."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply(self, kind: str, data: bytes) -> None:
        """A good answer."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Collector(ThreadingHTTPServer):
    """The collector; `url` is where it listens."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()
