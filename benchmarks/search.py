"""Finding by words and by parts of names: `python benchmarks/search.py`, some seconds; larger by its options.

It sends loadgen's sessions to one server that does not index and to one that does, waits until the second has
indexed everything, and asks it. What `q` finds is checked: every session, or those in which loadgen hid its word.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import apsw

from loads import Load, Sender, sender
from serving import Server, start_server

WITHOUT: Final = """
from agentmark_server.indexer import Indexer
Indexer.start = Indexer.stop = lambda self: None
from agentmark_cli import main
main()
"""
"""A server as ever, but for the index."""

_QUERIES: Final = ("zanzibar", "order", "order refund", "tracking discount phone", "zanzibar order", "notthere")
_TERMS: Final = ("000017", "support chat 1", "SUPPORT", "t 42", "zz")
_INDEX: Final = ("document", "stale_document", "unindexed", "message_words%", "session_grams%", "session_text")


@dataclass(frozen=True)
class Figure:
    """One line."""

    what: str
    value: float
    unit: str
    problem: str = ""

    def line(self) -> str:
        number = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        return f"{self.what:<58}{number:>12} {self.unit}" + (f"  WRONG: {self.problem}" if self.problem else "")


def measure(sending: Sender, sessions: int, times: int, connections: int) -> Iterator[Figure]:
    """All figures."""
    load = Load("support", sessions)
    built = sending.describe(load)
    rates = []
    for what, program in (("without the index", ("-c", WITHOUT)), ("with it", ("-m", "agentmark_cli"))):
        with TemporaryDirectory(prefix="agentmark-bench-") as folder:
            db = Path(folder) / "data" / "agentmark.db"
            server = Server(start_server(db, program=program))
            sent = sending.send(load, server.url, connections)
            rates.append(sent.rate)
            yield Figure(f"ingest, {what}", sent.rate, "spans/s", sent.first_error or "")
            yield Figure(f"until a request is acknowledged, {what}, p99", sent.percentile(0.99), "ms")
            if program[0] == "-m":
                yield from _indexing(server, built.spans)
                yield from _asking(server, sessions, times)
            server.stop()
            if program[0] == "-m":
                yield from _sizes(db, built.spans)
    yield Figure("ingest with the index, of that without", 100 * rates[1] / rates[0], "%")


def _indexing(server: Server, spans: int) -> Iterator[Figure]:
    """What is left to do when all is acknowledged, and how long that takes."""
    began = time.perf_counter()
    lag = first = _lag(server)
    while lag is not None:
        time.sleep(0.1)
        lag = _lag(server)
    took = time.perf_counter() - began
    yield Figure("lag when the last span was acknowledged", (first or 0) / 1000, "s")
    yield Figure("then until everything was indexed", took, "s")
    yield Figure("indexed while nothing else happened, at least", spans / took if first else 0, "spans/s")


def _lag(server: Server) -> float | None:
    lag: float | None = server.ask("/v1/sessions", limit=1)["pagination"]["index_lag_ms"]
    return lag


def _asking(server: Server, sessions: int, times: int) -> Iterator[Figure]:
    for parameter, texts in (("q", _QUERIES), ("search", _TERMS)):
        every: list[float] = []
        for text in texts:
            found = [server.timed("/v1/sessions", limit=50, **{parameter: text}) for _ in range(times)]
            took = sorted(milliseconds for milliseconds, _ in found)
            total = found[0][1]["pagination"]["total"]
            wrong = "" if _right(text, total, sessions) else f"{total} of {sessions} found"
            yield Figure(f"{parameter}={text!r} finds {total:,}, p50", took[len(took) // 2], "ms", wrong)
            every += took
        yield Figure(f"{parameter}, all of these, p99", sorted(every)[int(0.99 * len(every))], "ms")


def _right(text: str, total: int, sessions: int) -> bool:
    known = {
        "zanzibar": -(-sessions // 97),
        "zanzibar order": -(-sessions // 97),
        "order": sessions,
        "notthere": 0,
    }
    return total == (sessions if text == "SUPPORT" else known.get(text, total))


def _sizes(db: Path, spans: int) -> Iterator[Figure]:
    with closing(apsw.Connection(str(db))) as connection:
        named = " OR ".join(["name LIKE ?"] * len(_INDEX))
        index = connection.execute(f"SELECT sum(pgsize) FROM dbstat WHERE {named}", _INDEX).get  # noqa: S608  # marks
        words = connection.execute("SELECT count(*) FROM document").get
    yield Figure("documents", words, "")
    yield Figure("the index, of the file", index / spans, "B/span")
    yield Figure("on disk, stopped", db.stat().st_size / spans, "B/span")


def main() -> int:
    """Print the figures; 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=500, help="of 40 spans, about 5,000 words, each")
    parser.add_argument("--times", type=int, default=20, help="how often each question is asked")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    options = parser.parse_args()
    figures = []
    with sender() as sending:
        for figure in measure(sending, options.sessions, options.times, options.connections):
            figures.append(figure)
            if not options.json:
                print(figure.line(), flush=True)
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
    return 1 if any(figure.problem for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
