"""One write: spans go in or out, and what is derived from them follows, in the same transaction.

A trace is derived from all of its spans: at once, or a large one before it is next asked for. A session is the sum
(`Totals`) and the join (`Labels`) of its parts: the sum follows by the difference of each, the join by joining the
new part, unless one lost something; only then the session is joined anew from all of its parts.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, Final

import apsw
import msgspec

from agentmark_server import intervals, packing
from agentmark_server.grouping import Grouped, Part, Side, group
from agentmark_server.intervals import Interval, Intervals
from agentmark_server.model import Labels, ReceivedSpan, Role, Totals
from agentmark_server.packing import Fact, Share
from agentmark_server.queries import LabelKind
from agentmark_server.store import Edit, SpanReader
from agentmark_server.store.sqlite import indexing
from agentmark_server.store.sqlite.chunks import NUMBER_BITS, Chunks, Stored, ids_of
from agentmark_server.store.sqlite.edits import Edits
from agentmark_server.store.sqlite.forgotten import Forgotten
from agentmark_server.store.sqlite.interned import Interned
from agentmark_server.store.sqlite.statements import SQL, Row, one, rows
from agentmark_server.store.sqlite.tallies import TimeSums, UserSums
from agentmark_server.store.sqlite.whole import sums_of

NO_SESSION: Final = 0
LARGE_TRACE: Final = 500
"""Spans from which on a trace is not grouped with every write, but when it has doubled or somebody asks.

