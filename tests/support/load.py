"""Load on a server that gets killed, and the account of what it acknowledged: shared by test and benchmark."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from signal import SIGKILL, Signals
from typing import Any

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from conftest import RunningServer, clean_env
from support.spans import PROTOBUF, body_of, call, span

CONNECTIONS = 6
SHARED = "shared"
PAGE = 1000


def seeded(seed: str) -> Random:
    return Random(seed)  # noqa: S311  # the load is no secret


@dataclass
class Batch:
    """One request: a session of its own, and spans of a session and a trace that others write to as well."""

    id: str
    traces: int
    spans_per_trace: int
    shared_spans: int
    shared_trace: str
    at_ms: int
    stored: bool | None = None
    """Whether the server has it: it acknowledged it, or was seen to have it or not; None is unknown."""

    @property
    def spans(self) -> int:
        return self.traces * self.spans_per_trace

    def body(self) -> bytes:
        times: Any = {"start_ms": self.at_ms, "end_ms": self.at_ms + 5}
        spans = []
        for number in range(self.traces):
            trace = f"{self.id}/{number}"
            spans.append(span(trace, "0", session__id=self.id, user__id=f"user of {self.id}", **times))
            usage: Any = {"gen_ai__usage__input_tokens": 10, "gen_ai__usage__output_tokens": 3}
            spans += [call(trace, str(n), "0", **usage, **times) for n in range(1, self.spans_per_trace)]
        for n in range(self.shared_spans):
            spans.append(span(self.shared_trace, f"{self.id}/{n}", session__id=SHARED, **times))
        return body_of(*spans, resource={"service.name": "load"})


@dataclass
class Load:
    """Every batch that was ever sent, and how the server's answers compare with that."""

    seed: str
    acknowledged_spans: int = 0
    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    _round: int = 0

    def send_until_it_dies(self, server: RunningServer, how: Signals = SIGKILL) -> int | None:
        """Send over several connections, kill the server at a random moment, and say how it ended."""
        self._round += 1
        random = seeded(f"{self.seed}/{self._round}")
        unknown = [batch for batch in self.batches if not batch.stored and random.random() < 0.5]
        with httpx2.Client(timeout=30) as client, ThreadPoolExecutor(CONNECTIONS) as pool:
            senders = [
                pool.submit(self._send, client, server.url, connection, unknown[connection::CONNECTIONS])
                for connection in range(CONNECTIONS)
            ]
            time.sleep(random.uniform(0.02, 0.7))
            server.stop(how)
        for sender in senders:
            sender.result()
        return server.process.returncode

    def _send(self, client: httpx2.Client, url: str, connection: int, again: list[Batch]) -> None:
        """What was not stored in earlier rounds, then new batches and some of those twice, until none answers."""
        random = seeded(f"{self.seed}/{self._round}/{connection}")
        mine: list[Batch] = []
        answered = True
        while answered:
            if again:
                batch = again.pop()
            elif mine and random.random() < 0.1:
                batch = random.choice(mine)
            else:
                batch = self._new(random, connection, len(mine))
                mine.append(batch)
            answered = self._post(client, url, batch)

    def _new(self, random: Random, connection: int, number: int) -> Batch:
        batch = Batch(
            id=f"{self._round}-{connection}-{number}",
            traces=random.randint(1, 3),
            spans_per_trace=random.randint(1, 8),
            shared_spans=random.randint(1, 3),
            shared_trace=f"shared/{self._round}/{connection}",
            at_ms=self._round * 60_000 + number,
        )
        self.batches.append(batch)
        return batch

    def _post(self, client: httpx2.Client, url: str, batch: Batch) -> bool:
        """Whether the server still answers."""
        if not batch.stored:
            batch.stored = None
        try:
            reply = client.post(f"{url}/v1/traces", content=batch.body(), headers=PROTOBUF)
        except httpx2.TransportError:
            return False
        if reply.status_code != 200 or reply.content:
            said = ExportTraceServiceResponse.FromString(reply.content) if reply.status_code == 200 else reply.text
            self.problems.append(f"{batch.id}: {reply.status_code} {said}")
        elif not batch.stored:
            batch.stored = True
            self.acknowledged_spans += batch.spans + batch.shared_spans
        return True

    def check(self, server: RunningServer) -> None:
        """The server has each span that it acknowledged, each once, and each batch whole or not at all."""
        found = {one["id"]: one for one in _sessions(server)}
        for batch in self.batches:
            has = found.pop(batch.id, None)
            self._compare(batch.id, batch.spans, batch.traces, has, stored=batch.stored)
            batch.stored = has is not None
        stored = [batch for batch in self.batches if batch.stored]
        spans, traces = sum(b.shared_spans for b in stored), len({b.shared_trace for b in stored})
        self._compare(SHARED, spans, traces, found.pop(SHARED, None), stored=bool(stored))
        self.problems += [f"{id_}: nobody sent it" for id_ in found]

    def _compare(self, id_: str, spans: int, traces: int, has: Any, *, stored: bool | None) -> None:
        if stored is False and has:
            self.problems.append(f"{id_}: was not there, and is now")
        if not has and not stored:
            return
        counts = (has["span_count"], has["trace_count"]) if has else (0, 0)
        self.lost += max(0, spans - counts[0])
        self.doubled += max(0, counts[0] - spans)
        if counts != (spans, traces):
            self.problems.append(f"{id_}: {counts} spans and traces, not {(spans, traces)}; stored: {stored}")


def _sessions(server: RunningServer) -> Iterator[dict[str, Any]]:
    part = server.get("/v1/sessions", limit=PAGE)
    yield from part["data"]
    while cursor := part["pagination"]["next_cursor"]:
        part = server.get("/v1/sessions", limit=PAGE, cursor=cursor)
        yield from part["data"]


def kill_while_starting(db: Path, random: Random) -> None:
    """Start a server on a file, and kill it before it is there, or just after."""
    command = [sys.executable, "-m", "agentmark_cli", "dev", "--api-port", "0", "--app-port", "0", "--db", str(db)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_env()) as process:
        time.sleep(random.uniform(0.3, 1.2))
        process.kill()


def survive(start: Callable[[], RunningServer], load: Load, rounds: int, how: Signals = SIGKILL) -> Iterator[int]:
    """Round after round on the same file: start, check all that ever was, load, kill. Gives how each ended."""
    random = seeded(f"{load.seed}/starts")
    server = start()
    for _ in range(rounds):
        ended = load.send_until_it_dies(server, how)
        if how == SIGKILL and random.random() < 0.2:
            kill_while_starting(server.db, random)
        server = start()
        load.check(server)
        yield -1 if ended is None else ended
    server.stop()
