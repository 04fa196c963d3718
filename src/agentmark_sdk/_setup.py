"""Starts recording at first use, as the environment says.

- AGENTMARK_BASE_URL: where to send, an http or https address; with anything else nothing is sent, and one
  warning says so.
- That unset, and AGENTMARK_API_KEY set: the cloud. Both unset: this machine, at AGENTMARK_API_PORT (9418,
  also in place of a port that is none).
- AGENTMARK_API_KEY, AGENTMARK_APP_ID: sent as `Authorization: Bearer ...` and `X-Agentmark-App-Id`.

The tracer provider that a program sets before its first use of this package is kept, and our export added
to it. A program without one gets ours as the global one. OpenTelemetry refuses to replace a global provider,
so a program's own has to be set first.
"""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry import trace as otel
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider

from agentmark_sdk._context import ScopeProcessor
from agentmark_sdk._export import Outbox
from agentmark_sdk._http import Target

CLOUD_URL = "https://api.agentmark.co"
DEFAULT_PORT = 9418
MAX_ATTRIBUTES = 4096

_logger = logging.getLogger(__name__)
_lock = threading.RLock()


@dataclass(frozen=True)
class Recorder:
    """What records: a tracer, and the outbox that its spans end in (None: nothing is sent)."""

    tracer: otel.Tracer
    outbox: Outbox | None


_recorder: Recorder | None = None


def recorder() -> Recorder:
    """Give the process's recorder, which the first call starts; never raises."""
    global _recorder  # noqa: PLW0603 - OpenTelemetry's provider is one per process, and so is this
    if _recorder is None:
        with _lock:
            _recorder = _recorder or _started()
    return _recorder


def flush(timeout_seconds: float = 10.0) -> bool:
    """Send what is waiting, and wait for it: for scripts, and for processes that end without Python's exit.

    True says that the server has acknowledged every span since the last flush; False that one was lost, that
    time was up (sending goes on), or that nothing is sent at all.
    """
    if _recorder is None:
        return True
    return _recorder.outbox is not None and _recorder.outbox.flush(timeout_seconds)


def _started() -> Recorder:
    try:
        return _start()
    except Exception as error:  # noqa: BLE001 - whatever it is, the program must go on
        _logger.warning("agentmark: nothing is recorded: %s: %s", type(error).__name__, error)
        return Recorder(otel.NoOpTracer(), None)


def _start() -> Recorder:
    target = read_target(os.environ)
    add_processor, get_tracer = _provider()
    outbox = Outbox(target) if target else None
    add_processor(ScopeProcessor())
    if outbox:
        add_processor(outbox)
        atexit.register(outbox.shutdown)  # a program's own provider need not shut itself down
    return Recorder(get_tracer("agentmark_sdk", _version()), outbox)


def _provider() -> tuple[Callable[[SpanProcessor], None], Callable[[str, str], otel.Tracer]]:
    """Say how to add a processor to the program's provider and get a tracer; of ours, if it has none."""
    provider = otel.get_tracer_provider()
    if isinstance(provider, otel.ProxyTracerProvider):
        otel.set_tracer_provider(_own_provider())
        provider = otel.get_tracer_provider()
    # By its method and not by its type: Logfire's provider, for one, wraps the SDK's.
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        kind = f"{type(provider).__module__}.{type(provider).__qualname__}"
        _logger.warning(
            "agentmark: the global tracer provider (%s) takes no span processors; "
            "only trace() itself is recorded, not other libraries' spans",
            kind,
        )
        provider = own = _own_provider()
        add = own.add_span_processor
    return add, provider.get_tracer


def _own_provider() -> TracerProvider:
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME)).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: _program_name()}))
    return TracerProvider(resource=resource, span_limits=_span_limits())


def _span_limits() -> SpanLimits:
    # The default of 128 drops the oldest attributes, the session's first, of a call with a long conversation.
    if {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"} & set(os.environ):
        return SpanLimits()
    return SpanLimits(max_span_attributes=MAX_ATTRIBUTES)


def _program_name() -> str:
    program = Path(sys.argv[0] if sys.argv else "")
    name = program.parent.name if program.stem == "__main__" else program.stem
    return name if name.strip("-") and name != "-c" else "python"


def _version() -> str:
    try:
        return metadata.version("agentmark")
    except metadata.PackageNotFoundError:  # run from a folder, not installed
        return ""


def read_target(environ: Mapping[str, str]) -> Target | None:
    """Where to send, of the environment; None, with a warning, if AGENTMARK_BASE_URL is no address."""
    key = environ.get("AGENTMARK_API_KEY", "").strip()
    app = environ.get("AGENTMARK_APP_ID", "").strip()
    base = environ.get("AGENTMARK_BASE_URL", "").strip()
    if not base:
        base = CLOUD_URL if key else f"http://127.0.0.1:{_port(environ)}"
    host = _host(base)
    if not host:
        _logger.warning(
            "agentmark: nothing is sent: AGENTMARK_BASE_URL is %r, and not an address like http://127.0.0.1:%d",
            base,
            DEFAULT_PORT,
        )
        return None
    headers = {"Authorization": f"Bearer {key}" if key else "", "X-Agentmark-App-Id": app}
    given = {name: value for name, value in headers.items() if value}
    return Target(base.rstrip("/") + "/v1/traces", given, _is_local(host))


def _port(environ: Mapping[str, str]) -> int:
    said = environ.get("AGENTMARK_API_PORT", "").strip()
    if not said or (said.isdecimal() and 0 < int(said) < 2**16):
        return int(said or DEFAULT_PORT)
    _logger.warning("agentmark: AGENTMARK_API_PORT is %r, and not a port; using %d", said, DEFAULT_PORT)
    return DEFAULT_PORT


def _host(url: str) -> str | None:
    """Find the host of an http or https address; None if it is not one."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:  # a port that is no number, half of an IPv6 address
        return None
    return parts.hostname if usable else None


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
