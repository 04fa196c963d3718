"""Spans made ready for the store: all that can be worked out without knowing what is stored.

A request's spans are cut into shares, one for each trace. A share is grouped as if it were the whole trace, which
it mostly is, and compressed. All of it is pure, so that it can be done beside the one who writes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from threading import local
from typing import Any, Final, Protocol

import msgspec
import zstandard

from agentmark_server.grouping import Grouped, Part, group
from agentmark_server.model import Context, Kind, Origin, Preview, ReceivedSpan, Role, Span, SpanStatus, Usage

STATUSES: Final[tuple[SpanStatus, ...]] = ("unset", "ok", "error")
# The numbers of statuses, kinds and roles stand in files: append, never reorder.
KINDS: Final = (
    Kind.FUNCTION,
    Kind.LLM,
    Kind.TOOL,
    Kind.AGENT,
    Kind.RETRIEVAL,
    Kind.EMBEDDING,
    Kind.GUARDRAIL,
)
ROLES: Final = (Role.UNKNOWN, Role.CALL, Role.ROLL_UP, Role.EVENT)

TERMS: Final = 10
"""Texts of a row: name, provider, model, agent, service, scope, user, prompt, status message, metadata."""

_LEVEL: Final = 1
"""zstd's: higher ones cost more time than the room that they save is worth."""


class Reader(Protocol):
    """How spans are read."""

    def canonical(self, raw: bytes) -> bytes:
        """One encoding for all encodings of the same span."""
        ...

    def preview(self, received: ReceivedSpan) -> Preview:
        """What a span tells of input and output."""
        ...


Row = tuple[Any, ...]


class Fact(msgspec.Struct, frozen=True, gc=False):
    """A span as grouping needs it, and what decides between versions of it."""

    span: Span
    attribute_count: int


class Rows(msgspec.Struct, array_like=True, gc=False):
    """A narrow row for each span, with the places of what many rows share in lists beside."""

    rows: list[Row]
    """Each: places of the owner and of TERMS texts, then plain values."""
    owners: list[str | None]
    terms: list[str | None]
    """Texts; the first is none, for what is absent."""
    term_uses: list[int]


class Share(msgspec.Struct, array_like=True, gc=False):
    """What one request brings of one trace: each span once."""

    trace_id: bytes
    span_ids: list[bytes]
    facts: bytes
    """What `unpacked_facts` reads."""
    contents: bytes
    """What `unpacked_contents` reads: the spans as they came, in the same order."""
    origins: list[Origin]
    origin_places: list[int]
    """Of each span the place of its origin in `origins`."""
    rows: Rows
    parts: list[tuple[str | None, Part]]
    """The share of each owner, as long as nothing else is known of the trace."""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return len(self.facts) + len(self.contents) + _ROW_BYTES * len(self.span_ids)

    def keys(self) -> set[str]:
        """Every session id that a span of it states."""
        owners = {owner for owner, _ in self.parts if owner is not None}
        return owners.union(*(part.labels.other_keys for _, part in self.parts))


_ROW_BYTES: Final = 500
_CHUNK_BYTES: Final = 4 * 1024 * 1024
_CHUNK_SPANS: Final = 1000


def pack(spans: Iterable[ReceivedSpan], reader: Reader) -> list[Share]:
    """Spans of any traces to shares."""
    by_trace: dict[bytes, dict[bytes, ReceivedSpan]] = {}
    for received in spans:
        span = received.span
        versions = by_trace.setdefault(span.trace_id, {})
        other = versions.get(span.span_id)
        if other is None or beats(received, other, reader):
            versions[span.span_id] = received
    return [
        share(trace_id, some, reader)
        for trace_id, versions in by_trace.items()
        for some in batches(list(versions.values()))
    ]


def batches(spans: Sequence[ReceivedSpan]) -> Iterator[Sequence[ReceivedSpan]]:
    """So many spans as are compressed together: to read one of them, all are opened."""
    batch: list[ReceivedSpan] = []
    size = 0
    for received in spans:
        if batch and (size + len(received.raw) > _CHUNK_BYTES or len(batch) >= _CHUNK_SPANS):
            yield batch
            batch, size = [], 0
        batch.append(received)
        size += len(received.raw)
    yield batch


def share(trace_id: bytes, spans: Sequence[ReceivedSpan], reader: Reader) -> Share:
    """Spans of one trace, each there once, as a share."""
    facts = [Fact(received.span, received.attribute_count) for received in spans]
    by_id = {received.span.span_id: received for received in spans}
    grouped = group([fact.span for fact in facts], lambda span_id, side: reader.preview(by_id[span_id])[side])
    # By identity, which is cheap to tell: two that are equal are numbered alike when they are stored.
    origins = {id(received.origin): received.origin for received in spans}
    places = {id_: place for place, id_ in enumerate(origins)}
    return Share(
        trace_id,
        list(by_id),
        packed_facts(spans),
        packed_contents([received.raw for received in spans]),
        list(origins.values()),
        [places[id(received.origin)] for received in spans],
        rows_of(facts, grouped),
        list(grouped.parts.items()),
    )


