"""Servers that take OTLP spans and show sessions, ours among them: how each is installed, started and asked."""

import http.client
import json
import os
import sqlite3
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

HOST = "127.0.0.1"
MLFLOW_PAGE = 500


class Peer(ABC):
    """One server, on `port`, with its data in `folder`."""

    name: ClassVar[str]
    package: ClassVar[str] = ""
    """What pip installs into a fresh environment; empty: nothing, it runs in this one."""
    headers: ClassVar[dict[str, str]] = {}
    """What a request with spans needs besides."""
    health: ClassVar[str] = "/health"

    def __init__(self, bin_folder: Path, folder: Path, port: int) -> None:
        self.bin_folder = bin_folder
        self.folder = folder
        self.port = port

    @property
    def url(self) -> str:
        """Where spans are sent to."""
        return f"http://{HOST}:{self.port}/v1/traces"

    def environment(self) -> dict[str, str]:
        """What it reads from the environment."""
        return {}

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def spans(self) -> int:
        """How many spans can be asked for."""

    @abstractmethod
    def first_page(self) -> None:
        """Ask for what the first page of its sessions shows."""

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that it answers."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=300)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != http.HTTPStatus.OK:
                msg = f"{self.name}: {method} {path} answered {answer.status}: {content[:300]!r}"
                raise RuntimeError(msg)
            return json.loads(content) if content[:1] in {b"{", b"["} else content
        finally:
            connection.close()


class AgentMark(Peer):
    """Ours."""

    name = "agentmark"

    def command(self) -> list[str]:
        database = str(self.folder / "agentmark.db")
        options = ["--no-ui", "--api-port", str(self.port), "--db", database]
        return [sys.executable, "-m", "agentmark_cli", "dev", *options]

    def spans(self) -> int:
        return sum(session["span_count"] for page in self._pages() for session in page["data"])

    def _pages(self) -> Iterator[Any]:
        cursor = ""
        while True:
            page = self.ask("GET", f"/v1/sessions?limit=1000{cursor}")
            yield page
            if not page["pagination"]["next_cursor"]:
                return
            cursor = f"&cursor={page['pagination']['next_cursor']}"

    def first_page(self) -> None:
        self.ask("GET", "/v1/sessions?limit=50")


class Phoenix(Peer):
    """Arize Phoenix: acknowledges from memory and writes later; its page asks GraphQL."""

    name = "phoenix"
    package = "arize-phoenix"
    health = "/healthz"

    def command(self) -> list[str]:
        return [str(self.bin_folder / "phoenix"), "serve"]

    def environment(self) -> dict[str, str]:
        ports = {"PHOENIX_PORT": str(self.port), "PHOENIX_GRPC_PORT": str(self.port + 1), "PHOENIX_HOST": HOST}
        return ports | {"PHOENIX_WORKING_DIR": str(self.folder), "PHOENIX_TELEMETRY_ENABLED": "false"}

    def spans(self) -> int:
        return sum(project["recordCount"] for project in self._projects())

    def first_page(self) -> None:
        sessions = "sessions(first: 50) { edges { node { sessionId numTraces startTime endTime } } }"
        for project in self._projects():
            self._query(f'{{ node(id: "{project["id"]}") {{ ... on Project {{ {sessions} }} }} }}')

    def _projects(self) -> list[Any]:
        answer = self._query("{ projects { edges { node { id recordCount } } } }")
        return [edge["node"] for edge in answer["projects"]["edges"]]

    def _query(self, query: str) -> Any:
        answer = self.ask("POST", "/graphql", {"query": query})
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"])[:500])
        return answer["data"]


class MLflow(Peer):
    """MLflow: its browser groups the last 500 traces into sessions, so these are its first page."""

    name = "mlflow"
    package = "mlflow"
    headers: ClassVar[dict[str, str]] = {"x-mlflow-experiment-id": "0"}

    def command(self) -> list[str]:
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        options = ["--host", HOST, "--port", str(self.port), "--backend-store-uri", store]
        return [str(self.bin_folder / "mlflow"), "server", *options]

    def environment(self) -> dict[str, str]:
        path = f"{self.bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"  # it starts uvicorn by its name
        return {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}

    def spans(self) -> int:
        """From its database, once its search finds every trace: it tells no number of spans."""
        database = sqlite3.connect(f"file:{self.folder / 'mlflow.db'}?mode=ro", uri=True)
        try:
            [(spans, traces)] = database.execute("SELECT count(*), count(DISTINCT trace_id) FROM spans")
        finally:
            database.close()
        return int(spans) if self._traces() == traces else 0

    def _traces(self) -> int:
        found, token = 0, ""
        while True:
            page = self._search(token)
            found += len(page.get("traces", []))
            token = page.get("next_page_token", "")
            if not token:
                return found

    def first_page(self) -> None:
        self._search("")

    def _search(self, token: str) -> Any:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        page = {"page_token": token} if token else {}
        return self.ask(
            "POST", "/api/3.0/mlflow/traces/search", {"locations": [place], "max_results": MLFLOW_PAGE} | page
        )


PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (AgentMark, Phoenix, MLflow)}
