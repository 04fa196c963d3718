"""Users of sessions: sums that every write keeps (tallies.py), or with a range of time those of its sessions."""

from collections.abc import Iterator
from typing import Any, Final

import apsw

from agentmark_server.model import Page, Slice, User
from agentmark_server.queries import UserOrder, UserQuery
from agentmark_server.store.sqlite.questions import Integer, Where, cursor_of, opened
from agentmark_server.store.sqlite.statements import Row, one

_COLUMNS: Final = {
    UserOrder.LAST: "last",
    UserOrder.FIRST: "first",
    UserOrder.ID: "user",
    UserOrder.SESSIONS: "session_count",
    UserOrder.TRACES: "trace_count",
    UserOrder.COST: "CASE WHEN priced_calls THEN cost END",
    UserOrder.TOKENS: "input_tokens + output_tokens",
    UserOrder.ERRORS: "error_count",
}
_SUMS: Final = (
    *("session_count", "trace_count", "call_count", "error_count", "input_tokens", "output_tokens"),
    *("cost", "priced_calls"),
)
_Position: Final = tuple[str | Integer | None, str]
"""Of a user in a list: what it is sorted by, and its id."""


def get_user(connection: apsw.Connection, app: int | None, user_id: str) -> User | None:
    """One user, or None."""
    row = one(connection, "get_user", app, user_id)
    return User(*row) if row else None


def list_users(connection: apsw.Connection, app: int | None, query: UserQuery, part: Slice) -> Page[User]:
    """Users that fit, in the order that is asked for; ties by id, those without what it sorts by last."""
    source, bindings = _source(connection, app, query)
    where = Where("1")
    if query.searches:
        folded = [text.casefold() for text in query.searches]
        where.add(" OR ".join(["instr(fold(user), ?) > 0"] * len(folded)), *folded)
    counting = f"SELECT count(*) FROM ({source}) WHERE {where}"  # noqa: S608  # texts of ours, no values
    total: int = connection.execute(counting, [*bindings, *where.bindings]).get
    column, direction = _COLUMNS[query.order], "ASC" if query.ascending else "DESC"
    if part.cursor is not None:
        _add_behind(where, column, query, opened(part.cursor, _Position))
    sql = f"""SELECT {column}, user, {", ".join(_SUMS)}, first, last FROM ({source}) WHERE {where}
        ORDER BY {column} {direction} NULLS LAST, user LIMIT ? OFFSET ?"""  # noqa: S608  # texts of ours, no values
    found: list[Row] = connection.execute(
        sql, [*bindings, *where.bindings, part.limit + 1, part.offset]
    ).fetchall()
    users = [User(*row[1:]) for row in found[: part.limit]]
    more = len(found) > part.limit
    return Page(users, total, cursor_of(*found[part.limit - 1][:2]) if more else None)


def _source(connection: apsw.Connection, app: int | None, query: UserQuery) -> tuple[str, list[Any]]:
    """The sums of all users: as they are kept, or added up from the sessions of a range of time."""
    columns = ", ".join(_SUMS)
    if query.since is None and query.until is None:
        return f"SELECT user, {columns}, first, last FROM user WHERE app = ?", [app]  # noqa: S608  # names of ours
    sums = ", ".join(f"sum({name}) AS {name}" for name in _SUMS[1:])
    source = f"""SELECT label.value AS user, count(*) AS session_count, {sums},
            min(start) AS first, max("end") AS last
        FROM session INDEXED BY session_by_end
        CROSS JOIN session_label AS label INDEXED BY user_by_session
            ON label.session = session.id AND label.kind = 1
        WHERE session.app = ? AND "end" >= ? AND "end" <= ? AND start <= ? GROUP BY label.value"""  # noqa: S608
    return source, [app, *_ends(connection, app, query)]


def _ends(connection: apsw.Connection, app: int | None, query: UserQuery) -> Iterator[int]:
    """The first and the last end of sessions of a range of time, and their last start."""
    first = -(2**63) if query.since is None else query.since
    last = 2**63 - 1 if query.until is None else query.until
    # None lasts longer than the longest.
    longest = one(connection, "longest_session", app) or 0
    yield from (max(first, -(2**63)), min(last + longest, 2**63 - 1), min(last, 2**63 - 1))


def _add_behind(where: Where, column: str, query: UserQuery, position: Row) -> None:
    """Demand what comes behind a position."""
    value, user = position
    if value is None:
        where.add(f"{column} IS NULL AND user > ?", user)
    else:
        beyond = f"{column} {'>' if query.ascending else '<'} ?"
        where.add(f"{beyond} OR ({column} = ? AND user > ?) OR {column} IS NULL", value, value, user)
