"""The spans of a trace as they were received, in compressed chunks, with what is derived from them at hand."""

from collections.abc import Iterator
from typing import Final

import apsw
import msgspec

from agentmark_server.model import ReceivedSpan
from agentmark_server.packing import Fact, Share, unpacked_contents, unpacked_facts
from agentmark_server.store.sqlite.interned import Interned
from agentmark_server.store.sqlite.statements import SQL, one, rows

NUMBER_BITS: Final = 32
"""A chunk's id and a part's are the number of their trace, then so many bits for their own."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A span that is stored, and its number in its trace."""

    fact: Fact
    number: int


def ids_of(trace: int) -> tuple[int, int]:
    """The ids between which all that belongs to a trace lies: the first, and the first of the next trace."""
    return trace << NUMBER_BITS, (trace + 1) << NUMBER_BITS


class Chunks:
    """Reads and writes chunks over one connection."""

    def __init__(self, connection: apsw.Connection, interned: Interned) -> None:
        self._connection = connection
        self._interned = interned

    def row(self, trace: int, first: int, share: Share) -> tuple[int, bytes, bytes, bytes]:
        """A share, of which the first span has the number `first`, as `put_chunk` takes it."""
        numbers = [self._interned.origin(origin) for origin in share.origins]
        origins = [numbers[place] for place in share.origin_places]
        self._interned.use_origins(origins)
        return ids_of(trace)[0] + first, msgspec.msgpack.encode(origins), share.facts, share.contents

    def facts_of(self, trace: int, trace_id: bytes) -> dict[bytes, Stored]:
        """All spans of a trace, by span id: of a span's versions that in the last chunk."""
        found: dict[bytes, Stored] = {}
        for chunk, blob in rows(self._connection, "facts_of_trace", *ids_of(trace)):
            first = chunk - ids_of(trace)[0]
            for place, fact in enumerate(unpacked_facts(trace_id, blob)):
                found[fact.span.span_id] = Stored(fact, first + place)
        return found

    def received_of(self, trace: int, trace_id: bytes) -> Iterator[tuple[int, list[ReceivedSpan]]]:
        """All chunks of a trace, opened one after the other: the number of the first span, and the spans."""
        for (chunk,) in rows(self._connection, "chunk_heads_of_trace", *ids_of(trace)):
            _, *blobs = one(self._connection, "chunk", chunk)
            yield chunk - ids_of(trace)[0], self._opened(trace_id, *blobs)

    def received(self, trace: int, trace_id: bytes, number: int) -> ReceivedSpan:
        """The span of a number, as it was received."""
        span = ids_of(trace)[0] + number
        chunk, *blobs = one(self._connection, "chunk_of_span", span)
        place: int = span - chunk
        return self._opened(trace_id, *blobs)[place]

    def _opened(self, trace_id: bytes, origins: bytes, facts: bytes, contents: bytes) -> list[ReceivedSpan]:
        numbers = msgspec.msgpack.decode(origins, type=list[int])
        known = {number: self._interned.origin_of(number) for number in set(numbers)}
        return [
            ReceivedSpan(fact.span, raw, known[number], fact.attribute_count)
            for fact, raw, number in zip(
                unpacked_facts(trace_id, facts), unpacked_contents(contents), numbers, strict=True
            )
        ]

    def delete(self, trace: int) -> None:
        """Delete all chunks of a trace."""
        for (chunk,) in rows(self._connection, "chunk_heads_of_trace", *ids_of(trace)):
            _, origins, *_ = one(self._connection, "chunk", chunk)
            self._interned.use_origins(msgspec.msgpack.decode(origins, type=list[int]), -1)
        self._connection.execute(SQL["delete_chunks"], ids_of(trace))
