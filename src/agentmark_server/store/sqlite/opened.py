"""Single spans out of chunks: each chunk is opened once, and only one at a time is held."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import apsw
import msgspec

from agentmark_server.model import Span
from agentmark_server.packing import unpacked_contents, unpacked_facts
from agentmark_server.store.sqlite.chunks import ids_of
from agentmark_server.store.sqlite.statements import one

Item = TypeVar("Item")


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a span is: its trace, by number and by id, and its number in it."""

    trace: int
    trace_id: bytes
    number: int


def spans_at(connection: apsw.Connection, places: Iterable[Place]) -> dict[Place, Span]:
    """The facts of spans."""

    def read(place: Place, blob: bytes) -> list[Span]:
        return [fact.span for fact in unpacked_facts(place.trace_id, blob)]

    return _picked(connection, "facts_of_span", places, read)


def raws_at(connection: apsw.Connection, places: Iterable[Place]) -> dict[Place, bytes]:
    """Spans as they came."""
    return _picked(connection, "contents_of_span", places, lambda _, blob: unpacked_contents(blob))


def _picked(
    connection: apsw.Connection,
    statement: str,
    places: Iterable[Place],
    read: Callable[[Place, Any], Sequence[Item]],
) -> dict[Place, Item]:
    found: dict[Place, Item] = {}
    first = 0
    items: Sequence[Item] = ()
    for place in sorted(places):
        id_ = ids_of(place.trace)[0] + place.number
        if not first <= id_ < first + len(items):
            first, blob = one(connection, statement, id_)
            items = read(place, blob)
        found[place] = items[id_ - first]
    return found
