"""Measures the server: how fast it takes spans, what they cost it, and that it counted every one of them.

python benchmarks/ingest.py --quick

Starts `agentmark dev` itself, sends from another process on the same machine, prints a table; what each figure
means is in benchmarks/README.md. Every load is counted over the API once it was acknowledged: a wrong count is
marked `WRONG` and makes the exit status 1.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from loadgen import JSON, SPANS_PER_SESSION, Sent
from loads import Built, Load, Sender, sender, sessions_of
from serving import MEGABYTE, Server, profiler, serving, session_path, start_seconds

USUAL: Final = 4
"""Connections where nothing else is said."""
SDK_RATE: Final = 5000
SDK_TRACES: Final = (8, 1)
"""Spans of a trace: what each trace costs shows in the second."""
FILL_SESSIONS: Final = 250
SMALL_BATCH: Final = 100
READS_A_SECOND: Final = 10
_PAUSE: Final = 1 / READS_A_SECOND


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    connections: tuple[int, ...] = (1, 4, 8, 24)
    sessions: int = 2500
    stored: int = 5_000_000
    sustained_seconds: float = 60
    sdk_seconds: float = 20
    starts: int = 5
    histories: int = 50
    session_traces: int = 20_000
    messages: int = 40
    trace_spans: int = 100_000
    limit_seconds: float = 300


QUICK: Final = Sizes(
    connections=(1, 8),
    sessions=100,
    stored=20_000,
    sustained_seconds=3,
    sdk_seconds=2,
    starts=1,
    histories=2,
    session_traces=500,
    messages=2,
    trace_spans=4_000,
    limit_seconds=15,
)


@dataclass(frozen=True)
class Figure:
    """One line of the table. `problem` says what the server had wrong."""

    part: str
    what: str
    value: float
    unit: str
    problem: str = ""

    def line(self) -> str:
        number = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        wrong = f"  WRONG: {self.problem}" if self.problem else ""
        return f"{self.part:<10}{self.what:<54}{number:>12} {self.unit}{wrong}"


Measured = Iterator[tuple[str, float, str] | tuple[str, float, str, str]]
"""What a part yields: figures without the part's name."""


@dataclass
class Bench:
    """What the parts measure with."""

    sizes: Sizes
    sender: Sender
    profiles: Path | None
    part: str = ""
    _served: int = 0
    _base: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def base(self) -> Load:
        """What the other loads are compared with."""
        return Load("support", self.sizes.sessions)

    def server(self) -> AbstractContextManager[Server]:
        """An empty server."""
        self._served += 1
        return serving(self.profiles and self.profiles / f"{self.part}-{self._served}.txt")

    def send(self, server: Server, load: Load, connections: int = USUAL) -> tuple[Built, Sent, str]:
        """Send a load; what it held, what became of it, and what is wrong with that."""
        built = self.sender.describe(load)
        sent = self.sender.send(load, server.url, connections, self.sizes.limit_seconds)
        return built, sent, problem_of(server, built, sent)

    def base_rate(self, batch: int, connections: int) -> float:
        """Spans a second of loadgen's sessions in batches of `batch`, on a server of their own."""
        if (batch, connections) not in self._base:
            with self.server() as server:
                _, sent, _ = self.send(server, Load("support", self.sizes.sessions, batch), connections)
            self._base[batch, connections] = sent.rate
        return self._base[batch, connections]


def problem_of(server: Server, built: Built, sent: Sent) -> str:
    """Whatever differs between what was acknowledged and what the server lists now; empty where nothing does."""
    sessions, spans = server.totals()
    problems = []
    if spans != sent.spans_acked:
        problems.append(f"{spans} spans listed of {sent.spans_acked} acknowledged")
    if sent.spans_lost or sent.first_error:
        problems.append(f"{sent.spans_lost} refused ({sent.first_error})")
    if sent.timed_out:
        problems.append(f"stopped after {sent.seconds:.0f} s, {sent.spans_acked} of {built.spans} spans sent")
    elif (sessions, sent.spans_acked) != (built.sessions, built.spans):
        problems.append(f"{sessions} sessions of {built.sessions}, {sent.spans_acked} spans of {built.spans}")
    return "; ".join(problems)


def start(bench: Bench) -> Measured:
    """From nothing to the first answer, and what the process holds before anything was sent."""
    yield "start to first answer, median", start_seconds(bench.sizes.starts), "s"
    with bench.server() as server:
        server.ask("/v1/sessions")
        yield "memory, idle", server.memory() / MEGABYTE, "MB"


def empty(bench: Bench) -> Measured:
    """How fast an empty server takes spans over so many connections."""
    for connections in bench.sizes.connections:
        with bench.server() as server:
            _, sent, problem = bench.send(server, bench.base, connections)
        yield f"protobuf, {connections} connections", sent.rate, "spans/s", problem
        if connections == 1:
            yield "until 512 spans are acknowledged, p50", sent.percentile(0.5), "ms"
            yield "until 512 spans are acknowledged, p99", sent.percentile(0.99), "ms"


