"""Asks a server over HTTP, and says in one line what went wrong."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from agentmark_cli.errors import CommandError

DEFAULT_API_PORT = 9418
CLOUD = "https://api.agentmark.co"
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Gateway:
    """A server to ask: its address, what it wants to know of us, and what to try when it is not there."""

    url: str
    advice: str
    headers: Mapping[str, str] = field(default_factory=dict)
    local: bool = False


@dataclass(frozen=True)
class Answer:
    """A server's JSON answer: the bytes as they came, and what they say."""

    raw: bytes
    body: dict[str, Any]


def local_gateway() -> Gateway:
    """Return the server of `agentmark dev` on this machine."""
    url = f"http://127.0.0.1:{_local_port()}"
    return Gateway(url, advice="start it with agentmark dev", local=True)


def remote_gateway() -> Gateway:
    """Return the server of AGENTMARK_BASE_URL, else the cloud's, with the key of the environment."""
    headers = {"Authorization": f"Bearer {_secret('AGENTMARK_API_KEY')}"}
    if app_id := os.environ.get("AGENTMARK_APP_ID", "").strip():
        headers["X-Agentmark-App-Id"] = _printable("AGENTMARK_APP_ID", app_id)
    return Gateway(base_url() or CLOUD, "check AGENTMARK_BASE_URL and the network", headers)


def base_url() -> str | None:
    """AGENTMARK_BASE_URL, when it is set."""
    return os.environ.get("AGENTMARK_BASE_URL", "").strip().rstrip("/") or None


Parameter = str | int | Sequence[str] | None
"""Of several texts each is a parameter of the same name; None is left out."""


def ask(gateway: Gateway, path: str, **parameters: Parameter) -> Answer:
    """GET `path`, which is already percent-encoded."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return _answer(gateway, _send(gateway, "GET", path, params=given))


def send(gateway: Gateway, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    """Ask for a change of `path`, which is already percent-encoded, with a JSON body where there is one."""
    return _answer(gateway, _send(gateway, method, path, json=body))


@contextmanager
def stream(
    gateway: Gateway, path: str, headers: Mapping[str, str] | None = None, **parameters: str | None
) -> Iterator[httpx2.Response]:
    """GET what is too long to wait for, or never ends. Raises LostError, also while it is read."""
    given = {name: value for name, value in parameters.items() if value is not None}
    everything = {**gateway.headers, **(headers or {})}
    with (
        _said_in_one_line(gateway),
        httpx2.stream("GET", gateway.url + path, params=given, headers=everything, **_manners(gateway)) as reply,
    ):
        if reply.status_code != httpx2.codes.OK:
            reply.read()
            _answer(gateway, reply)
        yield reply


class LostError(CommandError):
    """The server cannot be reached, or not any more: it may be later."""


def _answer(gateway: Gateway, reply: httpx2.Response) -> Answer:
    try:
        body = json.loads(reply.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise CommandError(f"{gateway.url} answered {reply.status_code} with something other than a JSON object")
    if not reply.is_success:
        raise CommandError(_message(gateway, reply.status_code, body))
    return Answer(reply.content, body)


def _send(gateway: Gateway, method: str, path: str, **options: Any) -> httpx2.Response:
    with _said_in_one_line(gateway):
        return httpx2.request(
            method, gateway.url + path, headers=dict(gateway.headers), **options, **_manners(gateway)
        )


def _manners(gateway: Gateway) -> dict[str, Any]:
    return {
        "timeout": TIMEOUT_SECONDS,
        # Reading the certificates takes time: only where they serve.
        "verify": gateway.url.startswith("https:"),
        # A proxy of the environment cannot reach this machine's 127.0.0.1.
        "trust_env": not gateway.local,
    }


@contextmanager
def _said_in_one_line(gateway: Gateway) -> Iterator[None]:
    try:
        yield
    except httpx2.ConnectError as error:
        raise LostError(f"nothing answers at {gateway.url}: {gateway.advice}") from error
    except httpx2.TimeoutException as error:
        raise LostError(f"{gateway.url} did not answer within {TIMEOUT_SECONDS:.0f} seconds") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise LostError(f"cannot ask {gateway.url}: {error}") from error


def _message(gateway: Gateway, status: int, body: dict[str, Any]) -> str:
    error = body.get("error")
    if isinstance(error, dict) and error.get("message"):
        return str(error["message"])
    return f"{gateway.url} answered {status} without saying why"


def _local_port() -> int:
    text = os.environ.get("AGENTMARK_API_PORT", "").strip() or str(DEFAULT_API_PORT)
    if not (text.isdecimal() and 0 < int(text) < 2**16):
        raise CommandError(f"AGENTMARK_API_PORT is {text!r}, which is not a port: set a number from 1 to 65535")
    return int(text)


def _secret(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise CommandError(f"--remote needs an API key: set {variable}")
    return _printable(variable, value)


def _printable(variable: str, value: str) -> str:
    """Check a header's value, which never goes into a message: it may be a key."""
    if not (value.isascii() and value.isprintable()):
        raise CommandError(f"{variable} holds characters that a header cannot: copy it again")
    return value