def beats(a: ReceivedSpan, b: ReceivedSpan, reader: Reader) -> bool:
    """Whether version `a` of a span takes the place of `b`: docs/sessions.md, "Versions"."""
    ours, theirs = (a.span.end, a.attribute_count), (b.span.end, b.attribute_count)
    if ours != theirs:
        return ours > theirs
    if a.raw == b.raw and a.origin == b.origin:
        return False
    return _tie_break(a, reader) > _tie_break(b, reader)


def _tie_break(received: ReceivedSpan, reader: Reader) -> tuple[bytes, bytes]:
    return reader.canonical(received.raw), msgspec.msgpack.encode(received.origin)


class _Packed(msgspec.Struct, array_like=True, gc=False):
    """A span in a chunk: its trace is the chunk's, its surroundings are in a list beside."""

    span_id: bytes
    parent_id: bytes
    name: str
    start: int
    end: int
    status: SpanStatus
    kind: Kind
    role: Role
    usage: Usage
    provider: str | None
    model: str | None
    response_id: str | None
    agent: str | None
    trace_name: str | None
    has_input: bool
    has_output: bool
    context: int
    attribute_count: int
    status_message: str | None = None
    prompt_name: str | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_json: Final = msgspec.json.Encoder()
_packed: Final = msgspec.msgpack.Decoder(tuple[list[Context], list[_Packed]])
_contents: Final = msgspec.msgpack.Decoder(list[bytes])


def packed_facts(spans: Sequence[ReceivedSpan]) -> bytes:
    """The facts of spans, small."""
    places: dict[int, int] = {}
    contexts: list[Context] = []
    packed = []
    for received in spans:
        _, *fields, context, status_message, prompt_name = msgspec.structs.astuple(received.span)
        place = places.setdefault(id(context), len(contexts))
        if place == len(contexts):
            contexts.append(context)
        packed.append((*fields, place, received.attribute_count, status_message, prompt_name))
    return _compressed(_encoder.encode((contexts, packed)))


def unpacked_facts(trace_id: bytes, blob: bytes) -> list[Fact]:
    """Spans of a trace, in the order in which they were packed."""
    contexts, packed = _packed.decode(zstandard.decompress(blob))
    facts = []
    for one in packed:
        *fields, context, attribute_count, status_message, prompt_name = msgspec.structs.astuple(one)
        span = Span(trace_id, *fields, contexts[context], status_message, prompt_name)  # type: ignore[call-arg]  # the fields of `_Packed`
        facts.append(Fact(span, attribute_count))
    return facts


def packed_contents(raws: Sequence[bytes]) -> bytes:
    """Spans as they came, small."""
    return _compressed(_encoder.encode(raws))


def unpacked_contents(blob: bytes) -> list[bytes]:
    """Spans as they came, in the order in which they were packed."""
    return _contents.decode(zstandard.decompress(blob))


class _Compressors(local):
    """A compressor for each thread: two must not share one, and a new one costs more than a chunk."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress


_compressors: Final = _Compressors()


def _compressed(content: bytes) -> bytes:
    return _compressors.compress(content)


def rows_of(facts: Iterable[Fact], grouped: Grouped) -> Rows:
    """A row for each span, as it is once its trace is grouped."""
    owners: dict[str | None, int] = {}
    terms: dict[str | None, int] = {None: 0}
    rows = []
    for fact in facts:
        span = grouped.joined.get(fact.span.span_id, fact.span)
        context, owner = span.context, grouped.owners.get(span.span_id)
        said = (
            *(span.name, span.provider, span.model, span.agent, context.service, context.scope or None),
            *(context.user_id, span.prompt_name, span.status_message, _metadata(context)),
        )
        rows.append(
            (
                owners.setdefault(owner, len(owners)),
                *[terms.setdefault(text, len(terms)) for text in said],
                span.span_id,
                signed(span.start),
                signed(span.end),
                STATUSES.index(span.status),
                KINDS.index(span.kind),
                ROLES.index(span.role),
                span.span_id in grouped.counted,
                *msgspec.structs.astuple(span.usage)[:-1],
                fact.attribute_count,
                span.parent_id or None,
            )
        )
    uses = Counter(place for row in rows for place in row[1 : 1 + TERMS])
    return Rows(rows, list(owners), list(terms), [uses[place] for place in range(len(terms))])


def _metadata(context: Context) -> str | None:
    """All metadata of a span as one text, the same for the same: JSON, sorted by key."""
    return _json.encode(dict(context.metadata)).decode() if context.metadata else None


def signed(number: int) -> int:
    """Unsigned 64 bits as a store can keep them."""
    return number - (1 << 64) if number >> 63 else number


def unsigned(number: int) -> int:
    """The number that `signed` was given."""
    return number + (1 << 64) if number < 0 else number
