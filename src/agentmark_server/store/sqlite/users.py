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
_COUNTS: Final = (
    *("trace_count", "call_count", "error_count", "input_tokens", "output_tokens"),
    *("cost", "priced_calls"),
)
_SUMS: Final = ", ".join(("session_count", *_COUNTS))
_ADDED: Final = ", ".join(f"sum({name}) AS {name}" for name in _COUNTS)
_Position: Final = tuple[str | Integer | None, str]
"""Of a user in a list: what it is sorted by, and its id."""


def get_user(connection: apsw.Connection, app: int | None, user_id: str) -> User | None:
    """One user, or None."""
    row = one(connection, "get_user", app, user_id)
    return User(*row) if row else None


def list_users(connection: apsw.Connection, app: int | None, query: UserQuery, part: Slice) -> Page[User]:
    """Users that fit, in the order that is asked for; ties by id, those without what it sorts by last."""
    kept, bindings = _kept(connection, app, query)
    column, direction = _COLUMNS[query.order], "ASC" if query.ascending else "DESC"
    behind = Where("1")
    if part.cursor is not None:
        _add_behind(behind, column, query, opened(part.cursor, _Position))
    # One statement, so that what takes long to add up is added up once. Texts of ours, and no values.
    sql = f"""{kept} SELECT (SELECT count(*) FROM kept), {column}, user, {_SUMS}, first, last FROM kept
        WHERE {behind} ORDER BY {column} {direction} NULLS LAST, user LIMIT ? OFFSET ?"""  # noqa: S608  # see above
    asked = [*bindings, *behind.bindings, part.limit + 1, part.offset]
    found: list[Row] = connection.execute(sql, asked).fetchall()
    if not found:  # behind the end
        total: int = connection.execute(f"{kept} SELECT count(*) FROM kept", bindings).get  # noqa: S608  # as above
        return Page([], total, None)
    users = [User(*row[2:]) for row in found[: part.limit]]
    more = len(found) > part.limit
    return Page(users, found[0][0], cursor_of(*found[part.limit - 1][1:3]) if more else None)


def _kept(connection: apsw.Connection, app: int | None, query: UserQuery) -> tuple[str, list[Any]]:
    """The users that fit: by the sums that are kept of all, or by those of the sessions of a range of time."""
    ranged = query.since is not None or query.until is not None
    where, having = Where("session.app = ?" if ranged else "app = ?", app), Where("1")
    column = "label.value" if ranged else "user"
    if query.searches:
        folded = [text.casefold() for text in query.searches]
        having.add(" OR ".join([f"instr(fold({column}), ?) > 0"] * len(folded)), *folded)
    if not ranged:
        source = f"SELECT user, {_SUMS}, first, last FROM user WHERE {where} AND {having}"  # noqa: S608  # no values
        return f"WITH kept AS ({source})", [*where.bindings, *having.bindings]
    where.add('"end" >= ? AND "end" <= ? AND start <= ?', *_ends(connection, app, query))
    source = f"""SELECT label.value AS user, count(*) AS session_count, {_ADDED},
            min(start) AS first, max("end") AS last
        FROM session INDEXED BY session_by_end
        CROSS JOIN session_label AS label INDEXED BY user_by_session
            ON label.session = session.id AND label.kind = 1
        WHERE {where} GROUP BY label.value HAVING {having}"""  # noqa: S608  # no values
    return f"WITH kept AS MATERIALIZED ({source})", [*where.bindings, *having.bindings]


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
