"""The list of sessions: which fit, in any order, from anywhere.

A few orders have an index. A page of one is walked along it, with every condition tested on the way; where one
condition alone leaves so few sessions that sorting them is cheaper, they are fetched by it and sorted.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import apsw
import msgspec

from agentmark_server.filters import And, AnySpan, Comparison, Filter, Operator
from agentmark_server.model import Page, Session, SessionStatus, Slice
from agentmark_server.queries import Activity, Between, Labelled, Order, SessionQuery
from agentmark_server.store.sqlite import filtering, search
from agentmark_server.store.sqlite.filtering import NUMBERS
from agentmark_server.store.sqlite.questions import Integer, cursor_of, opened, session_of
from agentmark_server.store.sqlite.statements import Row, one

_COLUMNS: Final = {
    Order.START: "start",
    Order.END: '"end"',
    Order.NAME: "name",
    Order.USER: "user",
    Order.DURATION: "wall",
    Order.ACTIVE: "active",
    Order.LATENCY: "latency",
    Order.COST: "total_cost",
    Order.TOKENS: "total_tokens",
    Order.TRACES: "trace_count",
    Order.SPANS: "span_count",
    Order.ERRORS: "error_count",
}
_INDEXES: Final = {
    Order.START: "session_by_start",
    Order.END: "session_by_end",
    Order.DURATION: "session_by_wall",
    Order.COST: "session_by_cost",
    Order.TOKENS: "session_by_tokens",
    Order.TRACES: "session_by_traces",
}
_MOST_COUNTED: Final = 50_000
"""So far the sessions that a condition leaves are counted, to choose how to fetch them."""
_GUESS: Final = 0.2
"""The share of sessions that a condition leaves of which nothing is known."""

_Position: Final = tuple[str | Integer | None, str]
"""Of a session in a list: what it is sorted by, and its id."""


class _Condition(msgspec.Struct, frozen=True):
    """What sessions must meet. Nothing from outside stands in the text: it is bound."""

    text: str
    bindings: list[Any]
    fetch: str | None = None
    """The same, so that sessions are fetched by it."""
    index: str | None = None
    """The index by which they are; without one by their numbers."""
    count: str | None = None
    """A statement of the numbers of the sessions that it leaves."""
    exact: bool = False
    """Whether that names each of the app's sessions once, and no other."""


class _Plan(msgspec.Struct, frozen=True):
    """How sessions are found: where from, and what they must meet."""

    source: str
    where: str
    bindings: list[Any]


def list_sessions(connection: apsw.Connection, app: int | None, query: SessionQuery, part: Slice) -> Page[Session]:
    """Sessions that fit `query`, in its order; ties by id, those without what it sorts by last."""
    if app is None:
        return Page([], 0, None)
    conditions = list(_conditions(connection, app, query))
    everything: int = one(connection, "count_sessions_of_app", app)
    counts = [_count(connection, condition) for condition in conditions]
    fetching = _fetching(app, conditions, counts)
    walking = _walking(app, conditions, _INDEXES.get(query.order))
    total = _total(connection, conditions, fetching or walking) if conditions else everything
    cheaper = _cheaper(everything, counts, part, indexed=query.order in _INDEXES)
    found = _page(connection, fetching if fetching and cheaper else walking, query, part)
    shown = [session_of(one(connection, "session_of_number", number)) for number, *_ in found[: part.limit]]
    more = len(found) > part.limit
    return Page(shown, total, cursor_of(*found[part.limit - 1][1:]) if more else None)


def _total(connection: apsw.Connection, conditions: Sequence[_Condition], plan: _Plan) -> int:
    total: int
    if len(conditions) == 1 and conditions[0].exact:
        [only] = conditions
        total = connection.execute(f"SELECT count(*) FROM ({only.count})", only.bindings).get  # noqa: S608  # ours
    else:
        total = _rows_of(connection, "count(*)", plan).get
    return total


