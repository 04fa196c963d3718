"""What the store is asked: each function is one question, within one reading transaction."""

import base64
import binascii
from typing import Annotated, Any, Final

import apsw
import msgspec

from agentmark_server.grouping import Part
from agentmark_server.model import Page, Session, SessionQuery, Slice, Totals, Trace
from agentmark_server.store import BadCursorError
from agentmark_server.store.sqlite.chunks import NUMBER_BITS, ids_of
from agentmark_server.store.sqlite.statements import Row, one, rows
from agentmark_server.store.sqlite.writing import decode_labels

_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What SQLite can keep: a cursor may have been tampered with."""

_TOTALS: Final = ", ".join(Totals.__struct_fields__)


class Where:
    """Conditions of a query, each with its bindings: nothing from outside ever stands in the text."""

    def __init__(self, condition: str, *bindings: Any) -> None:
        self._conditions = [condition]
        self.bindings = list(bindings)

    def add(self, condition: str, *bindings: Any) -> None:
        """Demand this besides."""
        self._conditions.append(condition)
        self.bindings += bindings

    def __str__(self) -> str:
        return " AND ".join(f"({condition})" for condition in self._conditions)


def list_sessions(connection: apsw.Connection, app: int | None, query: SessionQuery, part: Slice) -> Page[Session]:
    """Sessions that fit `query`, the last to end first."""
    where = _fitting(app, query)
    total = _count(connection, "session", where)
    if part.cursor is not None:
        end, session_id = _opened(part.cursor, tuple[_Integer | None, str])
        if end is None:
            where.add('"end" IS NULL AND session_id > ?', session_id)
        else:
            where.add('"end" < ? OR ("end" = ? AND session_id > ?) OR "end" IS NULL', end, end, session_id)
    sql = f"""SELECT session_id, labels, {_TOTALS} FROM session WHERE {where}
        ORDER BY "end" DESC, session_id LIMIT ? OFFSET ?"""  # noqa: S608  # `where` holds no values
    found = _rows(connection, sql, where, part)
    sessions = [_session(row) for row in found[: part.limit]]
    more = len(found) > part.limit
    return Page(sessions, total, _cursor(sessions[-1].labels.end, sessions[-1].id) if more else None)


def _fitting(app: int | None, query: SessionQuery) -> Where:
    where = Where("app IS ?", app)
    if query.names:
        contains = " OR ".join(["instr(fold(name), ?) > 0"] * len(query.names))
        where.add(contains, *(name.casefold() for name in query.names))
    if query.user_ids:
        marks = ", ".join("?" * len(query.user_ids))
        users = f"SELECT session FROM session_user WHERE app IS ? AND user_id IN ({marks})"  # noqa: S608  # marks
        where.add(f"id IN ({users})", app, *query.user_ids)
    return where


def get_session(connection: apsw.Connection, app: int | None, session_id: str) -> Session | None:
    """One session, or None."""
    row = one(connection, "get_session", app, session_id)
    return _session(row) if row else None


def list_session_traces(connection: apsw.Connection, app: int | None, session_id: str, part: Slice) -> Page[Trace]:
    """The traces of a session in order of their start; ties by id."""
    session = one(connection, "find_session", app, session_id)
    where = Where("session IS ?", session)
    total = _count(connection, "part", where)
    if part.cursor is not None:
        where.add("(start, trace_id) > (?, ?)", *_opened(part.cursor, tuple[_Integer, bytes]))
    sql = f"""SELECT id >> {NUMBER_BITS}, trace_id, start, content FROM part WHERE {where}
        ORDER BY start, trace_id LIMIT ? OFFSET ?"""  # noqa: S608  # `where` holds no values
    found = _rows(connection, sql, where, part)
    traces = [_trace(connection, row) for row in found[: part.limit]]
    more = len(found) > part.limit
    return Page(traces, total, _cursor(found[part.limit - 1][2], traces[-1].id) if more else None)


def _count(connection: apsw.Connection, table: str, where: Where) -> int:
    sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608  # a name of ours, and no values
    count: int = connection.execute(sql, where.bindings).get
    return count


def _rows(connection: apsw.Connection, sql: str, where: Where, part: Slice) -> list[Row]:
    """The rows of a slice, and one more where the list goes on."""
    return connection.execute(sql, [*where.bindings, part.limit + 1, part.offset]).fetchall()


def _session(row: Row) -> Session:
    session_id, labels, *totals = row
    return Session(session_id, Totals(*totals), decode_labels(labels))


def _trace(connection: apsw.Connection, row: Row) -> Trace:
    trace, trace_id, _, content = row
    part = msgspec.msgpack.decode(content, type=Part)
    session_ids = tuple(id_ for (id_,) in rows(connection, "sessions_of_trace", *ids_of(trace)))
    return Trace(trace_id, part.name, part.status, part.totals, part.labels, session_ids)


def _cursor(*position: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).rstrip(b"=").decode()


def _opened(cursor: str, shape: type[Row]) -> Row:
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        return msgspec.msgpack.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=shape)
    except (ValueError, binascii.Error) as error:
        msg = "it is not one that a page of this list gave as next_cursor"
        raise BadCursorError(msg) from error
