"""What a session's conversation is made of: a stretch of its traces, and the spans of each."""

from typing import Any

import apsw
import msgspec

from agentmark_server.model import Origin, Page, ReceivedSpan, Slice, Trace
from agentmark_server.packing import unpacked_contents, unpacked_facts
from agentmark_server.store import Stretch
from agentmark_server.store.sqlite import questions
from agentmark_server.store.sqlite.chunks import ids_of
from agentmark_server.store.sqlite.statements import Row, one, rows
from agentmark_server.store.sqlite.writing import decode_busy


class _Labels(msgspec.Struct, array_like=True, gc=False):
    """Of `model.Labels` the beginning: all that is read of the parts before a stretch, which may be many."""

    start: int | None
    end: int | None


class _Ended(msgspec.Struct, array_like=True, gc=False):
    """Of `grouping.Part` likewise."""

    name: msgspec.Raw
    status: msgspec.Raw
    totals: msgspec.Raw
    labels: _Labels


_ended = msgspec.msgpack.Decoder(_Ended)


def stretch(connection: apsw.Connection, app: int | None, session_id: str, part: Slice) -> Stretch | None:
    """Some of a session's traces in their order, and what came before them; None without the session."""
    session = questions.get_session(connection, app, session_id)
    if session is None:
        return None
    number = one(connection, "find_session", app, session_id)
    page = questions.list_session_traces(connection, app, session_id, part)
    before = _before(connection, number, page)
    return Stretch(
        session,
        page,
        before[-1][0] if before else None,
        max((end for _, end in before if end is not None), default=None),
        decode_busy(one(connection, "busy_of_session", number)),
    )


def _before(connection: apsw.Connection, session: int, page: Page[Trace]) -> list[tuple[bytes, int | None]]:
    """The id and the end of each trace before a page."""
    if not page.items:
        return []
    first = page.items[0].id
    place = one(connection, "start_of_part", session, first)
    found = rows(connection, "parts_before", session, place, first)
    return [(trace_id, _ended.decode(content).labels.end) for trace_id, content in found]


def spans_of(connection: apsw.Connection, app: int | None, trace_id: bytes) -> list[ReceivedSpan]:
    """All spans of a trace, whoever owns them: of each the version that holds, which is in the last chunk."""
    trace = one(connection, "find_trace", app, trace_id)
    latest: dict[bytes, ReceivedSpan] = {}
    origins: dict[int, Origin] = {}
    for (chunk,) in rows(connection, "chunk_heads_of_trace", *ids_of(trace[0])) if trace else ():
        _, *packed = one(connection, "chunk", chunk)
        latest.update((one_.span.span_id, one_) for one_ in _opened(connection, trace_id, packed, origins))
    return list(latest.values())


def _opened(
    connection: apsw.Connection, trace_id: bytes, packed: Row | list[Any], origins: dict[int, Origin]
) -> list[ReceivedSpan]:
    """The spans of a chunk; `origins` are those that are known already."""
    places, facts, contents = packed
    numbers = msgspec.msgpack.decode(places, type=list[int])
    for number in set(numbers) - origins.keys():
        origins[number] = msgspec.msgpack.decode(one(connection, "origin", number), type=Origin)
    spans = zip(unpacked_facts(trace_id, facts), unpacked_contents(contents), numbers, strict=True)
    return [ReceivedSpan(fact.span, raw, origins[n], fact.attribute_count) for fact, raw, n in spans]
