"""Measures other servers beside ours in one run, with the same bytes: Arize Phoenix and MLflow.

python benchmarks/peers/compare.py --sessions 200

Installs each into a fresh environment (some 850 MB each, kept for the next run), then starts, loads and asks one
after the other on this machine.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import HOST, PEERS, Peer

from loads import Load, Sender, sender
from serving import MEGABYTE, memory

CONNECTIONS: Final = 4
START_SECONDS: Final = 180
SETTLE_SECONDS: Final = 3
STOP_SECONDS: Final = 60
PAGES: Final = 20


@dataclass(frozen=True)
class Result:
    """What is compared. `spans_per_second` is until all can be asked for."""

    peer: str
    spans: int
    start_seconds: float
    idle_megabytes: float
    acknowledged_per_second: float
    spans_per_second: float
    first_page_p50_ms: float
    disk_bytes_per_span: float
    problem: str = ""


FIGURES: Final[dict[str, tuple[str, bool]]] = {
    "spans_per_second": ("spans a second until all can be queried", True),
    "acknowledged_per_second": ("spans a second acknowledged", True),
    "disk_bytes_per_span": ("bytes on disk a span, stopped", False),
    "start_seconds": ("start to first answer, s", False),
    "idle_megabytes": ("memory idle, MB", False),
    "first_page_p50_ms": ("first page of sessions, p50, ms", False),
}
"""How each figure is called, and whether more is better."""


def install(peer: type[Peer], venvs: Path) -> Path:
    """The folder of the programs of a peer's own environment, which is made when it is not there."""
    folder = venvs / peer.name
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    if peer.package and not (folder / "complete").exists():
        print(f"installing {peer.package} in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", peer.package], check=True)
        (folder / "complete").touch()
    return programs


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def until(ask: Callable[[], Any], good: Callable[[Any], bool], seconds: float, pause: float) -> bool:
    """Ask again and again until the answer is good, or the time is over."""
    limit = time.perf_counter() + seconds
    while time.perf_counter() < limit:
        try:
            if good(ask()):
                return True
        except OSError:
            pass  # it does not listen yet
        time.sleep(pause)
    return False


@contextmanager
def running(peer: Peer) -> Iterator["subprocess.Popen[bytes]"]:
    """The server's process, answering, with what it starts itself in one process group."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "AGENTMARK_"))}
    with (peer.folder.parent / "log").open("ab") as log:
        process = subprocess.Popen(
            peer.command(), env=environment | peer.environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        if not until(lambda: peer.ask("GET", peer.health), lambda _: True, START_SECONDS, 0.02):
            msg = f"{peer.name} did not start: see {log.name}"
            raise RuntimeError(msg)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def measure(peer: Peer, sending: Sender, load: Load, starts: int, seconds: float) -> Result:
    """Everything about one server."""
    start = statistics.median(_start(peer) for _ in range(starts))
    with running(peer) as process:
        time.sleep(SETTLE_SECONDS)
        idle = sum(memory(pid) for pid in family(process.pid))
        spans = sending.describe(load).spans
        began = time.perf_counter()
        sent = sending.send(load, peer.url, CONNECTIONS, seconds, headers=peer.headers)
        complete = until(peer.spans, lambda count: count >= spans, seconds, 0.2)
        took = time.perf_counter() - began
        there = peer.spans()
        pages = statistics.median(_milliseconds(peer.first_page) for _ in range(PAGES))
    disk = sum(file.stat().st_size for file in peer.folder.rglob("*") if file.is_file())
    problem = (
        "" if complete and there == spans else f"{there} of {spans} spans after {took:.0f} s {sent.first_error}"
    )
    rates = sent.rate, there / took
    return Result(peer.name, spans, start, idle / MEGABYTE, *rates, pages, disk / max(there, 1), problem)


def _start(peer: Peer) -> float:
    began = time.perf_counter()
    with running(peer):
        return time.perf_counter() - began


def _milliseconds(ask: Callable[[], None]) -> float:
    began = time.perf_counter()
    ask()
    return 1000 * (time.perf_counter() - began)


def table(results: list[Result]) -> Iterator[str]:
    """The figures, and how many times better ours is than each peer's."""
    ours = next((result for result in results if result.peer == "agentmark"), None)
    yield f"{'':<42}" + "".join(f"{result.peer:>22}" for result in results)
    for name, (title, more_is_better) in FIGURES.items():
        cells = []
        for result in results:
            value = getattr(result, name)
            ratio = ""
            if ours and result is not ours and value and getattr(ours, name):
                quotient = getattr(ours, name) / value
                ratio = f" ({quotient if more_is_better else 1 / quotient:.1f}x)"
            cells.append(f"{value:,.1f}{ratio}")
        yield f"{title:<42}" + "".join(f"{cell:>22}" for cell in cells)
    yield from (f"WRONG, {result.peer}: {result.problem}" for result in results if result.problem)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1000, help="of 40 spans each")
    parser.add_argument("--only", action="append", choices=tuple(PEERS), help="this server alone")
    parser.add_argument("--starts", type=int, default=3, help="how often each is started for its start time")
    parser.add_argument("--seconds", type=float, default=900, help="how long spans may take to be there")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    default = Path(tempfile.gettempdir()) / "agentmark-bench-peers"
    parser.add_argument("--venvs", type=Path, default=default, help="where the environments are kept")
    return parser.parse_args()


def main() -> int:
    """Print the comparison; 1 when a server does not have what was sent."""
    options, results = _options(), list[Result]()
    with sender() as sending:
        for name in options.only or PEERS:
            programs = install(PEERS[name], options.venvs)
            with tempfile.TemporaryDirectory(prefix=f"agentmark-bench-{name}-") as folder:
                data = Path(folder) / "data"
                data.mkdir()
                peer = PEERS[name](programs, data, free_port())
                load = Load("support", options.sessions)
                results.append(measure(peer, sending, load, options.starts, options.seconds))
                print(results[-1], file=sys.stderr)
    said = [json.dumps([asdict(result) for result in results], indent=2)] if options.json else table(results)
    print("\n".join(said))
    return 1 if any(result.problem for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
