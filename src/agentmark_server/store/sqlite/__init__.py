"""The embedded store: one SQLite file, written by one process."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from agentmark_server.model import Page, ReceivedSpan, Session, SessionQuery, Slice, Trace
from agentmark_server.store import (
    Appended,
    BadCursorError,
    Change,
    Changes,
    Selector,
    SessionSelector,
    SpanReader,
)
from agentmark_server.store.sqlite import questions
from agentmark_server.store.sqlite.database import Database
from agentmark_server.store.sqlite.rows import Rows
from agentmark_server.store.sqlite.statements import SQL, one, rows
from agentmark_server.store.sqlite.writing import Write


class SqliteStore:
    """Keeps what `Store` promises, in one file."""

    def __init__(self, path: Path, reader: SpanReader) -> None:
        self._database = Database(path)
        self._reader = reader
        with self._database.writing() as connection:
            self._rows = Rows(connection)
            self._forgotten = _forgotten(connection)
            self._stale = {name for (name,) in rows(connection, "apps_with_stale_traces")}
            """Apps with large traces that have to be grouped before a question is answered."""

    @contextmanager
    def _write(self, app: str) -> Iterator[tuple[Write, int]]:
        with self._database.writing(undone=self._rows.clear) as connection:
            self._rows.bound()
            number = _app(connection, app) or one(connection, "add_app", app)
            yield Write(connection, self._rows, self._reader, number), number

    def append(self, app: str, spans: Sequence[ReceivedSpan]) -> Appended:
        """See `Store.append`."""
        with self._write(app) as (write, number):
            refused = frozenset(at for at, span in enumerate(spans) if self._is_forgotten(number, span))
            write.put(span for at, span in enumerate(spans) if at not in refused)
            changed = write.finish()
            if write.left_stale:
                self._stale.add(app)
        return Appended(changed, refused)

    @contextmanager
    def _read(self, app: str) -> Iterator[apsw.Connection]:
        """What is there, with nothing left to be grouped."""
        if app in self._stale:
            with self._write(app) as (write, _):
                self._stale.discard(app)
                write.settle()
                write.finish()
        with self._database.reading() as connection:
            yield connection

    def _is_forgotten(self, app: int, received: ReceivedSpan) -> bool:
        if not self._forgotten:
            return False
        span = received.span
        key = span.context.key(application=True) or span.context.key(application=False)
        deleted = self._forgotten.get((app, span.trace_id), 0)
        if key:
            deleted = max(deleted, self._forgotten.get((app, key.value), 0))
        return span.start < deleted

    def forget(self, app: str, selector: Selector) -> int:
        """See `Store.forget`."""
        at = time.time_ns()
        with self._write(app) as (write, _):
            write.settle()
            if isinstance(selector, SessionSelector):
                gone = write.forget_session(selector.session_id, at)
            else:
                gone = write.forget_trace(selector.trace_id, at)
            write.finish()
        with self._database.reading() as connection:
            self._forgotten = _forgotten(connection)
        return gone

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """See `Store.rebuild`."""
        with self._database.writing(undone=self._rows.clear) as connection:
            self._rows.clear()
            total = one(connection, "count_all_spans")
            connection.execute(SQL["clear_derived"])
            done = 0
            for app, traces in _traces_by_app(connection):
                write = Write(connection, self._rows, self._reader, app)
                for trace, trace_id in traces:
                    done += write.derive_anew(trace, trace_id)
                write.finish()
                if progress:
                    progress(done, total)
        return done

    def changes(self, app: str, after: str | None = None, limit: int = 1000) -> Changes:
        """See `Store.changes`. The token is the number of the last write that was told."""
        if after is not None and not (after.isascii() and after.isdigit()):
            msg = f"{after!r} is not a token of this store"
            raise BadCursorError(msg)
        since = min(int(after or 0), 2**63 - 1)
        with self._read(app) as connection:
            found = rows(connection, "changes", _app(connection, app), since)
        if len(found) > limit:
            # Those of one write stay together, so that the token lies between writes.
            last = found[limit - 1][0]
            found = [row for row in found if row[0] <= last]
        items = [Change(session_id, bool(deleted)) for _, session_id, deleted in found]
        return Changes(items, str(found[-1][0] if found else since))

    def list_sessions(self, app: str, query: SessionQuery, part: Slice) -> Page[Session]:
        """See `Store.list_sessions`."""
        with self._read(app) as connection:
            return questions.list_sessions(connection, _app(connection, app), query, part)

    def get_session(self, app: str, session_id: str) -> Session | None:
        """See `Store.get_session`."""
        with self._read(app) as connection:
            return questions.get_session(connection, _app(connection, app), session_id)

    def list_session_traces(self, app: str, session_id: str, part: Slice) -> Page[Trace]:
        """See `Store.list_session_traces`."""
        with self._read(app) as connection:
            return questions.list_session_traces(connection, _app(connection, app), session_id, part)

    def count_spans(self, app: str) -> int:
        """See `Store.count_spans`."""
        with self._read(app) as connection:
            count: int = one(connection, "count_spans", app)
            return count

    def check(self) -> None:
        """See `Store.check`."""
        with self._database.writing() as connection:
            one(connection, "tick")

    def close(self) -> None:
        """See `Store.close`."""
        self._database.close()


def _app(connection: apsw.Connection, name: str) -> int | None:
    """An app's number; none before its first span."""
    number: int | None = one(connection, "find_app", name)
    return number


def _forgotten(connection: apsw.Connection) -> dict[tuple[int, str | bytes], int]:
    """When each session (text) or trace (bytes) of an app was deleted: kept in memory, for one process deletes."""
    return {(app, id_): at for app, id_, at in rows(connection, "all_forgotten")}


def _traces_by_app(connection: apsw.Connection) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """All traces, some at a time."""
    last = 0
    while found := rows(connection, "all_traces", last):
        last = found[-1][0]
        by_app: dict[int, list[tuple[int, bytes]]] = {}
        for trace, app, trace_id in found:
            by_app.setdefault(app, []).append((trace, trace_id))
        yield from by_app.items()