So a trace of n spans costs a multiple of n, however many writes bring it.
"""
_LAST: Final = 2**63 - 1
"""Stands for an unknown start, so that it comes last."""
_UNGROUPED: Final = Grouped({}, frozenset(), {}, {})
_NUMBER: Final = (1 << NUMBER_BITS) - 1

SpanId = tuple[bytes, bytes]
"""Trace id and span id."""


class _Trace(msgspec.Struct):
    """A row of the table of traces. `next` numbers its next span, `fresh` of its spans are not grouped yet."""

    number: int
    next: int
    spans: int
    fresh: int


class _Version(msgspec.Struct, frozen=True):
    """What is stored of a span: which number it has, and what decides between versions."""

    number: int
    end: int
    attribute_count: int


class _Update(msgspec.Struct):
    """What a write means for one session: what is added, what goes, and whether a join does not suffice."""

    added: Totals | None = None
    joined: Labels | None = None
    busy: Intervals = ()
    lost: bool = False


class _State(msgspec.Struct):
    """A session as it is kept."""

    number: int
    id: str
    totals: Totals = msgspec.field(default_factory=Totals)
    labels: Labels = msgspec.field(default_factory=Labels)
    busy: Intervals = ()

    def joined(self, update: _Update) -> "_State":
        """With what an update adds, but for the totals."""
        labels = self.labels.joined(update.joined or Labels())
        return _State(self.number, self.id, labels=labels, busy=intervals.joined(self.busy, update.busy))

    def row(self, tick: int) -> Row:
        """As `put_session` takes it, behind the numbers of session and app."""
        labels = self.labels
        said = [text and text[-1] for text in (labels.name, labels.user, labels.outcome)]
        active = intervals.length(self.busy) if self.busy else None
        times = labels.start, labels.end, labels.running_since, active
        return self.id, tick, *said, *times, *self.totals.numbers()

    def detail(self) -> Row:
        """As `put_session_detail` takes it, behind the number of the session."""
        encoded = msgspec.msgpack.encode(self.labels), msgspec.msgpack.encode(self.busy)
        return *encoded, *[text and text[-1] for text in (self.labels.input, self.labels.output)]


class Write:
    """One transaction's work for one app: put or remove spans of any traces, then `finish`."""

    def __init__(
        self,
        connection: apsw.Connection,
        interned: Interned,
        forgotten: Forgotten,
        edits: Edits,
        reader: SpanReader,
        app: int,
    ) -> None:
        self._connection = connection
        self._interned = interned
        self._chunks = Chunks(connection, interned)
        self._forgotten = forgotten
        self._edits = edits
        self._reader = reader
        self._app = app
        self._tick: int = one(connection, "tick")
        self._updates: dict[int, _Update] = {}
        self._sessions: dict[str | None, int] = {None: NO_SESSION}
        self._session_ids: dict[int, str] = {}
        """Of sessions that this write adds."""
        # Rows of traces that are new in this write: many small statements cost more than few large ones.
        self._new_rows: dict[str, list[Row]] = {"add_trace": [], "put_chunk": [], "put_span": [], "put_part": []}
        self._new_traces: set[bytes] = set()
        self._session_rows: dict[str, list[Row]] = {
            "delete_label": [],
            "add_label": [],
            "put_session": [],
            "put_session_detail": [],
        }
        self._grown = 0
        self._time_sums = TimeSums()
        self._user_sums = UserSums()
        self.left_stale = False
        """Whether `settle` has something to do."""

    def _one(self, statement: str, *bindings: Any) -> Any:
        return one(self._connection, statement, *bindings)

    def _do(self, statement: str, *bindings: Any) -> None:
        self._connection.execute(SQL[statement], bindings)

    def put(self, shares: Iterable[Share]) -> frozenset[SpanId]:
        """Take spans of any traces; say which were refused as deleted."""
        return frozenset((share.trace_id, span_id) for share in shares for span_id in self._put(share))

    def _put(self, share: Share) -> Set[bytes]:
        """Take spans of one trace; say which ids were refused."""
        if share.trace_id in self._new_traces:
            self._write_new_rows()
        found = self._one("find_trace", self._app, share.trace_id)
        trace = _Trace(*found) if found else None
        if trace is None and not self._forgotten.may_have(self._app, share):
            self._put_new_trace(share)
            return frozenset()
        stored = self._stored(trace, share)
        refused, left = self._left(trace, stored, share)
        if left and trace is None:
            self._put_new_trace(left)
        elif left and trace:
            self._put_in_trace(trace, stored, left)
        return refused

    def _put_new_trace(self, share: Share) -> None:
        """Derive a trace that was not there before this write; its rows are written with others'."""
        trace, size = self._interned.new_trace(), len(share.span_ids)
        self._new_traces.add(share.trace_id)
        sums = sums_of([part for _, part in share.parts])
        self._new_rows["add_trace"].append((trace, self._app, share.trace_id, size, size, 0, *sums))
        self._new_rows["put_chunk"].append(self._chunks.row(trace, 0, share))
        self._new_rows["put_span"] += self._span_rows(trace, 0, share.rows)
        for place, (owner, part) in enumerate(share.parts):
            session = self._session(owner)
            self._new_rows["put_part"].append(_part_row(trace, place, share.trace_id, session, part))
            self._note(session, None, part)

    def _stored(self, trace: _Trace | None, share: Share) -> dict[bytes, Stored]:
        """The spans of a small trace; of a large one none."""
        small = trace is not None and trace.spans <= LARGE_TRACE
        return self._chunks.facts_of(trace.number, share.trace_id) if trace and small else {}

    def _versions(self, trace: _Trace, stored: dict[bytes, Stored], share: Share) -> dict[bytes, _Version]:
        """What is stored of the spans of a share."""
        if trace.spans > LARGE_TRACE:
            found = {id_: self._one("version_of_span", trace.number, id_) for id_ in share.span_ids}
            return {
                span_id: _Version(row[0], packing.unsigned(row[1]), row[2])
                for span_id, row in found.items()
                if row
            }
        both = stored.keys() & set(share.span_ids)
        facts = {span_id: stored[span_id] for span_id in both}
        return {
            span_id: _Version(one.number, one.fact.span.end, one.fact.attribute_count)
            for span_id, one in facts.items()
        }

    def _left(
        self, trace: _Trace | None, stored: dict[bytes, Stored], share: Share
    ) -> tuple[Set[bytes], Share | None]:
        """Which spans of a share were deleted, and a share of those that are new or newer than what is stored."""
        versions = self._versions(trace, stored, share) if trace else {}
        if not versions and not self._forgotten.any(self._app):
            return frozenset(), share
        received = self._received(share)
        refused = {one.span.span_id for one in received if self._forgotten.has(self._app, one.span)}
        welcome = [one for one in received if one.span.span_id not in refused]
        newer = [
            one
            for one in welcome
            if one.span.span_id not in versions or self._beats(one, trace, versions[one.span.span_id])
        ]
        deleted = self._owned_by_deleted(trace, share.trace_id, stored, newer)
        if deleted:
            self._delete(trace, share.trace_id, deleted, {one.span.span_id for one in newer})
            again = self._put(packing.share(share.trace_id, welcome, self._reader)) if welcome else frozenset()
            return refused | deleted.keys() | again, None
        if len(newer) == len(received):
            return refused, share
        return refused, packing.share(share.trace_id, newer, self._reader) if newer else None

    def _received(self, share: Share) -> list[ReceivedSpan]:
        facts = packing.unpacked_facts(share.trace_id, share.facts)
        raws = packing.unpacked_contents(share.contents)
        return [
            ReceivedSpan(fact.span, raw, share.origins[place], fact.attribute_count)
            for fact, raw, place in zip(facts, raws, share.origin_places, strict=True)
        ]

    def _beats(self, received: ReceivedSpan, trace: _Trace | None, version: _Version) -> bool:
        """Whether a span takes the place of the version that is stored."""
        ours, theirs = (received.span.end, received.attribute_count), (version.end, version.attribute_count)
        if ours != theirs or trace is None:
            return ours > theirs
        other = self._chunks.received(trace.number, received.span.trace_id, version.number)
        return packing.beats(received, other, self._reader)

    def _owned_by_deleted(
        self,
        trace: _Trace | None,
        trace_id: bytes,
        stored: dict[bytes, Stored],
        newer: Sequence[ReceivedSpan],
    ) -> dict[bytes, int]:
        """Spans that a deleted session would own and that started before it was deleted, with that time."""
        sessions = self._forgotten.sessions(self._app)
        spans = [one.fact.span for one in stored.values()] + [one.span for one in newer] if sessions else []
        if not any(key.value in sessions for span in spans for key in span.context.keys):
            return {}
        all_stored = self._chunks.facts_of(trace.number, trace_id) if trace else {}
        whole = {span_id: one.fact.span for span_id, one in all_stored.items()}
        whole |= {one.span.span_id: one.span for one in newer}
        owners = group(whole.values()).owners
        times = {span_id: sessions.of(owners.get(span_id)) for span_id in whole}
        return {span_id: at for span_id, at in times.items() if whole[span_id].start < at}

    def _delete(
        self, trace: _Trace | None, trace_id: bytes, deleted: dict[bytes, int], coming: set[bytes]
    ) -> None:
        """Remember spans as deleted, and delete those that are there."""
        stored = self._chunks.facts_of(trace.number, trace_id).keys() if trace else set[bytes]()
        if not (stored | coming) - deleted.keys():
            self.forget_trace(trace_id, max(deleted.values()))
            return
        for span_id, at in deleted.items():
            self._forget_span(trace_id, span_id, at)
        if trace and stored & deleted.keys():
            self._keep(trace.number, trace_id, stored - deleted.keys())

    def _put_in_trace(self, trace: _Trace, stored: dict[bytes, Stored], share: Share) -> None:
        """Add spans to a trace; the older versions of them go."""
        first, replaced = trace.next, self._versions(trace, stored, share)
        trace.next += len(share.span_ids)
        trace.spans += len(share.span_ids) - len(replaced)
        trace.fresh += len(share.span_ids)
        if replaced:
            indexing.outdate_spans(self._connection, trace.number, [one.number for one in replaced.values()])
        for span_id in replaced:
            self._interned.release_terms(list(self._one("terms_of_span", trace.number, span_id)))
        self._do("put_chunk", *self._chunks.row(trace.number, first, share))
        if trace.spans <= LARGE_TRACE:
            facts = packing.unpacked_facts(share.trace_id, share.facts)
            stored |= {one.span.span_id: Stored(one, first + place) for place, one in enumerate(facts)}
            grouped = self._group(trace.number, share.trace_id, stored, share)
            self._do_all("put_span", self._span_rows(trace.number, first, share.rows, grouped))
            self._regrouped(trace.number, share.trace_id, stored, grouped)
            trace.fresh = 0
        else:
            self._do_all("put_span", self._span_rows(trace.number, first, share.rows, _UNGROUPED))
            self._group_later(trace, share.trace_id)
        self._do("count_trace", trace.next, trace.spans, trace.fresh, trace.number)

    def _do_all(self, statement: str, bindings: Iterable[Row]) -> None:
        self._connection.executemany(SQL[statement], bindings)

    def _group_later(self, trace: _Trace, trace_id: bytes) -> None:
        """Group a large trace, but only when it has doubled."""
        if trace.fresh * 2 >= trace.spans:
            self.regroup(trace.number, trace_id)
            trace.fresh = 0
        else:
            self._do("mark_stale", trace.number, self._app)
            self.left_stale = True

    def settle(self) -> None:
        """Group the large traces that have fresh spans."""
        for trace, trace_id in rows(self._connection, "stale_traces", self._app):
            self._do("count_trace_anew", self.regroup(trace, trace_id), trace)

    def regroup(self, trace: int, trace_id: bytes) -> int:
        """Derive a trace anew from all of its spans; say how many there are."""
        stored = self._chunks.facts_of(trace, trace_id)
        self._regrouped(trace, trace_id, stored, self._group(trace, trace_id, stored))
        return len(stored)

    def _group(
        self, trace: int, trace_id: bytes, stored: dict[bytes, Stored], share: Share | None = None
    ) -> Grouped:
        """Group a trace. What its spans told before, or do in the share that is new, need not be read again.

        With log records among them it is: a text may be a record's, which another version of it replaces.
        """
        told = self._told(trace, share) if share and not _has_events(stored) else {}

        def say(span_id: bytes, side: Side) -> str | None:
            if (span_id, side) not in told:
                preview = self._reader.preview(self._chunks.received(trace, trace_id, stored[span_id].number))
                told.update({(span_id, each): preview[each] for each in Side})
            return told[span_id, side]

        return group([one.fact.span for one in stored.values()], say)

    def _told(self, trace: int, share: Share) -> dict[tuple[bytes, Side], str | None]:
        """What spans tell of input and output: stored ones that are not replaced, and new ones."""
        parts = [decode_part(content) for *_, content in rows(self._connection, "parts_of_trace", *ids_of(trace))]
        new = set(share.span_ids)
        old = {key: said for part in parts for key, said in _texts(part) if key[0] not in new}
        return old | {key: said for _, part in share.parts for key, said in _texts(part)}

    def _span_rows(self, trace: int, first: int, made: packing.Rows, grouped: Grouped | None = None) -> list[Row]:
        """Rows of spans numbered from `first`, as `put_span` takes them; with `grouped`, as that says."""
        interned = self._interned.term
        terms = [interned(text, uses) for text, uses in zip(made.terms, made.term_uses, strict=True)]
        if grouped is None:
            owners = [self._session(owner) for owner in made.owners]
            return [_span_row(trace, first + n, owners[row[0]], terms, row) for n, row in enumerate(made.rows)]
        sessions = {span_id: self._session(owner) for span_id, owner in grouped.owners.items()}
        return [
            _span_row(
                trace, first + n, sessions.get(row[_ID], NO_SESSION), terms, row, row[_ID] in grouped.counted
            )
            for n, row in enumerate(made.rows)
        ]

    def _regrouped(self, trace: int, trace_id: bytes, stored: dict[bytes, Stored], grouped: Grouped) -> None:
        """Bring the rows of a trace to what grouping says, and note what that means for its sessions."""
        self._do("unmark_stale", trace)
        self._do("sum_trace", *sums_of(list(grouped.parts.values())), trace)
        if _has_events(stored):
            self._rewrite_rows(trace, stored, grouped)
        else:
            self._correct_rows(trace, grouped)
        known = rows(self._connection, "parts_of_trace", *ids_of(trace))
        old = {session: (id_ & _NUMBER, content) for id_, session, content in known}
        new = {self._session(owner): part for owner, part in grouped.parts.items()}
        if len(new) > 1 >= len(old):
            indexing.outdate_trace(self._connection, trace)
        for session in old.keys() - new.keys():
            self._do("delete_part", ids_of(trace)[0] + old[session][0])
        free = max([place for place, _ in old.values()], default=-1) + 1
        for number, (session, part) in enumerate(new.items(), start=free):
            place = old[session][0] if session in old else number
            self._do("put_part", *_part_row(trace, place, trace_id, session, part))
        for session in old.keys() | new.keys():
            self._note(session, decode_part(old[session][1]) if session in old else None, new.get(session))

    def _correct_rows(self, trace: int, grouped: Grouped) -> None:
        """Change the rows of which the owner, or whether they count, is not as it was."""
        owners, counted = grouped.owners, grouped.counted
        for span_id, session, counts in rows(self._connection, "grouped_of_trace", trace):
            owner = self._session(owners.get(span_id))
            if session != owner or bool(counts) != (span_id in counted):
                self._do("regroup_span", owner, span_id in counted, trace, span_id)

    def _rewrite_rows(self, trace: int, stored: dict[bytes, Stored], grouped: Grouped) -> None:
        """Write all rows of a trace, in which log records say what stands in others' rows."""
        self._release_rows(trace)
        self._put_rows(trace, stored, grouped)

    def _put_rows(self, trace: int, stored: dict[bytes, Stored], grouped: Grouped) -> None:
        made = packing.rows_of([one.fact for one in stored.values()], grouped)
        numbers = [one.number for one in stored.values()]
        written = self._span_rows(trace, 0, made)
        self._do_all(
            "put_span", [(row[0], number, *row[2:]) for number, row in zip(numbers, written, strict=True)]
        )

    def _release_rows(self, trace: int) -> None:
        for terms in rows(self._connection, "terms_of_trace", trace):
            self._interned.release_terms(list(terms))
        self._do("delete_spans", trace)

    def _note(self, session: int, old: Part | None, new: Part | None) -> None:
        if session == NO_SESSION:
            return
        update = self._updates.setdefault(session, _Update())
        for part, times in ((old, -1), (new, 1)):
            if part:
                self._time_sums.note(session, part, times)
        if old:
            update.added = (update.added or Totals()).minus(old.totals)
            update.lost |= new is None or not _keeps(old, new)
        if new:
            update.added = update.added.plus(new.totals) if update.added else new.totals
            update.joined = update.joined.joined(new.labels) if update.joined else new.labels
            update.busy = intervals.joined(update.busy, new.busy)

    def _session(self, session_id: str | None) -> int:
        number = self._sessions.get(session_id)
        if number is None and session_id is not None:
            number = self._one("find_session", self._app, session_id)
            if number is None:
                number = self._interned.new_session()
                self._session_ids[number] = session_id
            self._sessions[session_id] = number
        return number or NO_SESSION

    def _write_new_rows(self) -> None:
        for statement, new_rows in self._new_rows.items():
            self._do_all(statement, new_rows)
            new_rows.clear()
        self._new_traces.clear()

    def finish(self) -> frozenset[str]:
        """Bring the touched sessions up to date, and say which those were."""
        self._write_new_rows()
        changed = frozenset(self._bring_up_to_date(session, update) for session, update in self._updates.items())
        for statement, new_rows in self._session_rows.items():
            self._do_all(statement, new_rows)
        self._time_sums.write(self._connection, self._app)
        self._user_sums.write(self._connection, self._app)
        self._interned.save_uses()
        self._do("grow_app", self._grown, self._app)
        return changed

    def _bring_up_to_date(self, session: int, update: _Update) -> str:
        before = self._state(session)
        now = self._joined_anew(before) if update.lost else before.joined(update)
        if edit := self._edits.labels(self._app, before.id):
            now.labels = now.labels.joined(edit)
        now.totals = before.totals.plus(update.added or Totals())
        if now.totals.trace_count == 0:
            self._delete_session(session, before)
            return before.id
        if before.totals.trace_count == 0:
            self._grown += 1
            self._forgotten.begun(self._app, before.id)
        self._user_sums.note((before.totals, before.labels), (now.totals, now.labels))
        self._write_labels(session, before.labels, now.labels)
        self._session_rows["put_session"].append((session, self._app, *now.row(self._tick)))
        self._session_rows["put_session_detail"].append((session, *now.detail()))
        return before.id

    def _delete_session(self, session: int, state: _State) -> None:
        self._write_labels(session, state.labels, Labels())
        self._user_sums.note((state.totals, state.labels), (Totals(), Labels()))
        self._do("delete_session", session)
        self._do("delete_session_detail", session)
        self._forgotten.end_session(self._app, state.id, self._tick)
        self._grown -= state.totals.trace_count > 0

    def _write_labels(self, session: int, old: Labels, new: Labels) -> None:
        before, after = labels_of(old), labels_of(new)
        self._session_rows["delete_label"] += [(self._app, *label, session) for label in before - after]
        self._session_rows["add_label"] += [(self._app, *label, session) for label in after - before]

    def _state(self, session: int) -> _State:
        """A session as it was before this write; an empty one where this write adds it."""
        added = self._session_ids.get(session)
        if added is not None:
            return _State(session, added)
        session_id, labels, busy, *totals = self._one("session_state", session)
        return _State(session, session_id, Totals(*totals), decode_labels(labels), decode_busy(busy))

    def _joined_anew(self, state: _State) -> _State:
        labels = Labels()
        busy: list[Interval] = []
        for (content,) in self._connection.execute(SQL["parts_of_session"], (state.number,)):
            part = decode_part(content)
            labels = labels.joined(part.labels)
            busy += part.busy
        return _State(state.number, state.id, labels=labels, busy=intervals.union(busy))

    def edit(self, session_id: str, edit: Edit) -> bool:
        """Say something of a session; say whether it is there."""
        session = self._one("find_session", self._app, session_id)
        if session is None:
            return False
        self._edits.put(self._app, session_id, edit)
        self._updates.setdefault(session, _Update()).lost = True
        return True

    def mark_unclean(self, at: int) -> None:
        """Note that the file holds remains of what was deleted, at a time (ns)."""
        self._do("mark_unclean", at)

    def forget_said(self, session_ids: Iterable[str]) -> None:
        """Forget edits and scores of those sessions that are no more."""
        for session_id in session_ids:
            if self._one("find_session", self._app, session_id) is None:
                self._edits.delete(self._app, session_id)
                self._do("delete_scores_of_session", self._app, session_id)

    def derive_anew(self, trace: int, trace_id: bytes) -> int:
        """Read the spans of a trace again as they were received, by today's rules; say how many there are."""
        stored: dict[bytes, Stored] = {}
        for first, received in self._chunks.received_of(trace, trace_id):
            read = [msgspec.structs.replace(one, span=self._normalised(one)) for one in received]
            self._do("put_facts", packing.packed_facts(read), ids_of(trace)[0] + first)
            facts = [Fact(one.span, one.attribute_count) for one in read]
            stored |= {one.span.span_id: Stored(one, first + place) for place, one in enumerate(facts)}
            self._interned.use_origins([self._interned.origin(one.origin) for one in read])
        grouped = self._group(trace, trace_id, stored)
        self._do("delete_spans", trace)
        self._put_rows(trace, stored, grouped)
        self._regrouped(trace, trace_id, stored, grouped)
        self._do("count_trace_anew", len(stored), trace)
        return len(stored)

    def _normalised(self, received: ReceivedSpan) -> Any:
        return self._reader.normalise(received.origin, received.raw)

    def forget_trace(self, trace_id: bytes, at: int) -> int:
        """Delete a trace with all that is derived from it, and remember it as deleted at a time (ns)."""
        self._forgotten.add_trace(self._app, trace_id, at)
        self._do("delete_scores_of_trace", self._app, trace_id.hex())
        found = self._one("find_trace", self._app, trace_id)
        if not found:
            return 0
        trace = _Trace(*found)
        for part, session, content in rows(self._connection, "parts_of_trace", *ids_of(trace.number)):
            self._note(session, decode_part(content), None)
            self._do("delete_part", part)
        self._release_rows(trace.number)
        self._chunks.delete(trace.number)
        indexing.take_out_trace(self._connection, trace.number)
        self._do("unmark_stale", trace.number)
        self._do("delete_trace", trace.number)
        return trace.spans

    def forget_session(self, session_id: str, at: int) -> int:
        """Delete the spans that a session owns, and remember it and the traces that it owned alone."""
        self._forgotten.add_session(self._app, session_id, at, self._tick)
        self._do("delete_scores_of_session", self._app, session_id)
        session = self._one("find_session", self._app, session_id)
        if session is None:
            return 0
        traces = rows(self._connection, "traces_of_session", session)
        return sum(self._forget_share(trace, trace_id, session_id, at) for trace, trace_id in traces)

    def _forget_share(self, trace: int, trace_id: bytes, session_id: str, at: int) -> int:
        stored = self._chunks.facts_of(trace, trace_id)
        owners = group(one.fact.span for one in stored.values()).owners
        kept = {span_id for span_id in stored if owners.get(span_id) != session_id}
        if not kept:
            return self.forget_trace(trace_id, at)
        for span_id in stored.keys() - kept:
            self._forget_span(trace_id, span_id, at)
        self._keep(trace, trace_id, kept)
        return len(stored) - len(kept)

    def _forget_span(self, trace_id: bytes, span_id: bytes, at: int) -> None:
        self._forgotten.add_span(self._app, trace_id, span_id, at)
        self._do("delete_scores_of_span", self._app, trace_id.hex(), span_id.hex())

    def _keep(self, trace: int, trace_id: bytes, kept: Set[bytes]) -> None:
        """Delete all spans of a trace but some, which move to chunks of their own."""
        received: dict[bytes, ReceivedSpan] = {}
        for _, opened in self._chunks.received_of(trace, trace_id):
            received |= {one.span.span_id: one for one in opened if one.span.span_id in kept}
        _, first, *_ = self._one("find_trace", self._app, trace_id)
        self._release_rows(trace)
        self._chunks.delete(trace)
        indexing.take_out_trace(self._connection, trace)
        for some in packing.batches(list(received.values())):
            share = packing.share(trace_id, some, self._reader)
            self._do("put_chunk", *self._chunks.row(trace, first, share))
            self._do_all("put_span", self._span_rows(trace, first, share.rows, _UNGROUPED))
            first += len(some)
        self._do("count_trace", first, len(received), 0, trace)
        self.regroup(trace, trace_id)


