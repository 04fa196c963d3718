"""Spans to rows and back, and the contents of a trace in compressed chunks."""

from collections.abc import Iterable, Sequence
from typing import Final

import apsw
import msgspec
import zstandard

from agentmark_server.model import Context, Kind, Origin, ReceivedSpan, Role, Span, SpanStatus, Usage
from agentmark_server.store.sqlite.statements import SQL, Row, one, rows

_STATUSES: Final[tuple[SpanStatus, ...]] = ("unset", "ok", "error")
# The numbers of kinds and roles stand in files: append, never reorder.
_KINDS: Final = (
    Kind.FUNCTION,
    Kind.LLM,
    Kind.TOOL,
    Kind.AGENT,
    Kind.RETRIEVAL,
    Kind.EMBEDDING,
    Kind.GUARDRAIL,
)
_ROLES: Final = (Role.UNKNOWN, Role.CALL, Role.ROLL_UP, Role.EVENT)
_STATUS_CODE: Final = {status: code for code, status in enumerate(_STATUSES)}
_KIND_CODE: Final = {kind: code for code, kind in enumerate(_KINDS)}
_ROLE_CODE: Final = {role: code for code, role in enumerate(_ROLES)}

_CHUNK_BITS: Final = 24
_CACHE: Final = 50_000
"""Contexts and origins remembered before all are dropped: bounds memory, not correctness."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """Where a span is as received, and what decides between versions of it."""

    origin: int
    chunk: int
    place: int
    attribute_count: int


class StoredSpan(msgspec.Struct, frozen=True, gc=False):
    """A span and where it is kept."""

    span: Span
    kept: Kept


def _signed(number: int) -> int:
    """Unsigned 64 bits as SQLite can keep them."""
    return number - (1 << 64) if number >> 63 else number


def _unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number


def chunk_range(trace: int) -> tuple[int, int]:
    """The ids between which the chunks of a trace lie: first, and first of the next trace."""
    return trace << _CHUNK_BITS, (trace + 1) << _CHUNK_BITS


class Rows:
    """Reads and writes rows over one connection; remembers what it interned there."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        # One for all: a new one costs more than a chunk. Used under the write lock alone.
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._context_ids: dict[bytes, int] = {}
        self._contexts: dict[int, Context] = {}
        self._origin_ids: dict[Origin, int] = {}

    def clear(self) -> None:
        """Forget what was interned: after a write that was undone, it may not be there."""
        self._context_ids.clear()
        self._contexts.clear()
        self._origin_ids.clear()

    def bound(self) -> None:
        """Keep what is remembered small."""
        if max(len(self._context_ids), len(self._contexts), len(self._origin_ids)) > _CACHE:
            self.clear()

    def origin_id(self, origin: Origin) -> int:
        """The number of an origin, given when it is new."""
        if origin not in self._origin_ids:
            self._origin_ids[origin] = self._intern("origin", msgspec.msgpack.encode(origin))
        return self._origin_ids[origin]

    def origin(self, number: int) -> Origin:
        """The origin of a number."""
        return msgspec.msgpack.decode(self._one("origin", number), type=Origin)

    def _context_id(self, context: Context) -> int:
        content = msgspec.msgpack.encode(context)
        if content not in self._context_ids:
            self._context_ids[content] = self._intern("context", content)
        return self._context_ids[content]

    def _context(self, number: int) -> Context:
        if number not in self._contexts:
            self._contexts[number] = msgspec.msgpack.decode(self._one("context", number), type=Context)
        return self._contexts[number]

    def _intern(self, table: str, content: bytes) -> int:
        found = one(self._connection, f"find_{table}", content)
        number: int = found or one(self._connection, f"add_{table}", content)
        return number

    def _one(self, statement: str, number: int) -> bytes:
        content: bytes = one(self._connection, statement, number)
        return content

    def spans_of(self, trace: int, trace_id: bytes) -> dict[bytes, StoredSpan]:
        """All spans of a trace, by span id."""
        found = rows(self._connection, "spans_of_trace", trace)
        return {row[0]: self._stored(trace_id, row) for row in found}

    def some_spans_of(self, trace: int, trace_id: bytes, span_ids: Iterable[bytes]) -> dict[bytes, StoredSpan]:
        """Those spans of a trace that are there among some ids."""
        found = (one(self._connection, "span_of_trace", trace, span_id) for span_id in span_ids)
        return {row[0]: self._stored(trace_id, row) for row in found if row}

    def _stored(self, trace_id: bytes, row: Row) -> StoredSpan:
        span_id, parent_id, name, start, end, status, kind, role, *rest = row
        span = Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_id=parent_id or b"",
            name=name,
            start=_unsigned(start),
            end=_unsigned(end),
            status=_STATUSES[status],
            kind=_KINDS[kind],
            role=_ROLES[role],
            usage=Usage(*rest[:6], bool(rest[6])),  # type: ignore[call-arg]  # a row's width is ours
            provider=rest[7],
            model=rest[8],
            response_id=rest[9],
            agent=rest[10],
            trace_name=rest[11],
            input=rest[12],
            output=rest[13],
            context=self._context(rest[14]),
        )
        return StoredSpan(span, Kept(*rest[15:]))

    def put(self, trace: int, spans: Sequence[StoredSpan]) -> None:
        """Write spans of a trace; older versions of them go."""
        self._connection.executemany(SQL["put_span"], [self.row(trace, stored) for stored in spans])

    def row(self, trace: int, stored: StoredSpan) -> Row:
        """A span as `put_span` takes it."""
        span = stored.span
        return (
            trace,
            span.span_id,
            span.parent_id or None,
            span.name,
            _signed(span.start),
            _signed(span.end),
            _STATUS_CODE[span.status],
            _KIND_CODE[span.kind],
            _ROLE_CODE[span.role],
            *msgspec.structs.astuple(span.usage),
            span.provider,
            span.model,
            span.response_id,
            span.agent,
            span.trace_name,
            span.input,
            span.output,
            self._context_id(span.context),
            *msgspec.structs.astuple(stored.kept),
        )

    def put_chunk(self, trace: int, number: int, spans: Sequence[ReceivedSpan]) -> list[StoredSpan]:
        """Keep spans as received in the `number`-th chunk of a trace, and say where each is."""
        row, stored = self.chunk(trace, number, spans)
        self._connection.execute(SQL["put_chunk"], row)
        return stored

    def chunk(self, trace: int, number: int, spans: Sequence[ReceivedSpan]) -> tuple[Row, list[StoredSpan]]:
        """The `number`-th chunk of a trace as `put_chunk` takes it, and where in it each span is."""
        chunk = chunk_range(trace)[0] + number
        content = self._compressor.compress(msgspec.msgpack.encode([received.raw for received in spans]))
        stored = [
            StoredSpan(
                received.span,
                Kept(
                    origin=self.origin_id(received.origin),
                    chunk=chunk,
                    place=place,
                    attribute_count=received.attribute_count,
                ),
            )
            for place, received in enumerate(spans)
        ]
        return (chunk, content), stored

    def kept_of(self, trace: int) -> list[Kept]:
        """Where the spans of a trace are."""
        return [Kept(*row) for row in rows(self._connection, "kept_of_trace", trace)]

    def raws(self, kept: Sequence[Kept]) -> list[bytes]:
        """Spans as they were received, each chunk opened once."""
        chunks = {chunk: self._raws_in(chunk) for chunk in {one.chunk for one in kept}}
        return [chunks[one.chunk][one.place] for one in kept]

    def _raws_in(self, chunk: int) -> list[bytes]:
        content = zstandard.decompress(self._one("chunk", chunk))
        return msgspec.msgpack.decode(content, type=list[bytes])
