"""A load that is the same bytes for every backend: sessions of a support agent, over OTLP/HTTP.

Each session is 5 traces of 8 spans: an agent as the root, 3 calls of a model, 2 tools, a retrieval, a chain. Every
span states session and user in all conventions in use (OpenInference, OTel GenAI, AgentMark), so that whatever
speaks OTLP can take it. Spans leave in the order of their ends, those of sessions that overlap in time mixed, in
batches of 512 as the SDK's BatchSpanProcessor sends them: traces and sessions are split across batches. All is
encoded before the clock starts. The same arguments give the same bytes.

`make_batches()` and `send()` are for other scripts; `python benchmarks/loadgen.py --url URL` prints one JSON line.
"""

import argparse
import asyncio
import base64
import gzip
import hashlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

import aiohttp
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACES_PER_SESSION: Final = 5
SPANS_PER_TRACE: Final = 8
SPANS_PER_SESSION: Final = TRACES_PER_SESSION * SPANS_PER_TRACE
BATCH: Final = 512
BASE_TIME: Final = "2026-11-22T00:00:00+00:00"
SPREAD_SECONDS: Final = 43_200.0
PROTOBUF: Final = "protobuf"
JSON: Final = "json"
CONTENT_TYPES: Final = {PROTOBUF: "application/x-protobuf", JSON: "application/json"}

_USERS: Final = 200
_NEEDLE: Final = "zanzibar"
"""A word in the first message of one session in 97, to search for."""
_NEEDLE_EVERY: Final = 97
_MODELS: Final = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-3-5-sonnet-20241022"),
    ("acme", "acme-internal-7b"),  # has no public price
)
_VOCABULARY: Final = (
    "the a of to in and for with order invoice shipment customer account refund policy please "
    "status check update delivery address payment card ticket agent answer question search "
    "document result tool call model context summary total number date city weather flight "
    "hotel booking plan report data table value error retry time user name email phone code "
    "yesterday tomorrow cannot should would because however therefore quickly carefully "
    "product catalogue warehouse carrier tracking subscription renewal upgrade discount"
)
_WORDS: Final = _VOCABULARY.split()
_TIMEOUT: Final = "upstream timed out after 5000 ms"
_MS: Final = 1_000_000
_FOREVER: Final = 1 << 63
_RELEASE_EVERY: Final = 50
_TAKEN: Final = {200, 202, 204}
_LATER: Final = {429, 502, 503, 504}
_LONGEST_WAIT: Final = 5.0

Batches = Sequence[tuple[int, bytes]]
"""For each request how many spans it holds, and its body."""
Pairs = Iterable[tuple[str, Any]]


def text(rng: random.Random, size: int) -> str:
    """English-looking text of `size` characters."""
    words: list[str] = []
    length = 0
    while length < size:
        word = _WORDS[int(rng.random() * len(_WORDS))]
        words.append(word)
        length += len(word) + 1
    return " ".join(words)[:size]


def put(holder: Span | Span.Event | Resource, pairs: Pairs) -> None:
    """Add attributes."""
    for key, value in pairs:
        _set(holder.attributes.add(key=key), value)


def _set(pair: KeyValue, value: Any) -> None:
    match value:
        case int():
            pair.value.int_value = value
        case float():
            pair.value.double_value = value
        case _:
            pair.value.string_value = value


def session_id(seed: int, number: int) -> str:
    """The id of a session; of the same length for the same seed."""
    mark = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=4).hexdigest()
    return f"sess-{seed}-{number:06d}-{mark}"


def user_id(number: int) -> str:
    """The user of a session."""
    return f"user-{(number * 7919) % _USERS:04d}"


@dataclass(frozen=True)
class _Step:
    """Which of a trace's spans: its place, what it is, below which place, from when (ns), for how long (ms)."""

    place: int
    name: str
    parent: int | None
    start: int
    milliseconds: int