_ID: Final = 1 + packing.TERMS
"""Where in a row that packing makes the span's id stands; in front of it are the places of owner and terms."""
_COUNTED: Final = _ID + 6


def _span_row(
    trace: int, number: int, session: int, terms: Sequence[int | None], row: Row, counted: bool | None = None
) -> Row:
    said = [terms[place] for place in row[1:_ID]]
    if counted is None:
        return (trace, number, session, *said, *row[_ID:])
    return (trace, number, session, *said, *row[_ID:_COUNTED], counted, *row[_COUNTED + 1 :])


def _has_events(stored: dict[bytes, Stored]) -> bool:
    return any(one.fact.span.role is Role.EVENT for one in stored.values())


def _texts(part: Part) -> Iterator[tuple[tuple[bytes, Side], str | None]]:
    """What a part says of input and output, and which span told it."""
    for side, said in ((Side.INPUT, part.labels.input), (Side.OUTPUT, part.labels.output)):
        if said:
            *_, span_id, text = said
            yield (span_id, side), text


def _keeps(old: Part, new: Part) -> bool:
    """Whether a part says all that it said before, so that a session needs only to join what it says now."""
    return intervals.joined(old.busy, new.busy) == new.busy and new.labels.covers(old.labels)


def _part_row(trace: int, place: int, trace_id: bytes, session: int, part: Part) -> Row:
    start = _LAST if part.labels.start is None else part.labels.start
    return ids_of(trace)[0] + place, session, trace_id, start, msgspec.msgpack.encode(part)


def decode_part(content: bytes) -> Part:
    """A part as the table keeps it."""
    return msgspec.msgpack.decode(content, type=Part)


def decode_busy(blob: bytes) -> Intervals:
    """Intervals as the table keeps them."""
    return msgspec.msgpack.decode(blob, type=Intervals)


def labels_of(labels: Labels) -> set[tuple[int, str, str]]:
    """Labels as their table keeps them: kind, key (of metadata alone) and value."""
    sets = {
        LabelKind.USER: labels.users,
        LabelKind.MODEL: labels.models,
        LabelKind.AGENT: labels.agents,
        LabelKind.SERVICE: labels.services,
        LabelKind.ENVIRONMENT: labels.environments,
        LabelKind.RELEASE: labels.releases,
        LabelKind.TAG: labels.tags,
    }
    found = {(int(kind), "", value) for kind, values in sets.items() for value in values}
    return found | {(int(LabelKind.METADATA), key, said[-1]) for key, said in labels.metadata.items()}


def decode_labels(blob: bytes) -> Labels:
    """Labels as the table keeps them."""
    return msgspec.msgpack.decode(blob, type=Labels)
