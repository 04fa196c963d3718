"""Questions about whole traces, each within one reading transaction."""

from typing import Final

import apsw
import msgspec

from agentmark_server.model import Page, Role, Slice, Trace
from agentmark_server.packing import ROLES, STATUSES
from agentmark_server.spans import TraceOrder, TraceQuery
from agentmark_server.store.sqlite.chunks import NUMBER_BITS, ids_of
from agentmark_server.store.sqlite.questions import Where
from agentmark_server.store.sqlite.slices import Listing, Order, among
from agentmark_server.store.sqlite.statements import one, rows
from agentmark_server.store.sqlite.whole import whole
from agentmark_server.store.sqlite.writing import decode_part

_COLUMNS: Final = {
    TraceOrder.START: "start",
    TraceOrder.END: '"end"',
    TraceOrder.DURATION: "duration",
    TraceOrder.COST: "cost",
    TraceOrder.TOKENS: "tokens",
    TraceOrder.SPANS: "span_count",
    TraceOrder.ERRORS: "error_count",
}


def list_traces(connection: apsw.Connection, app: int | None, query: TraceQuery, part: Slice) -> Page[Trace]:
    """See `Store.list_traces`."""
    order = Order(query.order.value, _COLUMNS[query.order], ("trace_id",), query.ascending)
    listing = Listing("trace", "id, trace_id", _fitting(app, query), order)
    found, cursor = listing.slice(connection, part)
    return Page([_trace(connection, *row) for row in found], listing.count(connection), cursor)


def get_trace(connection: apsw.Connection, app: int | None, trace_id: bytes) -> Trace | None:
    """See `Store.get_trace`."""
    found = one(connection, "find_listed_trace", app, trace_id)
    return _trace(connection, *found) if found else None


def _trace(connection: apsw.Connection, trace: int, trace_id: bytes) -> Trace:
    """A trace as a whole. A session that owns a span of it has not lost it."""
    parts = [decode_part(content) for (content,) in rows(connection, "part_contents_of_trace", *ids_of(trace))]
    session_ids = tuple(id_ for (id_,) in rows(connection, "sessions_of_trace", *ids_of(trace)))
    one_part = whole(parts)
    lost = one_part.labels.other_keys.difference(session_ids)
    labels = msgspec.structs.replace(one_part.labels, other_keys=lost)
    return Trace(trace_id, one_part.name, one_part.status, one_part.totals, labels, session_ids)


def _fitting(app: int | None, query: TraceQuery) -> Where:
    # A session has few traces: they are fetched by it (the plus keeps the app's index out), not met on a walk.
    where = Where(f"{'+' if query.session_ids else ''}app IS ? AND span_count > 0", app)
    if query.session_ids:
        where.add(*in_sessions("trace.id", app, query.session_ids))
    if query.names:
        contains = " OR ".join(["instr(fold(name), ?) > 0"] * len(query.names))
        where.add(contains, *(name.casefold() for name in query.names))
    if query.statuses:
        where.add(*among("status", tuple(STATUSES.index(status) for status in query.statuses)))
    if query.since is not None:
        where.add('coalesce(max("end", start), start) >= ?', query.since)
    if query.until is not None:
        where.add("start <= ?", query.until)
    for column, texts in (("user", query.user_ids), ("model", query.models)):
        if texts:
            terms, *bindings = among("text", texts)
            spans = f"""SELECT 1 FROM span WHERE span.trace = trace.id AND span.role <> {ROLES.index(Role.EVENT)}
                AND span.{column} IN (SELECT id FROM term WHERE {terms})"""  # noqa: S608  # marks and names of ours
            where.add(f"EXISTS ({spans})", *bindings)
    return where


def in_sessions(column: str, app: int | None, session_ids: tuple[str, ...]) -> tuple[str, *tuple[object, ...]]:
    """That the trace of a column has spans of one of some sessions, as `Where.add` takes it."""
    condition, *bindings = among("session_id", session_ids)
    sessions = f"SELECT id FROM session WHERE app IS ? AND {condition}"  # noqa: S608  # marks and names of ours
    traces = f"SELECT id >> {NUMBER_BITS} FROM part WHERE session IN ({sessions})"  # noqa: S608  # the same
    return f"{column} IN ({traces})", app, *bindings
