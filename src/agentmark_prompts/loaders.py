"""Where prompt files come from: a folder, or a server."""

import asyncio
import os
import posixpath
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

import requests

from agentmark_prompts.errors import LoadError, NotFoundError

CLOUD_URL: Final = "https://api.agentmark.co"
DEFAULT_PORT: Final = 9418
MAX_BYTES: Final = 1_000_000
"""The largest file that is read."""
REQUEST_SECONDS: Final = 10.0
CLOUD_SECONDS: Final = 60.0
"""For how long what the cloud answered is taken for current."""
SUFFIX: Final = ".mdx"


class Loader(Protocol):
    """Gives the text of files. It is asked at every use, and so decides itself how new they are."""

    async def read(self, path: str) -> str:
        """The file at `path`: relative, with slashes. Raises `LoadError`."""
        ...


def checked(path: str) -> str:
    """A path in its plainest form; raises `LoadError` if it leads out of its root, or to no `.mdx` file."""
    plain = posixpath.normpath(path)
    if posixpath.isabs(path) or plain.split("/")[0] == ".." or any(mark in path for mark in "\\\0:"):
        msg = f"{path!r:.200} leads out of the folder of prompts"
        raise LoadError(msg)
    if not plain.endswith(SUFFIX):
        msg = f"{path!r:.200} is no prompt: its name has to end in {SUFFIX}"
        raise LoadError(msg)
    return plain


class FileLoader:
    """Reads files of a folder, and of nothing outside of it, wherever links in it lead."""

    def __init__(self, root: str | os.PathLike[str] = ".") -> None:
        self.root = Path(root).absolute()

    async def read(self, path: str) -> str:
        """Read a file; it is small, and so nothing is gained by a thread."""
        return self.read_now(path)

    def read_now(self, path: str) -> str:
        """Read a file, for those that do not wait."""
        plain = checked(path)
        try:
            return self._bytes(plain).decode()
        except FileNotFoundError as error:
            msg = f"there is no {plain} in {self.root}"
            raise NotFoundError(msg) from error
        except UnicodeDecodeError as error:
            msg = f"{plain} is not UTF-8 at byte {error.start}"
            raise LoadError(msg) from error
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
            msg = f"cannot read {plain}: {getattr(error, 'strerror', None) or error}"
            raise LoadError(msg) from error

    def _bytes(self, path: str) -> bytes:
        real = (self.root / path).resolve(strict=True)
        if not real.is_relative_to(self.root.resolve()):
            msg = f"{path} is a link that leads out of {self.root}"
            raise LoadError(msg)
        with open(real, "rb", opener=_opened) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                msg = f"{path} is not a file"
                raise LoadError(msg)
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            msg = f"{path} is larger than {MAX_BYTES:,} bytes"
            raise LoadError(msg)
        return content


def _opened(path: str, flags: int) -> int:
    """Open without waiting at a pipe, and without following what became a link since it was looked at."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


@dataclass(frozen=True)
class _Kept:
    """A file as a server last gave it; `until` is by the monotonic clock."""

    text: str
    version: str | None
    until: float


class ApiLoader:
    """Asks a server: `agentmark dev` on this machine, or the cloud."""

    def __init__(
        self, url: str, headers: dict[str, str] | None = None, *, seconds: float = 0.0, trust_env: bool = True
    ) -> None:
        self.url = url.rstrip("/")
        self._seconds = seconds
        self._http = requests.Session()
        self._http.trust_env = trust_env
        self._http.headers.update(headers or {})
        self._kept: dict[str, _Kept] = {}

    @classmethod
    def local(cls, base_url: str | None = None) -> Self:
        """The server of `agentmark dev`, on port AGENTMARK_API_PORT (9418) unless the address says another.

        It is asked at every use whether a file has changed.
        """
        port = os.environ.get("AGENTMARK_API_PORT", "").strip() or DEFAULT_PORT
        url = base_url or f"http://127.0.0.1:{port}"
        here = urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
        return cls(url, trust_env=not here)  # a proxy cannot reach this machine's 127.0.0.1

    @classmethod
    def cloud(cls, *, api_key: str, app_id: str, base_url: str | None = None) -> Self:
        """The cloud, or another gateway; it is asked for a file once a minute at most."""
        headers = {"Authorization": f"Bearer {api_key}", "X-Agentmark-App-Id": app_id}
        return cls(base_url or CLOUD_URL, headers, seconds=CLOUD_SECONDS)

    async def read(self, path: str) -> str:
        """Ask for a file, or whether it is still the one that is kept."""
        plain = checked(path)
        kept = self._kept.get(plain)
        if kept is None or kept.until <= time.monotonic():
            kept = self._kept[plain] = await asyncio.to_thread(self._ask, plain, kept)
        return kept.text

    def _ask(self, path: str, kept: _Kept | None) -> _Kept:
        headers = {"If-None-Match": kept.version} if kept and kept.version else {}
        url = f"{self.url}/v1/templates"
        try:
            reply = self._http.get(url, params={"path": path}, headers=headers, timeout=REQUEST_SECONDS)
        except requests.RequestException as error:
            msg = f"cannot ask {self.url} for {path}: {type(error).__name__}"
            raise LoadError(msg) from error
        until = time.monotonic() + self._seconds
        if kept and reply.status_code == requests.codes.not_modified:
            return _Kept(kept.text, kept.version, until)
        return _Kept(_text(reply, path), reply.headers.get("ETag"), until)


def _text(reply: requests.Response, path: str) -> str:
    """The file in an answer."""
    try:
        body = reply.json()
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    if reply.status_code == requests.codes.ok and isinstance(text := (body.get("data") or {}).get("source"), str):
        return text
    said = (body.get("error") or {}).get("message") or f"{reply.url} answered {reply.status_code} without a prompt"
    kind = NotFoundError if reply.status_code == requests.codes.not_found else LoadError
    msg = f"cannot load {path}: {said}"
    raise kind(msg)
