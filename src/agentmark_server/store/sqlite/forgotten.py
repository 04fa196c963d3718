"""What was deleted, and when: spans of it that started before are refused, however late they come.

An id may tell of somebody: of what was deleted the file keeps hashes of ids, by which it is known when it comes
again. Which session a hash is of is remembered in memory alone, to tell those who follow the changes.
"""

from hashlib import blake2b
from typing import Final

import apsw

from agentmark_server.model import Span
from agentmark_server.packing import Share
from agentmark_server.store.sqlite.statements import one, rows

_NAMES: Final = 100_000
"""Deleted sessions of which the id is remembered: the latest."""


class Times:
    """When sessions of an app were deleted (nanoseconds since 1970), by their ids."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, int] = {}

    def __contains__(self, session_id: object) -> bool:
        return isinstance(session_id, str) and _key(session_id.encode()) in self._by_key

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def of(self, session_id: str | None) -> int:
        """When a session was deleted; 0 where it was not."""
        return 0 if session_id is None else self._by_key.get(_key(session_id.encode()), 0)

    def put(self, key: bytes, at: int) -> None:
        """Remember one, by its hash."""
        self._by_key[key] = at


_NO_TIMES: Final = Times()


class Forgotten:
    """Deleted sessions, traces and single spans of all apps, kept in memory too: one process alone deletes.

    A session's traces are remembered whole where it owned them alone, else span by span.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._names: dict[tuple[int, bytes], str] = {}
        self.reload()

    def reload(self) -> None:
        """Read everything again: after a write that was undone."""
        self._sessions: dict[int, Times] = {}
        self._told: set[tuple[int, bytes]] = set()
        """Sessions that are told as gone."""
        for app, key, at, changed in rows(self._connection, "forgotten_sessions"):
            if at:
                self._sessions.setdefault(app, Times()).put(key, at)
            if changed:
                self._told.add((app, key))
        traces = rows(self._connection, "forgotten_traces")
        self._traces: dict[tuple[int, bytes], int] = {(app, key): at for app, key, at in traces}
        spans = rows(self._connection, "forgotten_spans")
        self._spans: dict[tuple[int, bytes], int] = {(app, key): at for app, _, key, at in spans}
        self._cut = {(app, trace_key) for app, trace_key, _, _ in spans}
        """Traces of which single spans were deleted."""

    def sessions(self, app: int) -> Times:
        """When each deleted session of an app was deleted."""
        return self._sessions.get(app, _NO_TIMES)

    def any(self, app: int) -> bool:
        """Whether anything of an app was deleted."""
        return bool(self._traces or self._spans or self._sessions.get(app))

    def may_have(self, app: int, share: Share) -> bool:
        """Whether spans of a share may have been deleted, themselves or with their session."""
        if not self.any(app):
            return False
        key, sessions = (app, _key(share.trace_id)), self.sessions(app)
        return key in self._traces or key in self._cut or any(one in sessions for one in share.keys())  # noqa: SIM118  # a method of shares

    def has(self, app: int, span: Span) -> bool:
        """Whether a span was deleted with its trace, or by itself."""
        if not (self._traces or self._spans):
            return False
        trace_at = self._traces.get((app, _key(span.trace_id)), 0)
        span_at = self._spans.get((app, _key(span.trace_id, span.span_id)), 0) if self._spans else 0
        return span.start < max(trace_at, span_at)

    def add_session(self, app: int, session_id: str, at: int, tick: int) -> None:
        """Remember a session as deleted, in the write `tick`."""
        key = self._tell(app, session_id)
        one(self._connection, "forget_session", app, key, at, tick)
        self._sessions.setdefault(app, Times()).put(key, at)

    def end_session(self, app: int, session_id: str, tick: int) -> None:
        """Tell that a session is no more, without refusing anything of it that was not refused before."""
        one(self._connection, "end_session", app, self._tell(app, session_id), tick)

    def _tell(self, app: int, session_id: str) -> bytes:
        key = _key(session_id.encode())
        self._told.add((app, key))
        self._names[app, key] = session_id
        if len(self._names) > _NAMES:
            del self._names[next(iter(self._names))]
        return key

    def begun(self, app: int, session_id: str) -> None:
        """A session is there that may have been told as gone: it is no more."""
        key = (app, _key(session_id.encode())) if self._told else None
        if key in self._told:
            one(self._connection, "tell_no_more", *key)
            self._told.discard(key)

    def name(self, app: int, key: bytes) -> str | None:
        """The id of a session that is told as gone; None where only its hash is known any more."""
        return self._names.get((app, key))

    def add_trace(self, app: int, trace_id: bytes, at: int) -> None:
        """Remember a trace as deleted."""
        key = _key(trace_id)
        one(self._connection, "forget_trace", app, key, at)
        self._traces[app, key] = at

    def add_span(self, app: int, trace_id: bytes, span_id: bytes, at: int) -> None:
        """Remember a span as deleted from a trace that others have spans of."""
        trace_key, key = _key(trace_id), _key(trace_id, span_id)
        one(self._connection, "forget_span", app, trace_key, key, at)
        self._spans[app, key] = at
        self._cut.add((app, trace_key))


def _key(*ids: bytes) -> bytes:
    return blake2b(b"".join(ids), digest_size=16, person=b"agentmark").digest()