@dataclass(frozen=True)
class _Trace:
    """Builds the spans of one trace. The order in which `rng` is asked is part of the load."""

    rng: random.Random
    session: str
    number: int
    turn: int
    key: bytes

    @property
    def model(self) -> tuple[str, str]:
        """Provider and name; a third of the sessions keep to one model."""
        return _MODELS[(self.number + (self.turn if self.number % 3 else 0)) % len(_MODELS)]

    def span_id(self, place: int) -> bytes:
        return hashlib.blake2b(self.key + bytes([place]), digest_size=8).digest()

    def spans(self, begin: int) -> tuple[list[Span], int]:
        """The spans in the order of their ends, and how many milliseconds they take."""
        question = text(self.rng, 180)
        if self.turn == 0 and self.number % _NEEDLE_EVERY == 0:
            question = f"{_NEEDLE} {question}"
        answer = text(self.rng, 300)
        took = [int(300 + self.rng.random() * 1700) for _ in range(7)]
        cuts = [begin + 5 * _MS]
        for milliseconds in took[:6]:
            cuts.append(cuts[-1] + milliseconds * _MS)
        total = (cuts[6] - begin) // _MS + 20
        chain_step = _Step(1, "plan_chain", 0, begin + 2 * _MS, (cuts[2] - begin) // _MS)
        root = self._root(_Step(0, "support-agent", None, begin, total), question, answer)
        steps = self._steps(cuts, took, question)
        chain = self._base(chain_step, "CHAIN", "chain", question, text(self.rng, 120))
        return [*steps[:2], chain, *steps[2:], root], total

    def _steps(self, cuts: list[int], took: list[int], question: str) -> list[Span]:
        return [
            self._retrieval(_Step(2, "retrieve_docs", 1, cuts[0], took[0]), question),
            self._call(_Step(3, "chat plan", 1, cuts[1], took[1])),
            self._tool(_Step(4, "lookup_order", 0, cuts[2], took[2])),
            self._call(_Step(5, "chat tool-result", 0, cuts[3], took[3])),
            self._tool(_Step(6, "check_policy", 0, cuts[4], took[4])),
            self._call(_Step(7, "chat answer", 0, cuts[5], took[5])),
        ]

    def _root(self, step: _Step, question: str, answer: str) -> Span:
        return self._base(step, "AGENT", "invoke_agent", question, answer)

    def _retrieval(self, step: _Step, question: str) -> Span:
        span = self._base(step, "RETRIEVER", "retrieval", question, text(self.rng, 400))
        put(span, [("retrieval.top_k", 4)])
        return span

    def _call(self, step: _Step) -> Span:
        asked, said = text(self.rng, 1000), text(self.rng, 500)
        prompt, completion = 200 + int(self.rng.random() * 1800), 40 + int(self.rng.random() * 460)
        system, user = asked[:300], asked[300:]
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        choices = [{"message": {"role": "assistant", "content": said}}]
        request, reply = json.dumps({"messages": messages}), json.dumps({"choices": choices})
        span = self._base(step, "LLM", "chat", request, reply, "application/json")
        put(span, self._usage(prompt, completion))
        put(span, _messages(system, user, said))
        return span

    def _usage(self, prompt: int, completion: int) -> Pairs:
        provider, model = self.model
        return (
            ("llm.model_name", model),
            ("llm.provider", provider),
            ("llm.system", provider),
            ("llm.token_count.prompt", prompt),
            ("llm.token_count.completion", completion),
            ("llm.token_count.total", prompt + completion),
            ("gen_ai.request.model", model),
            ("gen_ai.response.model", model),
            ("gen_ai.usage.input_tokens", prompt),
            ("gen_ai.usage.output_tokens", completion),
            ("gen_ai.request.temperature", 0.2),
        )

    def _tool(self, step: _Step) -> Span:
        arguments, result = json.dumps({"query": text(self.rng, 60)}), json.dumps({"result": text(self.rng, 200)})
        span = self._base(step, "TOOL", "execute_tool", arguments, result, "application/json")
        call_id = "call_" + span.span_id.hex()
        put(span, [("tool.name", step.name), ("gen_ai.tool.name", step.name), ("gen_ai.tool.call.id", call_id)])
        if self.rng.random() < 0.03:
            _fail(span)
        return span

    def _base(
        self, step: _Step, kind: str, operation: str, said: str, answered: str, mime: str = "text/plain"
    ) -> Span:
        span = Span(
            trace_id=self.key[:16],
            span_id=self.span_id(step.place),
            name=step.name,
            kind=Span.SPAN_KIND_CLIENT if kind == "LLM" else Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=step.start,
            end_time_unix_nano=step.start + step.milliseconds * _MS,
        )
        if step.parent is not None:
            span.parent_span_id = self.span_id(step.parent)
        span.status.code = Status.STATUS_CODE_OK
        put(span, self._who(kind, operation))
        contents = ("input.value", said), ("input.mime_type", mime), ("output.value", answered)
        put(span, [*contents, ("output.mime_type", mime)])
        put(span, self._where())
        return span

    def _who(self, kind: str, operation: str) -> Pairs:
        user = user_id(self.number)
        return (
            ("session.id", self.session),
            ("user.id", user),
            ("gen_ai.conversation.id", self.session),
            ("agentmark.session_id", self.session),
            ("agentmark.session_name", f"support chat {self.number}"),
            ("agentmark.user_id", user),
            ("agentmark.trace_name", "support-agent"),
            ("openinference.span.kind", kind),
            ("gen_ai.operation.name", operation),
            ("gen_ai.provider.name", self.model[0]),
            ("gen_ai.agent.name", "support-agent"),
        )

    def _where(self) -> Pairs:
        return (
            ("deployment.environment.name", "production" if self.number % 10 else "staging"),
            ("app.turn", self.turn),
            ("app.version", "2.14.1"),
            ("app.region", "eu-west-1"),
            ("thread.id", 140_000 + self.number % 64),
            ("thread.name", "worker"),
            ("metadata", json.dumps({"tenant": f"tenant-{self.number % 20}", "turn": self.turn})),
        )


def _messages(system: str, user: str, said: str) -> Pairs:
    asked = [
        {"role": "system", "parts": [{"type": "text", "content": system}]},
        {"role": "user", "parts": [{"type": "text", "content": user}]},
    ]
    parts = [{"type": "text", "content": said}]
    answered = [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]
    return ("gen_ai.input.messages", json.dumps(asked)), ("gen_ai.output.messages", json.dumps(answered))


def _fail(span: Span) -> None:
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, _TIMEOUT
    event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
    put(event, [("exception.type", "TimeoutError"), ("exception.message", _TIMEOUT)])


def make_session(seed: int, number: int, start: int, session: str | None = None) -> list[Span]:
    """The spans of one session that begins at `start` (ns), trace by trace; `session` is another id for it."""
    rng = random.Random(f"{seed}/{number}")
    spans: list[Span] = []
    now = start
    for turn in range(TRACES_PER_SESSION):
        key = hashlib.blake2b(f"{seed}/{number}/{turn}".encode(), digest_size=24).digest()
        trace = _Trace(rng, session or session_id(seed, number), number, turn, key)
        of_trace, milliseconds = trace.spans(now)
        spans += of_trace
        now += milliseconds * _MS + int(5e9 + rng.random() * 55e9)  # the user reads and writes
    return spans


def request_of(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """One request with these spans."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    put(
        resource_spans.resource,
        (
            ("service.name", "support-bot"),
            ("service.version", "2.14.1"),
            ("telemetry.sdk.language", "python"),
            ("telemetry.sdk.name", "opentelemetry"),
            ("openinference.project.name", os.environ.get("LOADGEN_PROJECT", "default")),
        ),
    )
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "loadgen", "1.0"
    scope_spans.spans.extend(spans)
    return request


def to_otlp_json(request: ExportTraceServiceRequest) -> bytes:
    """The JSON mapping of protobuf with OTLP's exceptions: ids in hexadecimal, enums as numbers."""
    content = MessageToDict(request, use_integers_for_enums=True)
    for resource_spans in content.get("resourceSpans", []):
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[key] = base64.b64decode(span[key]).hex()
    return json.dumps(content, separators=(",", ":")).encode()


def encode(spans: Sequence[Span], fmt: str = PROTOBUF, *, gz: bool = False) -> tuple[int, bytes]:
    """One batch."""
    request = request_of(spans)
    body = to_otlp_json(request) if fmt == JSON else request.SerializeToString()
    return len(spans), gzip.compress(body, 5) if gz else body


def _end(span: Span) -> int:
    return span.end_time_unix_nano


def as_they_leave(sessions: int, seed: int, first: int, step: int) -> Iterable[Span]:
    """All spans in the order of their ends."""
    waiting: list[Span] = []
    for number in range(sessions):
        start = first + number * step
        waiting += make_session(seed, number, start)
        last = number == sessions - 1
        if last or number % _RELEASE_EVERY == _RELEASE_EVERY - 1:
            waiting.sort(key=_end)
            limit = _FOREVER if last else start + step  # the next session starts then
            ended = sum(_end(span) < limit for span in waiting)
            yield from waiting[:ended]
            del waiting[:ended]


def make_batches(
    sessions: int,
    batch: int = BATCH,
    fmt: str = PROTOBUF,
    gz: bool = False,
    seed: int = 1,
    base_time: str = BASE_TIME,
    spread_s: float = SPREAD_SECONDS,
) -> Batches:
    """The load, encoded. Another seed gives other ids; sessions start within `spread_s` seconds of `base_time`."""
    first = int(datetime.fromisoformat(base_time).timestamp() * 1e9)
    step = int(spread_s * 1e9 / max(sessions, 1))
    return in_batches(as_they_leave(sessions, seed, first, step), batch, fmt, gz=gz)


def in_batches(spans: Iterable[Span], batch: int = BATCH, fmt: str = PROTOBUF, *, gz: bool = False) -> Batches:
    """Spans as requests of `batch` each, the last with what is left."""
    batches: list[tuple[int, bytes]] = []
    ready: list[Span] = []
    for span in spans:
        ready.append(span)
        if len(ready) == batch:
            batches.append(encode(ready, fmt, gz=gz))
            ready.clear()
    return [*batches, encode(ready, fmt, gz=gz)] if ready else batches


@dataclass
class Sent:
    """What became of a load. `latencies` has the milliseconds of each request, in order, refused ones too."""

    spans_acked: int = 0
    bytes_acked: int = 0
    spans_lost: int = 0
    seconds: float = 0.0
    client_cpu_seconds: float = 0.0
    retries: int = 0
    timed_out: bool = False
    status: Counter[str] = field(default_factory=Counter)
    first_error: str | None = None
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Spans acknowledged a second."""
        return self.spans_acked / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The milliseconds that this share of the requests took at most."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def summary(self) -> dict[str, Any]:
        """For JSON: percentiles in the place of every latency."""
        percentiles = {f"p{share}_ms": round(self.percentile(share / 100), 1) for share in (50, 90, 99, 100)}
        rate = {"spans_per_second": round(self.rate, 1), "requests": len(self.latencies)}
        return {key: value for key, value in asdict(self).items() if key != "latencies"} | rate | percentiles


class _Sender:
    """Connections that take requests from one queue."""

    def __init__(self, url: str, headers: dict[str, str], *, retry: bool, max_seconds: float | None) -> None:
        self._url = url
        self._headers = headers
        self._retry = retry
        self._max_seconds = max_seconds
        self._started = time.perf_counter()
        self.sent = Sent()

    async def work(self, http: aiohttp.ClientSession, queue: Iterable[tuple[int, bytes]]) -> None:
        """Send what is in the queue; `queue` is one iterator that all connections share."""
        for spans, body in queue:
            if self._late() or not await self._deliver(http, spans, body):
                return

    def _late(self) -> bool:
        self.sent.timed_out |= bool(self._max_seconds and time.perf_counter() - self._started > self._max_seconds)
        return self.sent.timed_out

    async def _deliver(self, http: aiohttp.ClientSession, spans: int, body: bytes) -> bool:
        """Send one request until it is taken; whether the connection still is."""
        wait = 0.1
        status, reply = await self._post(http, body)
        while self._retry and status in _LATER and not self._late():
            self.sent.retries += 1
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            status, reply = await self._post(http, body)
        if status in _TAKEN:
            self.sent.spans_acked += spans
            self.sent.bytes_acked += len(body)
        else:
            self.sent.spans_lost += spans
            self.sent.first_error = self.sent.first_error or f"{status}: {reply[:200].decode(errors='replace')}"
        return isinstance(status, int)

    async def _post(self, http: aiohttp.ClientSession, body: bytes) -> tuple[int | str, bytes]:
        """The status, or the name of what went wrong; and the body of the answer."""
        status: int | str
        began = time.perf_counter()
        try:
            async with http.post(self._url, data=body, headers=self._headers) as answer:
                status, reply = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            status, reply = type(error).__name__, str(error).encode()
        self.sent.latencies.append(1000 * (time.perf_counter() - began))
        self.sent.status[str(status)] += 1
        return status, reply


async def send(
    url: str,
    batches: Iterable[tuple[int, bytes]],
    concurrency: int = 4,
    fmt: str = PROTOBUF,
    *,
    gz: bool = False,
    headers: dict[str, str] | None = None,
    retry: bool = True,
    max_seconds: float | None = None,
) -> Sent:
    """Send all batches over `concurrency` connections, as OpenTelemetry's exporters do.

    What a 429, 502, 503 or 504 refuses is sent again later. A latency is that of one request, retries apart.
    """
    encoding = {"Content-Encoding": "gzip"} if gz else {}
    all_headers = {"Content-Type": CONTENT_TYPES[fmt]} | encoding | (headers or {})
    sender = _Sender(url, all_headers, retry=retry, max_seconds=max_seconds)
    queue = iter(batches)
    connector, timeout = aiohttp.TCPConnector(limit=concurrency), aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(sender.work(http, queue) for _ in range(concurrency)))
        sender.sent.seconds = time.perf_counter() - began
        sender.sent.client_cpu_seconds = time.process_time() - cpu
    return sender.sent


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--batch", type=int, default=BATCH, help="spans a request")
    parser.add_argument("--format", choices=tuple(CONTENT_TYPES), default=PROTOBUF)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--seed", type=int, default=1, help="other seeds give other trace and session ids")
    parser.add_argument("--base-time", default=BASE_TIME, help="start of the first session")
    parser.add_argument("--spread", type=float, default=SPREAD_SECONDS, help="seconds in which sessions start")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument("--no-retry", action="store_true")
    parser.add_argument("--max-seconds", type=float, help="stop sending after this long")
    return parser.parse_args()


def main() -> None:
    """Send the load, and print what became of it as one line of JSON."""
    given = _arguments()
    batches = make_batches(
        given.sessions, given.batch, given.format, given.gzip, given.seed, given.base_time, given.spread
    )
    sending = send(
        given.url,
        batches,
        given.concurrency,
        given.format,
        gz=given.gzip,
        headers=dict(header.split(":", 1) for header in given.header),
        retry=not given.no_retry,
        max_seconds=given.max_seconds,
    )
    load = {"sessions": given.sessions, "spans": sum(spans for spans, _ in batches), "batches": len(batches)}
    print(json.dumps(load | asyncio.run(sending).summary()))


if __name__ == "__main__":
    main()