def formats(bench: Bench) -> Measured:
    """The same in the other encodings."""
    others = {
        "OTLP JSON": Load("support", bench.sizes.sessions, fmt=JSON),
        "protobuf, gzip": Load("support", bench.sizes.sessions, gz=True),
    }
    for name, load in others.items():
        with bench.server() as server:
            _, sent, problem = bench.send(server, load)
        yield f"{name}, {USUAL} connections", sent.rate, "spans/s", problem


def footprint(bench: Bench) -> Measured:
    """What spans cost in memory and on disk."""
    with bench.server() as server:
        idle = server.memory()
        built, _, problem = bench.send(server, bench.base)
        yield "memory, after the load", server.memory() / MEGABYTE, "MB", problem
        yield "memory, more than idle", (server.memory() - idle) / MEGABYTE, "MB"
        yield "as sent", built.bytes / built.spans, "B/span"
        yield "on disk, while running", server.disk() / built.spans, "B/span"
        yield "on disk, stopped", server.stop() / built.spans, "B/span"


def stored(bench: Bench) -> Measured:
    """The rate that holds with much stored, while somebody reads."""
    load = Load("support", FILL_SESSIONS)
    with bench.server() as server:
        filled = _fill(bench, server, load)
        count = len(filled) * FILL_SESSIONS * SPANS_PER_SESSION
        yield "while it fills, first tenth", _rate(filled[: max(1, len(filled) // 10)]), "spans/s"
        yield "while it fills, last tenth", _rate(filled[-max(1, len(filled) // 10) :]), "spans/s"
        yield from _sustained(bench, server, load, filled)
        yield f"memory, with {count:,} stored", server.memory() / MEGABYTE, "MB"
        _, spans = server.totals()
        yield "on disk, while running", server.disk() / spans, "B/span"
        yield "on disk, stopped", server.stop() / spans, "B/span"


def _rate(sent: list[Sent]) -> float:
    return sum(one.spans_acked for one in sent) / sum(one.seconds for one in sent)


def _fill(bench: Bench, server: Server, load: Load) -> list[Sent]:
    rounds = max(1, sessions_of(bench.sizes.stored) // FILL_SESSIONS)
    filled = []
    for number in range(rounds):
        filled.append(bench.sender.send_rounds(load, server.url, [number], USUAL).result())
        done, rate = (number + 1) * FILL_SESSIONS * SPANS_PER_SESSION, filled[-1].rate
        print(f"\rfilling: {done:,} of {bench.sizes.stored:,}, {rate:,.0f}/s  ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return filled


def _sustained(bench: Bench, server: Server, load: Load, filled: list[Sent]) -> Measured:
    """Send for a while and read beside it; more is made ready than should fit in that time."""
    seconds, first = bench.sizes.sustained_seconds, len(filled)
    wanted = int(1.3 * _rate(filled[-10:]) * seconds)
    rounds = range(first, first + max(1, wanted // (FILL_SESSIONS * SPANS_PER_SESSION)) + 1)
    sending = bench.sender.send_rounds(load, server.url, rounds, USUAL, seconds)
    lists, opens = [], []
    while not sending.done():
        took, page = server.timed("/v1/sessions", limit=50)
        lists.append(took)
        opens.append(server.timed(session_path(page["data"][len(lists) % 50]["id"]))[0])
        time.sleep(_PAUSE)
    sent = sending.result()
    _, spans = server.totals()
    expected = sent.spans_acked + sum(one.spans_acked for one in filled)
    problem = (
        "" if spans == expected and not sent.spans_lost else f"{spans} spans listed of {expected} acknowledged"
    )
    yield f"sustained for {sent.seconds:.0f} s beside a reader", sent.rate, "spans/s", problem
    yield "sustained, until 512 spans are acknowledged, p99", sent.percentile(0.99), "ms"
    for name, times in (("lists 50 sessions", lists), ("opens a session", opens)):
        yield f"meanwhile: {name}, p50", statistics.median(times), "ms"
        yield f"meanwhile: {name}, p99", sorted(times)[int(0.99 * len(times))], "ms"


def sdk(bench: Bench) -> Measured:
    """Whether everything arrives from a program with OpenTelemetry's SDK as it comes."""
    program = [sys.executable, str(Path(__file__).with_name("sdk_program.py"))]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    for size in SDK_TRACES:
        with bench.server() as server:
            arguments = [server.url, str(SDK_RATE), str(bench.sizes.sdk_seconds), str(size)]
            done = subprocess.run(
                [*program, *arguments], capture_output=True, text=True, check=True, env=environment
            )
            made, took = (float(number) for number in done.stdout.split())
            _, arrived = server.totals()
        said = done.stderr.strip().splitlines()[-1:]
        problem = "" if arrived == made else f"{made - arrived:.0f} spans are missing: {' '.join(said)}"
        yield f"made, in traces of {size}", made / took, "spans/s"
        yield "of those arrived", 100 * arrived / made, "%", problem


def history(bench: Bench) -> Measured:
    """Calls that carry the whole conversation so far."""
    with bench.server() as server:
        built, sent, problem = bench.send(server, Load("history", bench.sizes.histories))
        yield "the conversation so far in each call", sent.rate, "spans/s", problem
        yield "the conversation so far in each call", sent.bytes_acked / sent.seconds / MEGABYTE, "MB/s"
        yield "as sent", built.bytes / built.spans, "B/span"
        yield "on disk, stopped", server.stop() / built.spans, "B/span"


def session(bench: Bench) -> Measured:
    """One session of very many traces."""
    traces = bench.sizes.session_traces
    base = bench.base_rate(512, USUAL)
    with bench.server() as server:
        _, sent, problem = bench.send(server, Load("one_session", traces))
        yield f"one session of {traces:,} traces", sent.rate, "spans/s", problem
        yield "of the base rate", 100 * sent.rate / base, "%"
        yield from _open(server, traces)


def _open(server: Server, traces: int) -> Measured:
    path = session_path("the-long-one")
    first, answer = zip(*(server.timed(path) for _ in range(5)), strict=True)
    last = [server.timed(path, offset=traces - 50)[0] for _ in range(5)]
    counted = answer[0]["data"]["trace_count"]
    problem = "" if counted == traces else f"{counted} traces counted of {traces}"
    yield "opened, p50", statistics.median(first), "ms", problem
    yield "opened at its last traces, p50", statistics.median(last), "ms"


def messages(bench: Bench) -> Measured:
    """Messages of 5 MB."""
    with bench.server() as server:
        built, sent, problem = bench.send(server, Load("large_messages", bench.sizes.messages, batch=1))
        yield "messages of 5 MB, one a request", sent.bytes_acked / sent.seconds / MEGABYTE, "MB/s", problem
        yield "until one is acknowledged, p50", sent.percentile(0.5), "ms"
        yield "memory, after the load", server.memory() / MEGABYTE, "MB"
        yield "on disk of what was sent, stopped", 100 * server.stop() / built.bytes, "%"


def shuffled(bench: Bench) -> Measured:
    """Spans in any order: every request touches most of the traces, parents come after children."""
    base = bench.base_rate(512, USUAL)
    with bench.server() as server:
        _, sent, problem = bench.send(server, Load("shuffled", bench.sizes.sessions))
    yield "all spans shuffled", sent.rate, "spans/s", problem
    yield "of the base rate", 100 * sent.rate / base, "%"


def trace(bench: Bench) -> Measured:
    """One very large trace, in shuffled pieces of 100 spans, each a commit of its own."""
    spans = bench.sizes.trace_spans
    base = bench.base_rate(SMALL_BATCH, 1)
    yield "base: 100 spans a request, 1 connection", base, "spans/s"
    with bench.server() as server:
        _, sent, problem = bench.send(server, Load("one_trace", spans, SMALL_BATCH), 1)
        yield f"one trace of {spans:,} spans, shuffled", sent.rate, "spans/s", problem
        yield "of the base rate", 100 * sent.rate / base, "%"
        yield "until 100 spans are acknowledged, p99", sent.percentile(0.99), "ms"
        yield "until 100 spans are acknowledged, longest", sent.percentile(1), "ms"


PARTS: Final[dict[str, Callable[[Bench], Measured]]] = {
    part.__name__: part
    for part in (start, empty, formats, footprint, stored, sdk, history, session, messages, shuffled, trace)
}


def measure(bench: Bench, parts: list[str]) -> Iterator[Figure]:
    """The figures, as they come."""
    for bench.part in parts:
        for figure in PARTS[bench.part](bench):
            yield Figure(bench.part, *figure)


def machine() -> dict[str, str | int | None]:
    """What the figures depend on."""
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


def _options() -> argparse.Namespace:
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser(description=lines[0], epilog="Parts: " + ", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small, in less than a minute: does it still work")
    parser.add_argument("--only", action="append", choices=tuple(PARTS), metavar="NAME", help="this part alone")
    parser.add_argument("--sessions", type=int, help="how many sessions of 40 spans the usual load has")
    parser.add_argument("--stored", type=int, help="how many spans the part `stored` fills in first")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="record the server's stacks with py-spy")
    options = parser.parse_args()
    if options.profile and not profiler():
        parser.error("--profile needs py-spy: pip install py-spy")
    return options


def _sizes(options: argparse.Namespace) -> Sizes:
    base = QUICK if options.quick else Sizes()
    given = {name: value for name in ("sessions", "stored") if (value := getattr(options, name))}
    return Sizes(**asdict(base) | given)


def main() -> int:
    """Print the table; 1 when the server counted anything wrong."""
    options, figures = _options(), list[Figure]()
    with sender() as sending:
        bench = Bench(_sizes(options), sending, options.profile)
        for figure in measure(bench, options.only or list(PARTS)):
            figures.append(figure)
            if not options.json:
                print(figure.line(), flush=True)
    if options.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}, indent=2))
    return 1 if any(figure.problem for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
