"""What the store is asked: each function is one question, within one reading transaction."""

import base64
import binascii
from typing import Annotated, Any

import apsw
import msgspec

from agentmark_server.grouping import Part
from agentmark_server.model import Page, Session, Slice, Totals, Trace
from agentmark_server.store import BadCursorError
from agentmark_server.store.sqlite.chunks import NUMBER_BITS, ids_of
from agentmark_server.store.sqlite.statements import Row, one, rows
from agentmark_server.store.sqlite.writing import decode_labels

Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What SQLite can keep: a cursor may have been tampered with."""


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


def get_session(connection: apsw.Connection, app: int | None, session_id: str) -> Session | None:
    """One session, or None."""
    row = one(connection, "get_session", app, session_id)
    return session_of(row) if row else None


def list_session_traces(connection: apsw.Connection, app: int | None, session_id: str, part: Slice) -> Page[Trace]:
    """The traces of a session in order of their start; ties by id."""
    session = one(connection, "find_session", app, session_id)
    where = Where("session IS ?", session)
    total = _count(connection, "part", where)
    if part.cursor is not None:
        where.add("(start, trace_id) > (?, ?)", *opened(part.cursor, tuple[Integer, bytes]))
    sql = f"""SELECT id >> {NUMBER_BITS}, trace_id, start, content FROM part WHERE {where}
        ORDER BY start, trace_id LIMIT ? OFFSET ?"""  # noqa: S608  # `where` holds no values
    found = _rows(connection, sql, where, part)
    traces = [_trace(connection, row) for row in found[: part.limit]]
    more = len(found) > part.limit
    return Page(traces, total, cursor_of(found[part.limit - 1][2], traces[-1].id) if more else None)


def _count(connection: apsw.Connection, table: str, where: Where) -> int:
    sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608  # a name of ours, and no values
    count: int = connection.execute(sql, where.bindings).get
    return count


def _rows(connection: apsw.Connection, sql: str, where: Where, part: Slice) -> list[Row]:
    """The rows of a slice, and one more where the list goes on."""
    return connection.execute(sql, [*where.bindings, part.limit + 1, part.offset]).fetchall()


def session_of(row: Row) -> Session:
    """A session as `get_session` gives it."""
    session_id, labels, active, *totals = row
    return Session(session_id, Totals(*totals), decode_labels(labels), active)


def _trace(connection: apsw.Connection, row: Row) -> Trace:
    trace, trace_id, _, content = row
    part = msgspec.msgpack.decode(content, type=Part)
    session_ids = tuple(id_ for (id_,) in rows(connection, "sessions_of_trace", *ids_of(trace)))
    return Trace(trace_id, part.name, part.status, part.totals, part.labels, session_ids)


def cursor_of(*position: Any) -> str:
    """Where a page ended, as text that continues there."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).rstrip(b"=").decode()


def opened(cursor: str, shape: Any) -> Row:
    """What `cursor_of` was given. Raises BadCursorError."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        content = base64.b64decode(padded, altchars=b"-_", validate=True)
        position: Row = msgspec.msgpack.decode(content, type=shape)
    except (ValueError, binascii.Error) as error:
        msg = "it is not one that a page of this list gave as next_cursor"
        raise BadCursorError(msg) from error
    return position