def _conditions(connection: apsw.Connection, app: int, query: SessionQuery) -> Iterator[_Condition]:
    if query.names:
        parts = " OR ".join(["instr(fold(name), ?) > 0"] * len(query.names))
        yield _Condition(parts, [name.casefold() for name in query.names])
    for labelled in query.labelled:
        yield _has_label(app, labelled)
    if query.since is not None or query.until is not None:
        yield _overlaps(connection, app, query.since, query.until)
    for between in query.between:
        yield from _between(between)
    if query.statuses:
        yield _has_status(query.statuses, query.activity)
    if query.filter is not None:
        yield from _fits(connection, app, query.filter, query.activity)
    if query.search:
        sessions = search.named(connection, app, query.search)
        yield _named(app, query.search) if sessions is None else _numbered(sessions)
    if query.q:
        sessions = search.saying(connection, app, query.q)
        yield from [] if sessions is None else [_numbered(sessions)]


def _has_label(app: int, labelled: Labelled) -> _Condition:
    marks = ", ".join("?" * len(labelled.values))
    labels = f"""FROM session_label AS label WHERE label.app = ? AND label.kind = ? AND label.key = ?
        AND label.value IN ({marks})"""
    return _Condition(
        f"EXISTS (SELECT 1 {labels} AND label.session = session.id)",
        [app, int(labelled.kind), labelled.key, *labelled.values],
        fetch=f"id IN (SELECT label.session {labels})",
        count=f"SELECT label.session {labels}",  # marks alone
    )


def _overlaps(connection: apsw.Connection, app: int, since: int | None, until: int | None) -> _Condition:
    """Sessions of a range of time. None lasts longer than the longest: so their ends lie in a range too."""
    first = -(2**63) if since is None else since
    last = 2**63 - 1 if until is None else until
    longest = one(connection, "longest_session", app) or 0
    bindings = [first, min(last + longest, 2**63 - 1), last]
    text = '"end" >= ? AND "end" <= ? AND start <= ?'
    count = f"SELECT id FROM session INDEXED BY session_by_end WHERE app = {app} AND {text}"  # noqa: S608  # a number
    return _Condition(text, bindings, fetch=text, index="session_by_end", count=count)


def _between(between: Between) -> Iterator[_Condition]:
    column = NUMBERS[between.column]
    if between.least is not None:
        yield _Condition(f"{column} >= ?", [between.least])
    if between.most is not None:
        yield _Condition(f"{column} <= ?", [between.most])


def _has_status(statuses: Sequence[SessionStatus], activity: Activity) -> _Condition:
    text, bindings = filtering.status_of(activity)
    marks = ", ".join("?" * len(statuses))
    return _Condition(f"{text} IN ({marks})", [*bindings, *statuses])


def _fits(connection: apsw.Connection, app: int, tree: Filter, activity: Activity) -> Iterator[_Condition]:
    """A condition for each of what must hold: one that leaves few sessions may be what they are fetched by."""
    for part in tree.operands if isinstance(tree, And) else (tree,):
        match part:
            case AnySpan(condition):
                table = _found(connection, filtering.sessions_with_span(app, condition))
                text = f"id IN {table}"
                yield _Condition(text, [], fetch=text, count=f"SELECT id FROM {table}")  # noqa: S608  # a name of ours
            case Comparison(field, Operator.EQUAL, value) if field.name in filtering.LABELS:
                yield _has_label(app, Labelled(filtering.LABELS[field.name], (str(value),), field.key or ""))
            case _:
                text, bindings = filtering.compiled(app, part, activity, lambda sql: _found(connection, sql))
                yield _Condition(text, list(bindings))


def _found(connection: apsw.Connection, sessions: filtering.Sql) -> str:
    """Run a query of the numbers of sessions once; the table that keeps them goes with the question."""
    number: int = connection.execute("SELECT count(*) FROM temp.sqlite_schema").get
    table = f"temp.found_{number}"
    connection.execute("PRAGMA query_only = OFF")  # it would forbid that too
    connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
    connection.execute(f"INSERT OR IGNORE INTO {table} {sessions.text}", sessions.bindings)
    connection.execute("PRAGMA query_only = ON")
    return table


def _numbered(sessions: Collection[int]) -> _Condition:
    """Sessions by number."""
    numbers = "SELECT value FROM json_each(?)"
    text = f"id IN ({numbers})"
    return _Condition(text, [json.dumps(list(sessions))], fetch=text, count=numbers, exact=True)


