"""What one write adds to the numbers of users and of stretches of time: collected, then written once for each row.

All sums follow by difference, exactly: what a part or a session was before is taken off. The first and the last
time of a user are joined, and only looked up anew when the session that gave one of them lost it.
"""

from typing import Any, Final

import apsw
import msgspec

from agentmark_server.grouping import Part
from agentmark_server.model import Labels, Totals
from agentmark_server.moments import Histogram, Moment, Tally, add_up, class_of, minute_of
from agentmark_server.store.sqlite.statements import SQL, Row, one

MINUTES_IN_HOUR: Final = 60
WIDTHS: Final = (1, MINUTES_IN_HOUR)
"""Minutes of the stretches of time that sums are kept for."""


class _Traces(msgspec.Struct, gc=False):
    """Traces that begin in a minute."""

    count: int = 0
    failed: int = 0
    durations: Histogram = {}

    def add(self, part: Part, times: int) -> None:
        """Take in what a session owns of a trace, or with -1 take it off again."""
        self.count += times
        self.failed += times * part.totals.failed_trace_count
        if part.totals.timed_trace_count:
            add_up(self.durations, {class_of(part.totals.duration): 1}, times)

    def join(self, other: "_Traces") -> None:
        """Take in what began in another minute of the same stretch."""
        self.count += other.count
        self.failed += other.failed
        add_up(self.durations, other.durations)

    def row(self) -> Row:
        """As `add_to_traces` takes it, behind its place."""
        return self.count, self.failed, msgspec.msgpack.encode(self.durations)


class TimeSums:
    """The numbers of stretches of time, as one write changes them."""

    def __init__(self) -> None:
        self._tallies: dict[Moment, Tally] = {}
        self._traces: dict[int, _Traces] = {}
        self._presences: dict[tuple[int, int], int] = {}

    def note(self, session: int, part: Part, times: int) -> None:
        """Take in what a session owns of a trace, or with -1 take it off again."""
        for moment, tally in part.tallies:
            if moment not in self._tallies:
                self._tallies[moment] = Tally()
            self._tallies[moment].add(tally, times)
        for minute in part.minutes:
            self._presences[minute, session] = self._presences.get((minute, session), 0) + times
        began = minute_of(part.labels.start)
        if began is not None:
            self._traces.setdefault(began, _Traces()).add(part, times)

    def write(self, connection: apsw.Connection, app: int) -> None:
        """Bring the rows up to date; those of which nothing is left go."""
        changed = [(app, *place, parts) for place, parts in self._presences.items() if parts]
        connection.executemany(SQL["add_presence"], changed)
        gone = [(app, *place) for place, parts in self._presences.items() if parts < 0]
        connection.executemany(SQL["delete_absence"], gone)
        self._write_calls(connection, app)
        self._write_traces(connection, app)

    def _write_calls(self, connection: apsw.Connection, app: int) -> None:
        rows: dict[Row, Tally] = {}
        for (minute, *values), tally in self._tallies.items():
            labels = [value or "" for value in values]
            for width in WIDTHS:
                rows.setdefault((app, width, minute - minute % width, *labels), Tally()).add(tally)
        added = [(*place, *_tally_row(tally)) for place, tally in rows.items() if tally != _NO_TALLY]
        connection.executemany(SQL["add_to_calls"], added)
        less = [place for place, tally in rows.items() if min(tally.calls, tally.errors) < 0]
        connection.executemany(SQL["delete_no_calls"], less)

    def _write_traces(self, connection: apsw.Connection, app: int) -> None:
        rows: dict[Row, _Traces] = {}
        for minute, traces in self._traces.items():
            for width in WIDTHS:
                rows.setdefault((app, width, minute - minute % width), _Traces()).join(traces)
        added = [(*place, *traces.row()) for place, traces in rows.items() if traces != _NO_TRACES]
        connection.executemany(SQL["add_to_traces"], added)
        connection.executemany(
            SQL["delete_no_traces"], [place for place, traces in rows.items() if traces.count < 0]
        )


