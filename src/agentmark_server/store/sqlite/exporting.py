"""Reads spans as they were received."""

from collections.abc import Iterator

import apsw
import msgspec

from agentmark_server.model import Origin, ReceivedSpan
from agentmark_server.packing import unpacked_contents, unpacked_facts
from agentmark_server.store.sqlite.chunks import ids_of
from agentmark_server.store.sqlite.statements import Row, one, rows


class Owned(msgspec.Struct, frozen=True):
    """What a session owns of a trace, still packed: `numbers` says which spans of the chunks."""

    trace_id: bytes
    first: int
    numbers: frozenset[int]
    chunks: list[Row]
    origins: dict[int, Origin]

    def spans(self) -> Iterator[ReceivedSpan]:
        """The spans as they came, in the order in which they came, opened one chunk after the other."""
        for chunk, origins, facts, contents in self.chunks:
            numbers = msgspec.msgpack.decode(origins, type=list[int])
            opened = zip(unpacked_facts(self.trace_id, facts), unpacked_contents(contents), numbers, strict=True)
            for place, (fact, raw, origin) in enumerate(opened):
                if chunk - self.first + place in self.numbers:
                    yield ReceivedSpan(fact.span, raw, self.origins[origin], fact.attribute_count)


def owned(connection: apsw.Connection, app: int | None, session_id: str, trace_id: bytes) -> Owned | None:
    """What a session owns of a trace: all that needs the database, so that a slow reader keeps no transaction."""
    numbers = frozenset(number for (number,) in rows(connection, "owned_numbers", app, trace_id, session_id))
    if not numbers:
        return None
    first, after = ids_of(one(connection, "find_trace", app, trace_id)[0])
    heads = [chunk for (chunk,) in rows(connection, "chunk_heads_of_trace", first, after)]
    chunks = [one(connection, "chunk", chunk) for chunk in heads]
    named = {number for row in chunks for number in msgspec.msgpack.decode(row[1], type=list[int])}
    origins = {number: msgspec.msgpack.decode(one(connection, "origin", number), type=Origin) for number in named}
    return Owned(trace_id, first, numbers, chunks, origins)