def _named(app: int, terms: Sequence[str]) -> _Condition:
    """Sessions by a part of their id or name: many, so each is compared."""
    compared, bindings = search.compared(app, terms)
    found = f"SELECT id FROM session_text WHERE {compared}"  # noqa: S608  # marks alone
    text = f"EXISTS (SELECT 1 FROM session_text AS said WHERE said.id = session.id AND {compared})"  # noqa: S608
    return _Condition(text, bindings, fetch=f"id IN ({found})", count=found, exact=True)


def _count(connection: apsw.Connection, condition: _Condition) -> int | None:
    """How many sessions a condition leaves, counted so far; None where that takes a walk over all."""
    if condition.count is None:
        return None
    bindings = [*condition.bindings, _MOST_COUNTED + 1]
    count: int = connection.execute(f"SELECT count(*) FROM ({condition.count} LIMIT ?)", bindings).get  # noqa: S608
    return count


def _walking(app: int, conditions: Sequence[_Condition], index: str | None) -> _Plan:
    """Along the index of an order, or over all sessions where it has none."""
    source = f"session INDEXED BY {index}" if index else "session NOT INDEXED"
    where = " AND ".join(["app = ?", *(f"({condition.text})" for condition in conditions)])
    return _Plan(source, where, [app, *(value for condition in conditions for value in condition.bindings)])


def _fetching(app: int, conditions: Sequence[_Condition], counts: Sequence[int | None]) -> _Plan | None:
    """By the condition that leaves the fewest sessions."""
    known = [(count, place) for place, count in enumerate(counts) if count is not None]
    if not known:
        return None
    _, place = min(known)
    first = conditions[place]
    others = [condition for condition in conditions if condition is not first]
    source = f"session INDEXED BY {first.index}" if first.index else "session NOT INDEXED"
    where = " AND ".join(["app = ?", f"({first.fetch})", *(f"({condition.text})" for condition in others)])
    bindings = [app, *first.bindings, *(value for condition in others for value in condition.bindings)]
    return _Plan(source, where, bindings)


def _cheaper(everything: int, counts: Sequence[int | None], part: Slice, *, indexed: bool) -> bool:
    """Whether to fetch and sort what the best condition leaves, instead of walking until a page is full."""
    known = [count for count in counts if count is not None]
    share = 1.0
    for count in counts:
        share *= _GUESS if count is None else min(1.0, count / max(1, everything))
    walked = (part.limit + part.offset) / max(share, 1 / max(1, everything)) if indexed else everything
    return bool(known) and min(known) < min(walked, everything)


def _rows_of(connection: apsw.Connection, columns: str, plan: _Plan, rest: str = "", *more: Any) -> apsw.Cursor:
    sql = f"SELECT {columns} FROM {plan.source} WHERE {plan.where} {rest}"  # noqa: S608  # texts of ours, no values
    return connection.execute(sql, [*plan.bindings, *more])


def _page(connection: apsw.Connection, plan: _Plan, query: SessionQuery, part: Slice) -> list[Row]:
    """Number, sorting value and id of the sessions of a slice, and of one more where the list goes on."""
    column = _COLUMNS[query.order]
    direction = "ASC" if query.ascending else "DESC"
    order = f"ORDER BY {column} {direction} NULLS LAST, session_id LIMIT ? OFFSET ?"
    columns = f"id, {column}, session_id"
    if part.cursor is None:
        return _rows_of(connection, columns, plan, order, part.limit + 1, part.offset).fetchall()
    found: list[Row] = []
    for condition, bindings in _behind(column, query, opened(part.cursor, _Position)):
        if len(found) <= part.limit:
            rest, wanted = f"AND {condition} {order}", part.limit + 1 - len(found)
            found += _rows_of(connection, columns, plan, rest, *bindings, wanted, 0)
    return found


def _behind(column: str, query: SessionQuery, position: Row) -> Iterator[tuple[str, list[Any]]]:
    """What comes behind a position, in stretches that each begin where an index can be entered."""
    value, session_id = position
    if value is None:
        yield f"{column} IS NULL AND session_id > ?", [session_id]
        return
    yield f"{column} = ? AND session_id > ?", [value, session_id]
    yield f"{column} {'>' if query.ascending else '<'} ?", [value]
    yield f"{column} IS NULL", []