_NO_TALLY: Final = Tally()
_NO_TRACES: Final = _Traces()


def _tally_row(tally: Tally) -> Row:
    *numbers, latencies = msgspec.structs.astuple(tally)
    return *numbers, msgspec.msgpack.encode(latencies)


def install(connection: apsw.Connection) -> None:
    """Give the connection that writes the function that statements add up histograms with."""
    connection.create_scalar_function("add_histograms", _added, 2, deterministic=True)


def _added(*blobs: Any) -> bytes:
    one_, other = map(decode_histogram, blobs)
    add_up(one_, other)
    return msgspec.msgpack.encode(one_)


def decode_histogram(blob: bytes) -> Histogram:
    """A histogram as the table keeps it."""
    return msgspec.msgpack.decode(blob, type=Histogram)


class _Seen(msgspec.Struct, gc=False):
    """What changes for one user."""

    sessions: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    first: int | None = None
    last: int | None = None
    lost_first: int | None = None
    """The earliest start that a session of the user has no more."""
    lost_last: int | None = None

    def move(self, before: Labels, now: Labels) -> None:
        """Note when a session began and ended, and does now."""
        self.first, self.last = _least(self.first, now.start), _greatest(self.last, now.end)
        if now.start is None or (before.start is not None and now.start > before.start):
            self.lost_first = _least(self.lost_first, before.start)
        if now.end is None or (before.end is not None and now.end < before.end):
            self.lost_last = _greatest(self.lost_last, before.end)

    def lost_any(self) -> bool:
        """Whether a session has a time no more."""
        return self.lost_first is not None or self.lost_last is not None

    def lost(self, first: int | None, last: int | None) -> bool:
        """Whether what stands as the first or the last time is one that a session has no more."""
        lost_first = self.lost_first is not None and first is not None and self.lost_first <= first
        lost_last = self.lost_last is not None and last is not None and self.lost_last >= last
        return lost_first or lost_last

    def row(self) -> Row:
        """As `add_to_user` takes it, behind app and user."""
        totals = self.totals
        counts = self.sessions, totals.trace_count, totals.call_count, totals.error_count
        sums = totals.input_tokens, totals.output_tokens, totals.cost, totals.priced_calls
        return *counts, *sums, self.first, self.last


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)


class UserSums:
    """The numbers of users, as one write changes them."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def note(self, old: tuple[Totals, Labels], new: tuple[Totals, Labels]) -> None:
        """Note a session as it was, and as it is now."""
        (totals_before, before), (totals, now) = old, new
        for user in before.users | now.users:
            seen = self._seen.setdefault(user, _Seen())
            if user in before.users:
                seen.sessions -= 1
                seen.totals = seen.totals.minus(totals_before)
            if user in now.users:
                seen.sessions += 1
                seen.totals = seen.totals.plus(totals)
            seen.move(before if user in before.users else _NOTHING, now if user in now.users else _NOTHING)

    def write(self, connection: apsw.Connection, app: int) -> None:
        """Bring the rows up to date, once those of sessions are; users without a session go."""
        connection.executemany(SQL["add_to_user"], [(app, user, *seen.row()) for user, seen in self._seen.items()])
        fewer = [(app, user) for user, seen in self._seen.items() if seen.sessions < 0]
        connection.executemany(SQL["delete_user_without_sessions"], fewer)
        for user in [user for user, seen in self._seen.items() if seen.lost_any()]:
            self._look_up_times(connection, app, user)

    def _look_up_times(self, connection: apsw.Connection, app: int, user: str) -> None:
        kept = one(connection, "seen_of_user", app, user)
        if kept and self._seen[user].lost(*kept):
            one(connection, "put_times_of_user", *one(connection, "times_of_user", app, user), app, user)


_NOTHING: Final = Labels()
