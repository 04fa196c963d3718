"""One write: spans go in or out, and what is derived from them follows, in the same transaction.

A trace is derived from all of its spans: at once, or a large one before it is next asked for. A session is the sum
(`Totals`) and the join (`Labels`) of its parts: the sum follows by the difference of each, the join by joining the
new part, unless one lost something; only then the session is joined anew from all of its parts.
"""

from collections.abc import Sequence, Set
from typing import Any, Final

import apsw
import msgspec

from agentmark_server.grouping import Part, group
from agentmark_server.model import Labels, ReceivedSpan, Totals
from agentmark_server.store import SpanReader
from agentmark_server.store.sqlite.forgotten import Forgotten
from agentmark_server.store.sqlite.rows import Rows, StoredSpan, chunk_range
from agentmark_server.store.sqlite.statements import SQL, Row, one, rows

NO_SESSION: Final = 0
LARGE_TRACE: Final = 2000
"""Spans from which on a trace is not grouped with every write, but when it has doubled or somebody asks.

So a trace of n spans costs a multiple of n, however many writes bring it.
"""
_LAST: Final = 2**63 - 1
"""Stands for an unknown start, so that it comes last."""


class _Update(msgspec.Struct):
    """What a write means for one session: what is added, what goes, and whether a join does not suffice."""

    added: Totals = msgspec.field(default_factory=Totals)
    joined: Labels = msgspec.field(default_factory=Labels)
    lost: bool = False


