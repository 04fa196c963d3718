"""Questions about spans, each within one reading transaction."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import apsw
import msgspec

from agentmark_server.model import Page, Role, Slice, Span, Usage
from agentmark_server.packing import KINDS, ROLES, STATUSES
from agentmark_server.spans import ListedSpan, RawContent, SpanOrder, SpanQuery
from agentmark_server.store import BadCursorError
from agentmark_server.store.sqlite.opened import Place, raws_at, spans_at
from agentmark_server.store.sqlite.questions import Where
from agentmark_server.store.sqlite.slices import Listing, Order, among
from agentmark_server.store.sqlite.statements import Row, one, rows
from agentmark_server.store.sqlite.traces import in_sessions
from agentmark_server.tree import in_tree_order

_TOKENS: Final = """CASE WHEN input_tokens IS NOT NULL OR output_tokens IS NOT NULL
    THEN ifnull(input_tokens, 0) + ifnull(output_tokens, 0) END"""
_COLUMNS: Final = {
    SpanOrder.START: "began",
    SpanOrder.END: "ended",
    SpanOrder.DURATION: "lasted",
    SpanOrder.COST: "span.cost",
    SpanOrder.TOKENS: _TOKENS,
}


def list_spans(
    connection: apsw.Connection, app: int | None, query: SpanQuery, part: Slice, *, contents: bool
) -> Page[ListedSpan]:
    """See `Store.list_spans`."""
    listing = Listing(
        # All of them are walked by their own index: one of traces would make every question sort all spans.
        "span CROSS JOIN trace ON trace.id = span.trace",
        "trace.id, trace.trace_id, span.span_id",
        _fitting(app, query),
        Order(query.order.value, _COLUMNS[query.order], ("trace.trace_id", "span.span_id"), query.ascending),
    )
    found, cursor = listing.slice(connection, part)
    picked = [
        (trace, trace_id, one(connection, "listed_span", trace, span_id)) for trace, trace_id, span_id in found
    ]
    spans = _opened(connection, picked, contents=contents)
    return Page(spans, _count(connection, app, query, listing), cursor)


def _count(connection: apsw.Connection, app: int | None, query: SpanQuery, listing: Listing) -> int:
    everything = msgspec.structs.replace(SpanQuery(), order=query.order, ascending=query.ascending)
    if query != everything:
        return listing.count(connection)
    count: int = one(connection, "count_listed_spans", app)
    return count


def _fitting(app: int | None, query: SpanQuery) -> Where:
    where = Where("trace.app IS ?", app)
    where.add(f"role <> {ROLES.index(Role.EVENT)}")
    if query.trace_ids:
        condition, *ids = among("trace_id", query.trace_ids)
        where.add(f"span.trace IN (SELECT id FROM trace WHERE app IS ? AND {condition})", app, *ids)  # noqa: S608  # marks
    if query.session_ids:
        where.add(*in_sessions("span.trace", app, query.session_ids))
        condition, *ids = among("session_id", query.session_ids)
        where.add(f"session IN (SELECT id FROM session WHERE app IS ? AND {condition})", app, *ids)  # noqa: S608  # marks
    if query.names:
        contains = " OR ".join(["instr(fold(text), ?) > 0"] * len(query.names))
        texts = (name.casefold() for name in query.names)
        where.add(f"span.name IN (SELECT id FROM term WHERE {contains})", *texts)  # noqa: S608  # marks
    for column, said in (("user", query.user_ids), ("model", query.models)):
        if said:
            condition, *bindings = among("text", said)
            where.add(f"span.{column} IN (SELECT id FROM term WHERE {condition})", *bindings)  # noqa: S608  # marks
    if query.kinds:
        where.add(*among("kind", tuple(KINDS.index(kind) for kind in query.kinds)))
    if query.statuses:
        where.add(*among("span.status", tuple(STATUSES.index(status) for status in query.statuses)))
    if query.since is not None:
        where.add("coalesce(max(ended, began), began) >= ?", query.since)
    if query.until is not None:
        where.add("began <= ?", query.until)
    return where


def list_trace_spans(
    connection: apsw.Connection, app: int | None, trace_id: bytes, part: Slice, *, contents: bool
) -> Page[ListedSpan]:
    """See `Store.list_trace_spans`."""
    found = one(connection, "find_listed_trace", app, trace_id)
    if not found:
        return Page([], 0, None)
    trace, _ = found
    said = {row[0]: row for row in rows(connection, "listed_spans", trace)}
    facts = spans_at(connection, [Place(trace, trace_id, row[1]) for row in said.values()])
    depths = in_tree_order(facts.values())
    ids = list(depths)
    first = _place_after(ids, part.cursor) if part.cursor is not None else part.offset
    picked = [(trace, trace_id, said[span_id]) for span_id in ids[first : first + part.limit]]
    listed = _opened(connection, picked, facts, contents=contents)
    spans = [msgspec.structs.replace(span, depth=depths[span.span.span_id]) for span in listed]
    more = first + part.limit < len(ids)
    return Page(spans, len(ids), spans[-1].span.span_id.hex() if more else None)


def _place_after(ids: list[bytes], cursor: str) -> int:
    """Where the span behind that of a cursor stands: a cursor is the id of the last one shown."""
    try:
        return ids.index(bytes.fromhex(cursor)) + 1
    except ValueError as error:
        msg = "it is not one that a page of this trace gave as next_cursor"
        raise BadCursorError(msg) from error


def get_span(connection: apsw.Connection, app: int | None, trace_id: bytes, span_id: bytes) -> ListedSpan | None:
    """See `Store.get_span`."""
    found = one(connection, "find_listed_trace", app, trace_id)
    row = one(connection, "listed_span", found[0], span_id) if found else None
    return _opened(connection, [(found[0], trace_id, row)], contents=True)[0] if row else None


_Picked = tuple[int, bytes, Row]
"""Number and id of a trace, and a row of `listed_spans`."""


def _opened(
    connection: apsw.Connection,
    picked: list[_Picked],
    facts: Mapping[Place, Span] | None = None,
    *,
    contents: bool,
) -> list[ListedSpan]:
    """What rows stand for, in their order; `facts`, where they are at hand."""
    places = [Place(trace, trace_id, row[1]) for trace, trace_id, row in picked]
    known = spans_at(connection, places) if facts is None else facts
    held = _contents(connection, known, places) if contents else {}
    return [
        ListedSpan(_joined(known[place], row[4:]), row[2], bool(row[3]), content=held.get(place))
        for place, (_, _, row) in zip(places, picked, strict=True)
    ]


def _joined(span: Span, said: Row) -> Span:
    """A span with what log records say more of it: `said` is the model, the user and the usage in its row."""
    usage = msgspec.structs.astuple(span.usage)[:-1]
    if said == (span.model, span.context.user_id, *usage):
        return span
    model, user_id, *numbers = said
    stated: tuple[Any, ...] = (*numbers, span.usage.cost_stated)
    return msgspec.structs.replace(
        span,
        model=model,
        context=msgspec.structs.replace(span.context, user_id=user_id),
        usage=Usage(*stated),
    )


def _contents(
    connection: apsw.Connection, facts: Mapping[Place, Span], places: Iterable[Place]
) -> dict[Place, RawContent]:
    """What spans hold, with the log records that belong to them."""
    by_span = {(place.trace, facts[place].span_id): place for place in places}
    numbers = {
        Place(trace, trace_id, number): None
        for trace, trace_id in {place.trace: place.trace_id for place in by_span.values()}.items()
        for (number,) in rows(connection, "log_records_of_trace", trace)
    }
    records = spans_at(connection, numbers)
    owners = {record: by_span.get((record.trace, records[record].parent_id)) for record in numbers}
    wanted = [record for record, owner in owners.items() if owner]
    raws = raws_at(connection, [*by_span.values(), *wanted])
    told: dict[Place, list[bytes]] = {}
    for record in wanted:
        owner = owners[record]
        if owner:
            told.setdefault(owner, []).append(raws[record])
    return {place: RawContent(raws[place], tuple(told.get(place, ()))) for place in by_span.values()}
