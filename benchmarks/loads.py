"""What is sent, and the process that sends it: loads by name, built before the clock starts, always the same.

In every load a span's first attribute is its session's id.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from loadgen import (
    BATCH,
    PROTOBUF,
    SPANS_PER_SESSION,
    SPANS_PER_TRACE,
    SPREAD_SECONDS,
    TRACES_PER_SESSION,
    Batches,
    Sent,
    as_they_leave,
    in_batches,
    make_session,
    put,
    send,
    text,
)

START: Final = 1_795_305_600 * 10**9
"""2026-11-22 in nanoseconds."""
TURNS: Final = 40
LARGE: Final = 5_000_000
_SECOND: Final = 10**9
_SESSION_ATTRIBUTES: Final = (0, 2, 3)
"""Where loadgen's spans state their session."""
_ROUND: Final = int(SPREAD_SECONDS) * _SECOND


@dataclass(frozen=True)
class Load:
    """A load: which one, how large (what is counted differs), and how it goes over the wire."""

    name: str
    size: int
    batch: int = BATCH
    fmt: str = PROTOBUF
    gz: bool = False


@dataclass(frozen=True)
class Built:
    """What a load holds, to check the server's answers by."""

    sessions: int
    spans: int
    bytes: int
    batches: Batches


def support(sessions: int) -> Iterable[Span]:
    """The sessions of loadgen, as `loadgen.make_batches()` sends them."""
    return as_they_leave(sessions, 1, START, _ROUND // max(sessions, 1))


def shuffled(sessions: int) -> list[Span]:
    """The same spans in any order: traces come in pieces, and children before their parents."""
    spans = list(support(sessions))
    random.Random(1).shuffle(spans)
    return spans


def one_session(traces: int) -> Iterator[Span]:
    """One session of many traces."""
    for number in range(traces // TRACES_PER_SESSION):
        yield from make_session(1, number, START + number * 300 * _SECOND, "the-long-one")


def one_trace(size: int) -> list[Span]:
    """One trace of `size` spans, shuffled: the agents of `one_session` below one root."""
    spans = list(one_session(size // SPANS_PER_TRACE))
    top = spans[SPANS_PER_TRACE - 1]
    for span in spans:
        span.trace_id = top.trace_id
        if not span.parent_span_id and span is not top:
            span.parent_span_id = top.span_id
    random.Random(1).shuffle(spans)
    return spans


def history(sessions: int) -> Iterator[Span]:
    """Conversations of 40 turns; the call in each turn carries all that was said before, as chat programs do."""
    rng = random.Random(1)
    said = [""] * sessions
    for turn in range(TURNS):
        for number in range(sessions):
            question, answer = text(rng, 400), text(rng, 1200)
            asked = f"{said[number]}\nuser: {question}"
            yield from _turn(f"history-{number}", turn, START + turn * 60 * _SECOND, asked, answer)
            said[number] = f"{asked}\nassistant: {answer}"


def large_messages(messages: int) -> Iterator[Span]:
    """Calls with messages of 5 MB, each in a session of its own."""
    rng = random.Random(1)
    for number in range(messages):
        [call, _] = _turn(f"large-{number}", 0, START + number * _SECOND, text(rng, LARGE), "ok")
        yield call


def _turn(session: str, turn: int, start: int, asked: str, answer: str) -> list[Span]:
    """A call of a model and the agent above it."""
    key = hashlib.blake2b(f"{session}/{turn}".encode(), digest_size=32).digest()
    call = Span(trace_id=key[:16], span_id=key[24:32], parent_span_id=key[16:24], name="chat")
    call.start_time_unix_nano, call.end_time_unix_nano = start, start + _SECOND
    put(call, [("session.id", session), ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")])
    put(call, [("input.value", asked), ("output.value", answer), ("gen_ai.usage.input_tokens", len(asked) // 4)])
    agent = Span(trace_id=key[:16], span_id=key[16:24], name="turn", start_time_unix_nano=start)
    agent.end_time_unix_nano = start + 2 * _SECOND
    put(agent, [("session.id", session), ("gen_ai.operation.name", "invoke_agent")])
    return [call, agent]


BUILDERS: Final[dict[str, Callable[[int], Iterable[Span]]]] = {
    builder.__name__: builder for builder in (support, shuffled, one_session, one_trace, history, large_messages)
}


@lru_cache(maxsize=2)
def build(load: Load) -> Built:
    """A load's spans, encoded; the last two are kept, so that they cost once."""
    spans = list(BUILDERS[load.name](load.size))
    sessions = len({span.attributes[0].value.string_value for span in spans})
    batches = in_batches(spans, load.batch, load.fmt, gz=load.gz)
    return Built(sessions, len(spans), sum(len(body) for _, body in batches), batches)


def renewed(body: bytes, number: int) -> bytes:
    """A batch of `support` with other ids and later times: much cheaper than other content, and as large."""
    request = ExportTraceServiceRequest.FromString(body)
    mark = hashlib.blake2b(str(number).encode(), digest_size=16).digest()
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.trace_id = bytes(a ^ b for a, b in zip(span.trace_id, mark, strict=True))
        span.start_time_unix_nano += number * _ROUND
        span.end_time_unix_nano += number * _ROUND
        for place in _SESSION_ATTRIBUTES:
            value = span.attributes[place].value
            value.string_value = f"{value.string_value}-{number:05d}"
    return request.SerializeToString()


def _describe(load: Load) -> Built:
    built = build(load)
    return Built(built.sessions, built.spans, built.bytes, [])


def _send(
    load: Load, url: str, connections: int, max_seconds: float | None, headers: dict[str, str] | None
) -> Sent:
    batches = build(load).batches
    sending = send(url, batches, connections, load.fmt, gz=load.gz, headers=headers, max_seconds=max_seconds)
    return asyncio.run(sending)


def _send_rounds(load: Load, url: str, rounds: Sequence[int], connections: int, max_seconds: float | None) -> Sent:
    batches = [(spans, renewed(body, number)) for number in rounds for spans, body in build(load).batches]
    return asyncio.run(send(url, batches, connections, max_seconds=max_seconds))


class Sender:
    """A process that builds loads and sends them."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def describe(self, load: Load) -> Built:
        """What a load holds; it is built now."""
        return self._pool.submit(_describe, load).result()

    def send(
        self,
        load: Load,
        url: str,
        connections: int,
        max_seconds: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> Sent:
        """Send a load."""
        return self._pool.submit(_send, load, url, connections, max_seconds, headers).result()

    def send_rounds(
        self, load: Load, url: str, rounds: Sequence[int], connections: int, max_seconds: float | None = None
    ) -> "Future[Sent]":
        """Send a load once for each of `rounds`, each time with ids of its own."""
        return self._pool.submit(_send_rounds, load, url, rounds, connections, max_seconds)


@contextmanager
def sender() -> Iterator[Sender]:
    """The process, for as long as the block runs."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield Sender(pool)


def sessions_of(spans: int) -> int:
    """How many of loadgen's sessions have about so many spans."""
    return max(1, spans // SPANS_PER_SESSION)