class Write:
    """One transaction's work for one app: put or remove spans of any traces, then `finish`."""

    def __init__(
        self, connection: apsw.Connection, rows: Rows, forgotten: Forgotten, reader: SpanReader, app: int
    ) -> None:
        self._connection = connection
        self._rows = rows
        self._forgotten = forgotten
        self._reader = reader
        self._app = app
        self._tick: int = one(connection, "tick")
        self._updates: dict[int, _Update] = {}
        self._session_ids: dict[str, int] = {}
        # Rows of traces that are new in this write: many small statements cost more than few large ones.
        self._new_rows: dict[str, list[Row]] = {"put_chunk": [], "put_span": [], "put_part": []}
        self.left_stale = False
        """Whether `settle` has something to do."""

    def _one(self, statement: str, *bindings: Any) -> Any:
        return one(self._connection, statement, *bindings)

    def _do(self, statement: str, *bindings: Any) -> None:
        self._connection.execute(SQL[statement], bindings)

    def put(self, spans: Sequence[ReceivedSpan]) -> frozenset[int]:
        """Take spans of any traces; say which of them, by their places, were refused as deleted."""
        by_trace: dict[bytes, list[ReceivedSpan]] = {}
        for received in spans:
            by_trace.setdefault(received.span.trace_id, []).append(received)
        refused = {(id_, span_id) for id_, items in by_trace.items() for span_id in self._put_in_trace(id_, items)}
        if not refused:
            return frozenset()
        return frozenset(at for at, item in enumerate(spans) if (item.span.trace_id, item.span.span_id) in refused)

    def _put_in_trace(self, trace_id: bytes, spans: Sequence[ReceivedSpan]) -> set[bytes]:
        """Take spans of one trace; say which ids were refused."""
        refused = {item.span.span_id for item in spans if self._forgotten.has(self._app, item.span)}
        welcome = [item for item in spans if item.span.span_id not in refused] if refused else spans
        found = self._one("find_trace", self._app, trace_id)
        trace, chunks, count, fresh = found or (0, 0, 0, 0)
        stored = self._stored(trace, trace_id, welcome, count)
        newer = self._newer(stored, welcome)
        deleted = self._owned_by_deleted(trace, trace_id, stored, newer)
        if deleted:
            self._delete(trace, trace_id, deleted, {item.span.span_id for item in newer})
            return refused | deleted.keys() | self._put_in_trace(trace_id, welcome)
        if newer and found:
            self._put_in_known_trace((trace, chunks, count, fresh), trace_id, stored, newer)
        elif newer:
            self._put_new_trace(trace_id, newer)
        return refused

    def _owned_by_deleted(
        self, trace: int, trace_id: bytes, stored: dict[bytes, StoredSpan], newer: Sequence[ReceivedSpan]
    ) -> dict[bytes, int]:
        """Spans that a deleted session would own and that started before it was deleted, with that time."""
        sessions = self._forgotten.sessions(self._app)
        spans = [one.span for one in stored.values()] + [item.span for item in newer] if sessions else []
        if not any(key.value in sessions for span in spans for key in span.context.keys):
            return {}
        whole = {id_: one.span for id_, one in self._rows.spans_of(trace, trace_id).items()}
        whole |= {item.span.span_id: item.span for item in newer}
        owners = group(list(whole.values())).owners
        times = {span_id: sessions.get(owners.get(span_id) or "", 0) for span_id in whole}
        return {span_id: at for span_id, at in times.items() if whole[span_id].start < at}

    def _delete(self, trace: int, trace_id: bytes, deleted: dict[bytes, int], coming: set[bytes]) -> None:
        """Remember spans as deleted, and delete those that are there."""
        stored = self._rows.spans_of(trace, trace_id)
        if not (stored.keys() | coming) - deleted.keys():
            self.forget_trace(trace_id, max(deleted.values()))
            return
        for span_id, at in deleted.items():
            self._forgotten.add_span(self._app, trace_id, span_id, at)
        if stored.keys() & deleted.keys():
            self._keep(trace, trace_id, stored, stored.keys() - deleted.keys())

    def _put_in_known_trace(
        self, found: Row, trace_id: bytes, stored: dict[bytes, StoredSpan], newer: Sequence[ReceivedSpan]
    ) -> None:
        trace, chunks, count, fresh = found
        put = self._put_spans(trace, chunks, newer)
        count += sum(received.span.span_id not in stored for received in newer)
        fresh += len(newer)
        if count <= LARGE_TRACE:
            self.regroup(trace, trace_id, stored | put)
            fresh = 0
        elif fresh * 2 >= count:
            self.regroup(trace, trace_id, self._rows.spans_of(trace, trace_id))
            fresh = 0
        else:
            self._do("mark_stale", trace, self._app)
            self.left_stale = True
        self._do("count_trace", chunks + 1, count, fresh, trace)

    def _put_spans(self, trace: int, number: int, spans: Sequence[ReceivedSpan]) -> dict[bytes, StoredSpan]:
        """Write spans into the `number`-th chunk of a trace and into rows; say what is stored of them."""
        put = self._rows.put_chunk(trace, number, spans)
        self._rows.put(trace, put)
        return {stored.span.span_id: stored for stored in put}

    def _stored(
        self, trace: int, trace_id: bytes, spans: Sequence[ReceivedSpan], count: int
    ) -> dict[bytes, StoredSpan]:
        """What is stored of a trace: the whole of a small one, of a large one only other versions of `spans`."""
        if count == 0:
            return {}
        if count <= LARGE_TRACE:
            return self._rows.spans_of(trace, trace_id)
        return self._rows.some_spans_of(trace, trace_id, {received.span.span_id for received in spans})

    def settle(self) -> None:
        """Group the large traces that have fresh spans."""
        for trace, trace_id in rows(self._connection, "stale_traces", self._app):
            stored = self._rows.spans_of(trace, trace_id)
            self.regroup(trace, trace_id, stored)
            self._count_anew(trace, trace_id, len(stored))

    def _count_anew(self, trace: int, trace_id: bytes, count: int) -> None:
        """After a trace was grouped from `count` spans."""
        _, chunks, *_ = self._one("find_trace", self._app, trace_id)
        self._do("count_trace", chunks, count, 0, trace)

    def _newer(self, stored: dict[bytes, StoredSpan], spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
        """Of the spans received those that take the place of what is stored, one version of each."""
        newer: dict[bytes, ReceivedSpan] = {}
        for received in spans:
            span_id = received.span.span_id
            if span_id in newer:
                wins = self._beats(received, newer[span_id])
            elif span_id in stored:
                wins = self._beats_stored(received, stored[span_id])
            else:
                wins = True
            if wins:
                newer[span_id] = received
        return list(newer.values())

    def _beats_stored(self, received: ReceivedSpan, stored: StoredSpan) -> bool:
        ours = received.span.end, received.attribute_count
        theirs = stored.span.end, stored.kept.attribute_count
        if ours != theirs:
            return ours > theirs
        origin = self._rows.origin(stored.kept.origin)
        [raw] = self._rows.raws([stored.kept])
        return self._beats(received, ReceivedSpan(stored.span, raw, origin, stored.kept.attribute_count))

    def _beats(self, a: ReceivedSpan, b: ReceivedSpan) -> bool:
        """Which version of a span stays: docs/sessions.md, "Versions"."""
        ours, theirs = (a.span.end, a.attribute_count), (b.span.end, b.attribute_count)
        if ours != theirs:
            return ours > theirs
        if a.raw == b.raw and a.origin == b.origin:
            return False
        return self._tie_break(a) > self._tie_break(b)

    def _tie_break(self, received: ReceivedSpan) -> tuple[bytes, bytes]:
        return self._reader.canonical(received.raw), msgspec.msgpack.encode(received.origin)

    def _put_new_trace(self, trace_id: bytes, spans: Sequence[ReceivedSpan]) -> None:
        """Derive a trace that was not there before this write; its rows are written by `finish`."""
        trace = self._one("add_trace", self._app, trace_id, len(spans))
        chunk, stored = self._rows.chunk(trace, 0, spans)
        self._new_rows["put_chunk"].append(chunk)
        self._new_rows["put_span"] += [self._rows.row(trace, one_span) for one_span in stored]
        grouped = group([received.span for received in spans])
        for owner, part in grouped.parts.items():
            session = self._session(owner)
            self._new_rows["put_part"].append(_part_row(trace, trace_id, session, part))
            if session != NO_SESSION:
                self._note(session, None, part)

    def regroup(self, trace: int, trace_id: bytes, stored: dict[bytes, StoredSpan]) -> None:
        """Derive a trace anew from all of its spans, and note what that means for its sessions."""
        self._do("unmark_stale", trace)
        grouped = group([one.span for one in stored.values()])
        old = {row[0]: row[1] for row in rows(self._connection, "parts_of_trace", trace)}
        new = {self._session(owner): part for owner, part in grouped.parts.items()}
        for session in old.keys() - new.keys():
            self._do("delete_part", trace, session)
        for session, part in new.items():
            self._do("put_part", *_part_row(trace, trace_id, session, part))
        for session in (old.keys() | new.keys()) - {NO_SESSION}:
            self._note(session, decode_part(old.get(session)), new.get(session))

    def _note(self, session: int, old: Part | None, new: Part | None) -> None:
        update = self._updates.setdefault(session, _Update())
        if old:
            update.added = update.added.minus(old.totals)
            update.lost |= new is None or not new.labels.covers(old.labels)
        if new:
            update.added = update.added.plus(new.totals)
            update.joined = update.joined.joined(new.labels)

    def _session(self, session_id: str | None) -> int:
        if session_id is None:
            return NO_SESSION
        if session_id not in self._session_ids:
            found = self._one("find_session", self._app, session_id)
            number: int = found or self._one("add_session", self._app, session_id)
            self._session_ids[session_id] = number
        return self._session_ids[session_id]

    def finish(self) -> frozenset[str]:
        """Bring the touched sessions up to date, and say which those were."""
        for statement, new_rows in self._new_rows.items():
            self._connection.executemany(SQL[statement], new_rows)
            new_rows.clear()
        return frozenset(self._bring_up_to_date(session, update) for session, update in self._updates.items())

    def _bring_up_to_date(self, session: int, update: _Update) -> str:
        session_id, totals_blob, labels_blob = self._one("session_state", session)
        totals = decode_totals(totals_blob).plus(update.added)
        old_labels = decode_labels(labels_blob)
        labels = self._joined_anew(session) if update.lost else old_labels.joined(update.joined)
        for user_id in old_labels.users - labels.users:
            self._do("delete_session_user", self._app, user_id, session)
        for user_id in labels.users - old_labels.users:
            self._do("add_session_user", self._app, user_id, session)
        if totals.trace_count == 0:
            self._do("delete_session", session)
            self._do("end_session", self._app, session_id, self._tick)
        else:
            self._save(session, totals, labels)
        return str(session_id)

    def _save(self, session: int, totals: Totals, labels: Labels) -> None:
        name = labels.name[-1] if labels.name else None
        blobs = msgspec.msgpack.encode(totals.numbers()), msgspec.msgpack.encode(labels)
        self._do("put_session", name, labels.end, self._tick, *blobs, session)

    def _joined_anew(self, session: int) -> Labels:
        labels = Labels()
        for (content,) in self._connection.execute(SQL["parts_of_session"], (session,)):
            labels = labels.joined(msgspec.msgpack.decode(content, type=Part).labels)
        return labels

    def derive_anew(self, trace: int, trace_id: bytes) -> int:
        """Read the spans of a trace again as they were received, by today's rules; say how many there are."""
        kept = self._rows.kept_of(trace)
        spans = [
            self._reader.normalise(self._rows.origin(where.origin), raw)
            for where, raw in zip(kept, self._rows.raws(kept), strict=True)
        ]
        stored = {span.span_id: StoredSpan(span, one) for span, one in zip(spans, kept, strict=True)}
        self._rows.put(trace, list(stored.values()))
        self.regroup(trace, trace_id, stored)
        self._count_anew(trace, trace_id, len(stored))
        return len(stored)

    def forget_trace(self, trace_id: bytes, at: int) -> int:
        """Delete a trace with all that is derived from it, and remember it as deleted at a time (ns)."""
        self._forgotten.add_trace(self._app, trace_id, at)
        found = self._one("find_trace", self._app, trace_id)
        if not found:
            return 0
        trace = found[0]
        spans = self._rows.spans_of(trace, trace_id)
        for session, content in rows(self._connection, "parts_of_trace", trace):
            if session != NO_SESSION:
                self._note(session, decode_part(content), None)
            self._do("delete_part", trace, session)
        for span_id in spans:
            self._do("delete_span", trace, span_id)
        self._do("delete_chunks", *chunk_range(trace))
        self._do("unmark_stale", trace)
        self._do("delete_trace", trace)
        return len(spans)

    def forget_session(self, session_id: str, at: int) -> int:
        """Delete the spans that a session owns, and remember it and the traces that it owned alone."""
        self._forgotten.add_session(self._app, session_id, at, self._tick)
        session = self._one("find_session", self._app, session_id)
        if session is None:
            return 0
        traces = rows(self._connection, "traces_of_session", session)
        return sum(self._forget_share(trace, trace_id, session_id, at) for trace, trace_id in traces)

    def _forget_share(self, trace: int, trace_id: bytes, session_id: str, at: int) -> int:
        stored = self._rows.spans_of(trace, trace_id)
        owners = group([one.span for one in stored.values()]).owners
        kept = {span_id for span_id in stored if owners.get(span_id) != session_id}
        if not kept:
            return self.forget_trace(trace_id, at)
        for span_id in stored.keys() - kept:
            self._forgotten.add_span(self._app, trace_id, span_id, at)
        self._keep(trace, trace_id, stored, kept)
        return len(stored) - len(kept)

    def _keep(self, trace: int, trace_id: bytes, stored: dict[bytes, StoredSpan], kept: Set[bytes]) -> None:
        """Delete all spans of a trace but some."""
        for span_id in stored.keys() - kept:
            self._do("delete_span", trace, span_id)
        left = {span_id: one for span_id, one in stored.items() if span_id in kept}
        self._repack(trace, trace_id, list(left.values()))
        self.regroup(trace, trace_id, left)

    def delete_unused(self) -> None:
        """Delete what deleted spans said of their surroundings, where no other span says it."""
        self._do("delete_unused_contexts")
        self._do("delete_unused_origins")
        self._rows.clear()

    def _repack(self, trace: int, trace_id: bytes, kept: Sequence[StoredSpan]) -> None:
        """Move what stays to a chunk of its own, and delete the others with what they held."""
        raws = self._rows.raws([one.kept for one in kept])
        received = [
            ReceivedSpan(one.span, raw, self._rows.origin(one.kept.origin), one.kept.attribute_count)
            for one, raw in zip(kept, raws, strict=True)
        ]
        _, chunks, *_ = self._one("find_trace", self._app, trace_id)
        self._do("delete_chunks", *chunk_range(trace))
        self._do("count_trace", chunks + 1, len(kept), 0, trace)
        self._rows.put(trace, self._rows.put_chunk(trace, chunks, received))


def _part_row(trace: int, trace_id: bytes, session: int, part: Part) -> Row:
    start = _LAST if part.labels.start is None else part.labels.start
    return trace, session, trace_id, start, msgspec.msgpack.encode(part)


def decode_part(content: bytes | None) -> Part | None:
    """A part as the table keeps it."""
    return None if content is None else msgspec.msgpack.decode(content, type=Part)


def decode_totals(blob: bytes) -> Totals:
    """Totals as the table keeps them; empty in a session that was just added."""
    return Totals(*msgspec.msgpack.decode(blob, type=tuple[int, ...])) if blob else Totals()


def decode_labels(blob: bytes) -> Labels:
    """Labels as the table keeps them; empty in a session that was just added."""
    return msgspec.msgpack.decode(blob, type=Labels) if blob else Labels()
