"""What was deleted, and when: spans of it that started before are refused, however late they come."""

import apsw

from agentmark_server.model import Span
from agentmark_server.packing import Share
from agentmark_server.store.sqlite.statements import one, rows


class Forgotten:
    """Deleted sessions, traces and single spans of all apps, kept in memory too: one process alone deletes.

    A session's traces are remembered whole where it owned them alone, else span by span.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.reload()

    def reload(self) -> None:
        """Read everything again: after a write that was undone."""
        self._sessions: dict[int, dict[str, int]] = {}
        for app, session_id, at in rows(self._connection, "forgotten_sessions"):
            self._sessions.setdefault(app, {})[session_id] = at
        traces = rows(self._connection, "forgotten_traces")
        self._traces: dict[tuple[int, bytes], int] = {(app, id_): at for app, id_, at in traces}
        self._spans: dict[tuple[int, bytes, bytes], int] = {
            (app, trace_id, span_id): at
            for app, trace_id, span_id, at in rows(self._connection, "forgotten_spans")
        }
        self._cut = {(app, trace_id) for app, trace_id, _ in self._spans}
        """Traces of which single spans were deleted."""

    def sessions(self, app: int) -> dict[str, int]:
        """When each deleted session of an app was deleted (nanoseconds since 1970)."""
        return self._sessions.get(app, {})

    def any(self, app: int) -> bool:
        """Whether anything of an app was deleted."""
        return bool(self._traces or self._spans or self._sessions.get(app))

    def may_have(self, app: int, share: Share) -> bool:
        """Whether spans of a share may have been deleted, themselves or with their session."""
        return self.any(app) and (
            (app, share.trace_id) in self._traces
            or (app, share.trace_id) in self._cut
            or not self.sessions(app).keys().isdisjoint(share.keys())
        )

    def has(self, app: int, span: Span) -> bool:
        """Whether a span was deleted with its trace, or by itself."""
        if not (self._traces or self._spans):
            return False
        trace_at = self._traces.get((app, span.trace_id), 0)
        span_at = self._spans.get((app, span.trace_id, span.span_id), 0)
        return span.start < max(trace_at, span_at)

    def add_session(self, app: int, session_id: str, at: int, tick: int) -> None:
        """Remember a session as deleted, in the write `tick`."""
        one(self._connection, "forget_session", app, session_id, at, tick)
        self._sessions.setdefault(app, {})[session_id] = at

    def add_trace(self, app: int, trace_id: bytes, at: int) -> None:
        """Remember a trace as deleted."""
        one(self._connection, "forget_trace", app, trace_id, at)
        self._traces[app, trace_id] = at

    def add_span(self, app: int, trace_id: bytes, span_id: bytes, at: int) -> None:
        """Remember a span as deleted from a trace that others have spans of."""
        one(self._connection, "forget_span", app, trace_id, span_id, at)
        self._spans[app, trace_id, span_id] = at
        self._cut.add((app, trace_id))
