"""The embedded store: one SQLite file, written by one process."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from agentmark_server.model import Page, ReceivedSpan, Score, Session, Slice, Trace, User
from agentmark_server.moments import Series
from agentmark_server.packing import Share
from agentmark_server.queries import MetricsQuery, ScoreQuery, SessionQuery, UserQuery
from agentmark_server.spans import ListedSpan, SpanQuery, TraceQuery
from agentmark_server.store import (
    Appended,
    BadCursorError,
    Change,
    Changes,
    Edit,
    OwnedSpans,
    Selector,
    SessionSelector,
    SpanReader,
    StoreError,
    Stretch,
)
from agentmark_server.store.sqlite import (
    conversing,
    exporting,
    indexing,
    listing,
    metrics,
    questions,
    scores,
    spans,
    tallies,
    traces,
    users,
)
from agentmark_server.store.sqlite.cleaning import Cleaner
from agentmark_server.store.sqlite.database import Database
from agentmark_server.store.sqlite.edits import Edits
from agentmark_server.store.sqlite.forgotten import Forgotten
from agentmark_server.store.sqlite.indexing import Index
from agentmark_server.store.sqlite.interned import Interned
from agentmark_server.store.sqlite.statements import SQL, one, rows
from agentmark_server.store.sqlite.writing import Write

_TOKEN_DIGITS: Final = 18
"""More have no number that SQLite can keep."""
_LAST_TICK: Final = 2**63 - 1


class SqliteStore:
    """Keeps what `Store` promises, in one file."""

    def __init__(self, path: Path, reader: SpanReader) -> None:
        self._database = Database(path)
        self._reader = reader
        self._index = Index(self._database, reader)
        with self._database.writing() as connection:
            tallies.install(connection)
            self._interned = Interned(connection)
            self._forgotten = Forgotten(connection)
            self._edits = Edits(connection)
            self._stale = {name for (name,) in rows(connection, "apps_with_stale_traces")}
            """Apps with large traces that have to be grouped before a question is answered."""
        self._cleaner = Cleaner(self._database)
        with self._database.reading() as connection:
            self._cleaner.resume(connection)

    def _undone(self) -> None:
        """After a write that is as if it had not been: what is remembered of it may not be there."""
        self._interned.clear()
        self._forgotten.reload()
        self._edits.reload()

    def _writer(self, connection: apsw.Connection, app: int) -> Write:
        return Write(connection, self._interned, self._forgotten, self._edits, self._reader, app)

    @contextmanager
    def _write(self, app: str) -> Iterator[Write]:
        with self._database.writing(undone=self._undone) as connection:
            self._interned.bound()
            self._forgotten.begin()
            yield self._writer(connection, _app(connection, app) or one(connection, "add_app", app))

    def append(self, app: str, shares: Sequence[Share]) -> Appended:
        """See `Store.append`."""
        with self._write(app) as write:
            refused = write.put(shares)
            changed = write.finish()
            if write.left_stale:
                self._stale.add(app)
        return Appended(changed, refused)

    @contextmanager
    def _read(self, app: str) -> Iterator[apsw.Connection]:
        """What is there, with nothing left to be grouped."""
        if app in self._stale:
            self._settle(app)
        with self._database.reading() as connection:
            yield connection

    def _settle(self, app: str) -> None:
        try:
            with self._write(app) as write:
                self._stale.discard(app)
                write.settle()
                write.finish()
        except BaseException:
            self._stale.add(app)
            raise

    def forget(self, app: str, selector: Selector) -> int:
        """See `Store.forget`."""
        at = time.time_ns()
        with self._write(app) as write:
            write.settle()
            if isinstance(selector, SessionSelector):
                gone = write.forget_session(selector.session_id, at)
            else:
                gone = write.forget_trace(selector.trace_id, at)
            write.forget_said(write.finish())
            self._interned.delete_unused()
            write.mark_unclean(at)
        self._cleaner.wait(self._cleaner.start())
        return gone

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """See `Store.rebuild`."""
        with self._database.writing(undone=self._undone) as connection:
            self._interned.clear()
            self._forgotten.begin()
            total = one(connection, "count_all_spans")
            one(connection, "note_sessions")
            indexing.index_anew(connection)
            connection.execute(SQL["clear_derived"])
            connection.execute(SQL["clear_numbers"])
            done = 0
            for app, traces in _traces_by_app(connection):
                write = self._writer(connection, app)
                for trace, trace_id in traces:
                    done += write.derive_anew(trace, trace_id)
                write.finish()
                if progress:
                    progress(done, total)
            tick = one(connection, "tick")
            for app, session_id in rows(connection, "noted_sessions_gone"):
                self._forgotten.end_session(app, session_id, tick)
            one(connection, "forget_noted_sessions")
        with suppress(StoreError):  # what is derived is there; the index of words follows when it can be written
            while self.index():
                pass
        return done

    def changes(self, app: str, after: str | None = None, limit: int = 1000) -> Changes:
        """See `Store.changes`. The token is the number of the last write that was told."""
        if after is not None and not (after.isascii() and after.isdigit() and len(after) <= _TOKEN_DIGITS):
            msg = f"{after!r} is not a token of this store"
            raise BadCursorError(msg)
        since = int(after or 0)
        with self._read(app) as connection:
            number = _app(connection, app)
            # Those of one write stay together, so that the token lies between writes.
            last = one(connection, "tick_of_change", number, since, limit - 1)
            found = rows(connection, "changes", number, since, _LAST_TICK if last is None else last)
        names = [(id_ if key is None else self._forgotten.name(number or 0, key), key) for _, id_, key in found]
        items = [Change(name, deleted=key is not None) for name, key in names if name is not None]
        return Changes(items, str(found[-1][0] if found else since), lost=len(items) < len(found))

    def list_sessions(self, app: str, query: SessionQuery, part: Slice) -> Page[Session]:
        """See `Store.list_sessions`."""
        with self._read(app) as connection:
            return listing.list_sessions(connection, _app(connection, app), query, part)

    def get_session(self, app: str, session_id: str) -> Session | None:
        """See `Store.get_session`."""
        with self._read(app) as connection:
            return questions.get_session(connection, _app(connection, app), session_id)

    def list_session_traces(self, app: str, session_id: str, part: Slice) -> Page[Trace]:
        """See `Store.list_session_traces`."""
        with self._read(app) as connection:
            return questions.list_session_traces(connection, _app(connection, app), session_id, part)

    def list_traces(self, app: str, query: TraceQuery, part: Slice) -> Page[Trace]:
        """See `Store.list_traces`."""
        with self._read(app) as connection:
            return traces.list_traces(connection, _app(connection, app), query, part)

    def get_trace(self, app: str, trace_id: bytes) -> Trace | None:
        """See `Store.get_trace`."""
        with self._read(app) as connection:
            return traces.get_trace(connection, _app(connection, app), trace_id)

    def list_trace_spans(
        self, app: str, trace_id: bytes, part: Slice, *, contents: bool = False
    ) -> Page[ListedSpan]:
        """See `Store.list_trace_spans`."""
        with self._read(app) as connection:
            number = _app(connection, app)
            return spans.list_trace_spans(connection, number, trace_id, part, contents=contents)

    def list_spans(self, app: str, query: SpanQuery, part: Slice, *, contents: bool = False) -> Page[ListedSpan]:
        """See `Store.list_spans`."""
        with self._read(app) as connection:
            return spans.list_spans(connection, _app(connection, app), query, part, contents=contents)

    def get_span(self, app: str, trace_id: bytes, span_id: bytes) -> ListedSpan | None:
        """See `Store.get_span`."""
        with self._read(app) as connection:
            return spans.get_span(connection, _app(connection, app), trace_id, span_id)

    def session_stretch(self, app: str, session_id: str, part: Slice) -> Stretch | None:
        """See `Store.session_stretch`."""
        with self._read(app) as connection:
            return conversing.stretch(connection, _app(connection, app), session_id, part)

    def read_trace(self, app: str, trace_id: bytes) -> list[ReceivedSpan]:
        """See `Store.read_trace`."""
        with self._read(app) as connection:
            return conversing.spans_of(connection, _app(connection, app), trace_id)

    def count_spans(self, app: str) -> int:
        """See `Store.count_spans`."""
        with self._read(app) as connection:
            count: int = one(connection, "count_spans", app)
            return count

    def edit(self, app: str, session_id: str, edit: Edit) -> bool:
        """See `Store.edit`."""
        with self._write(app) as write:
            write.settle()
            found = write.edit(session_id, edit)
            write.finish()
        return found

    def has(self, app: str, selector: Selector) -> bool:
        """See `Store.has`."""
        with self._read(app) as connection:
            number = _app(connection, app)
            if isinstance(selector, SessionSelector):
                return one(connection, "find_session", number, selector.session_id) is not None
            return one(connection, "has_trace", number, selector.trace_id) is not None

    def latest(self, app: str) -> str:
        """See `Store.latest`."""
        with self._read(app) as connection:
            return str(one(connection, "latest_tick"))

    def read_session(self, app: str, session_id: str) -> Iterator[OwnedSpans]:
        """See `Store.read_session`."""
        part: Slice | None = Slice(limit=100)
        while part:
            page = self.list_session_traces(app, session_id, part)
            for trace in page.items:
                with self._read(app) as connection:
                    owned = exporting.owned(connection, _app(connection, app), session_id, trace.id)
                if owned:
                    yield OwnedSpans(trace, owned.spans())
            part = Slice(limit=100, cursor=page.next_cursor) if page.next_cursor else None

    def index(self) -> bool:
        """See `Store.index`."""
        return self._index.step()

    def index_lag(self) -> int | None:
        """See `Store.index_lag`."""
        with self._database.reading() as connection:
            return indexing.lag(connection)

    def list_users(self, app: str, query: UserQuery, part: Slice) -> Page[User]:
        """See `Store.list_users`."""
        with self._read(app) as connection:
            return users.list_users(connection, _app(connection, app), query, part)

    def get_user(self, app: str, user_id: str) -> User | None:
        """See `Store.get_user`."""
        with self._read(app) as connection:
            return users.get_user(connection, _app(connection, app), user_id)

    def get_metrics(self, app: str, query: MetricsQuery) -> Series:
        """See `Store.get_metrics`."""
        with self._read(app) as connection:
            return metrics.get_metrics(connection, _app(connection, app), query)

    def put_score(self, app: str, score: Score) -> None:
        """See `Store.put_score`."""
        with self._database.writing(undone=self._undone) as connection:
            scores.put_score(connection, _app(connection, app) or one(connection, "add_app", app), score)

    def get_score(self, app: str, score_id: str) -> Score | None:
        """See `Store.get_score`."""
        with self._database.reading() as connection:
            return scores.get_score(connection, _app(connection, app), score_id)

    def delete_score(self, app: str, score_id: str) -> bool:
        """See `Store.delete_score`."""
        with self._database.writing(undone=self._undone) as connection:
            return scores.delete_score(connection, _app(connection, app), score_id)

    def list_scores(self, app: str, query: ScoreQuery, part: Slice) -> Page[Score]:
        """See `Store.list_scores`."""
        with self._database.reading() as connection:
            return scores.list_scores(connection, _app(connection, app), query, part)

    def check(self) -> None:
        """See `Store.check`."""
        with self._database.writing() as connection:
            one(connection, "tick")

    def close(self) -> None:
        """See `Store.close`."""
        self._cleaner.close()
        self._database.close()


def _app(connection: apsw.Connection, name: str) -> int | None:
    """An app's number; none before its first span."""
    number: int | None = one(connection, "find_app", name)
    return number


def _traces_by_app(connection: apsw.Connection) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """All traces, some at a time."""
    last = 0
    while found := rows(connection, "all_traces", last):
        last = found[-1][0]
        by_app: dict[int, list[tuple[int, bytes]]] = {}
        for trace, app, trace_id in found:
            by_app.setdefault(app, []).append((trace, trace_id))
        yield from by_app.items()
