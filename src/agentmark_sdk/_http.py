"""One request to the server: what goes out with it, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.structures import CaseInsensitiveDict

REQUEST_SECONDS = 5.0
MAX_RETRY_AFTER_SECONDS = 30

_HTTP_HEADERS = frozenset(
    (
        "accept",
        "accept-encoding",
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
    )
)
_TRY_AGAIN = frozenset({429, 502, 503, 504})  # OTLP/HTTP, "Retryable Response Codes"
_TOO_LARGE = 413
_NO_ENTRY = frozenset({401, 403})


@dataclass(frozen=True)
class Target:
    """Where spans go: the full address, our headers, and whether it is this machine."""

    url: str
    headers: Mapping[str, str]
    is_local: bool


@dataclass(frozen=True)
class Reply:
    """What became of one request; `retry_in` is None when another attempt is of no use."""

    reason: str = ""
    taken: bool = False
    rejected: int = 0
    retry_in: float | None = None
    reached: bool = True
    divide: bool = False


class NotTakenError(Exception):
    """The server did not take a request.

    It is no error of `requests`: after those the stock exporter waits by itself, and nothing ends its wait.
    """


class Http(requests.Session):
    """Our requests, with our headers, certificates and time limit alone.

    The stock exporter reads OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and so on whatever it is given: what
    they say is meant for another backend, and is a secret of it. Each request has a connection of its own:
    one kept open would be shared with forked children, go stale between batches, and outlive the
    interpreter's end.
    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.trust_env = not target.is_local  # a proxy cannot reach this machine, and ~/.netrc is not for us
        self._headers = {"Connection": "close", **target.headers}
        self._verify = self.merge_environment_settings(target.url, {}, None, None, None)["verify"]
        self._advice = " Is the server running? Start it with: agentmark dev" if target.is_local else ""
        self.seconds = REQUEST_SECONDS
        self.reply: Reply | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        **options: Any,
    ) -> requests.Response:
        """Post once, keep in `reply` what came of it, and raise `NotTakenError` for all but a success."""
        kept = {name: value for name, value in request.headers.items() if name.lower() in _HTTP_HEADERS}
        request.headers = CaseInsensitiveDict(kept | self._headers)
        options |= {"verify": self._verify, "cert": None, "allow_redirects": False, "timeout": self.seconds}
        try:
            response = super().send(request, **options)
        except Exception as error:
            reason = f"({root_cause(error)}).{self._advice}"
            self.reply = Reply(reason, retry_in=0, reached=False)
            raise NotTakenError(reason) from error
        self.reply = _read(response)
        if not self.reply.taken:
            raise NotTakenError(self.reply.reason)
        return response


def root_cause(error: BaseException) -> str:
    """Give the text of the error at the bottom: `Connection refused`, not three wrappings of it."""
    while error.__context__:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _read(response: requests.Response) -> Reply:
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004 - to requests, a redirection is "ok" too
        return _read_success(response)
    reason = f"(HTTP {status} {response.reason})."
    if status in _NO_ENTRY:
        reason += " Check AGENTMARK_API_KEY and AGENTMARK_APP_ID."
    retry_in = _retry_after(response) if status in _TRY_AGAIN else None
    return Reply(reason, retry_in=retry_in, divide=status == _TOO_LARGE)


def _read_success(response: requests.Response) -> Reply:
    try:
        partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    except DecodeError:  # a server that answers in another form took the spans all the same
        return Reply(taken=True)
    return Reply(f"({partial.error_message}).", taken=True, rejected=partial.rejected_spans)


def _retry_after(response: requests.Response) -> float:
    try:
        return min(int(response.headers.get("Retry-After", 0)), MAX_RETRY_AFTER_SECONDS)
    except ValueError:  # a date: our own pauses will do
        return 0
