"""How long questions take: `python benchmarks/asking.py`, a million sessions; `--sessions 20000` in a minute.

Starts `agentmark dev` on a new file and sends sessions of one trace of five short spans each, in slices, spread
over a year. Then asks over HTTP, one question after the other, and again while spans are sent as fast as they are
taken.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest import machine
from loadgen import in_batches, put, text
from loads import Load, sender
from serving import Server, start_server

SLICE: Final = 2_000
USERS: Final = 200
YEAR: Final = 365 * 24 * 3600 * 10**9
START: Final = 1_764_547_200 * 10**9
"""2025-12-01 in nanoseconds."""
_SECOND: Final = 10**9
_WEEK: Final = 7 * 24 * 3600 * _SECOND
_MODELS: Final = ("gpt-4o", "gpt-4o-mini", "claude-3-5-sonnet-20241022", "acme-internal-7b")
_MOST_PAGES: Final = 50

Question = tuple[str, dict[str, Any]]


def short_session(number: int, step: int) -> Iterator[Span]:
    """One trace of five short spans: an agent, two calls, a tool, a retrieval."""
    rng = random.Random(number)
    start = START + number * step
    trace_id, ids = rng.randbytes(16), [rng.randbytes(8) for _ in range(5)]
    session = [("session.id", f"sess-{number:07d}"), ("user.id", f"user-{number * 7919 % USERS:04d}")]
    for place, operation in enumerate(("invoke_agent", "chat", "execute_tool", "retrieval", "chat")):
        span = Span(trace_id=trace_id, span_id=ids[place], name=operation, start_time_unix_nano=start)
        span.end_time_unix_nano = start + rng.randrange(1, 20) * _SECOND
        if place:
            span.parent_span_id = ids[0]
        put(span, [*session, ("gen_ai.operation.name", operation)])
        if operation == "chat":
            put(span, [("gen_ai.request.model", _MODELS[number % len(_MODELS)])])
            put(span, [("gen_ai.usage.input_tokens", rng.randrange(4000))])
            put(span, [("gen_ai.usage.output_tokens", rng.randrange(800)), ("input.value", text(rng, 60))])
        if operation == "invoke_agent":
            put(span, [("agentmark.session_name", f"support chat {number}")])
        if operation == "execute_tool" and rng.random() < 0.03:
            span.status.code = 2
        yield span


def fill(server: Server, sessions: int) -> None:
    """Send all sessions, a slice at a time."""
    import asyncio  # noqa: PLC0415  # with aiohttp behind it

    from loadgen import send  # noqa: PLC0415

    step, began = YEAR // sessions, time.perf_counter()
    for first in range(0, sessions, SLICE):
        numbers = range(first, min(first + SLICE, sessions))
        spans = [span for number in numbers for span in short_session(number, step)]
        asyncio.run(send(server.url, in_batches(spans), 4))
        rate = (numbers.stop * 5) / (time.perf_counter() - began)
        print(
            f"\rfilling: {numbers.stop:,} of {sessions:,} sessions, {rate:,.0f} spans/s ", end="", file=sys.stderr
        )
    print(file=sys.stderr)


def questions(sessions: int) -> Iterator[Question]:
    """What is asked of the list, by name; each time it is asked some of it differs."""
    rng = random.Random(1)

    def date(time_ns: int) -> str:
        return f"{datetime.fromtimestamp(time_ns // _SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def week() -> dict[str, Any]:
        first = START + rng.randrange(YEAR - _WEEK)
        return {"start_date": date(first), "end_date": date(first + _WEEK)}

    def user() -> dict[str, Any]:
        return {"user_id": f"user-{rng.randrange(USERS):04d}"}

    def term() -> dict[str, Any]:
        return {"search": f"{rng.randrange(sessions):07d}"}

    orders = ("start", "end", "total_cost", "total_tokens", "duration_ms", "trace_count")
    for order in orders:
        yield f"sorted by {order}", {"sort_by": order}
    for order in ("name", "active_ms", "latency_ms"):
        yield f"sorted by {order}, which has no index", {"sort_by": order}
    for _ in range(_MOST_PAGES):
        yield "of a user", {**user(), "sort_by": rng.choice(orders)}
        yield "of a week", {**week(), "sort_by": rng.choice(orders)}
        yield "by a term", {**term(), "sort_by": rng.choice(orders)}
        yield "of a user in a week", {**user(), **week(), "sort_by": rng.choice(orders)}
        yield "in the middle, by offset", {"offset": sessions // 2}
    yield "any(span...)", {"filter": 'any(span.model = "gpt-4o" and span.latency_ms > 2000)'}
    yield "any(span...) that failed", {"filter": "any(span.status = ERROR and span.kind = tool)"}


def ask(server: Server, sessions: int, times: int) -> dict[str, list[float]]:
    """Milliseconds of every question, by its name."""
    took: dict[str, list[float]] = {}
    asked = list(questions(sessions))
    for name, parameters in asked * max(1, times // _MOST_PAGES) + [
        one for one in asked[:6] for _ in range(times)
    ]:
        took.setdefault(name, []).append(server.timed("/v1/sessions", limit=50, **parameters)[0])
    cursor = server.ask("/v1/sessions", limit=50, offset=sessions // 2)["pagination"]["next_cursor"]
    for _ in range(times):
        milliseconds, page = server.timed("/v1/sessions", limit=50, cursor=cursor)
        took.setdefault("in the middle, by cursor", []).append(milliseconds)
        cursor = page["pagination"]["next_cursor"] or cursor
    return took


def lines(took: dict[str, list[float]], when: str) -> Iterator[dict[str, Any]]:
    """A figure for each question."""
    for name, times in took.items():
        ordered = sorted(times)
        p50, p99 = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
        yield {"when": when, "list": name, "asked": len(times), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)}


def measure(sessions: int, times: int) -> Iterator[dict[str, Any]]:
    """All figures."""
    with TemporaryDirectory(prefix="agentmark-bench-") as folder:
        server = Server(start_server(Path(folder) / "data" / "agentmark.db"))
        try:
            fill(server, sessions)
            yield from lines(ask(server, sessions, times), "idle")
            with sender() as sending:
                load = Load("support", 500)
                sending.describe(load)
                sent = sending.send_rounds(load, server.url, range(1, 60), 4, max_seconds=20)
                yield from lines(ask(server, sessions, max(1, times // 4)), "while spans come")
                print(f"meanwhile: {sent.result().rate:,.0f} spans/s", file=sys.stderr)
        finally:
            server.stop()


def main() -> None:
    """Print the figures as they come."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100, help="how often each question is asked")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    options = parser.parse_args()
    print(json.dumps(machine()) if options.json else "  ".join(f"{k}: {v}" for k, v in machine().items()))
    for figure in measure(options.sessions, options.times):
        if options.json:
            print(json.dumps(figure), flush=True)
        else:
            what = f"{figure['when']}: {figure['list']}"
            print(f"{what:<66}p50 {figure['p50_ms']:>8} p99 {figure['p99_ms']:>8} ms", flush=True)


if __name__ == "__main__":
    main()
