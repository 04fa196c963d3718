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
from agentmark_server.queries import Dimension
from agentmark_server.store.sqlite.statements import SQL, one

MINUTES_IN_HOUR: Final = 60
WIDTHS: Final = (1, MINUTES_IN_HOUR)
"""Minutes of the stretches of time that sums are kept for."""

_Place = tuple[int, Dimension, int, str]
"""Where in the table of buckets: width, dimension, start and value."""


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


class _Bucket(msgspec.Struct, gc=False):
    """What is added to one row."""

    tally: Tally = msgspec.field(default_factory=Tally)
    traces: _Traces = msgspec.field(default_factory=_Traces)


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
        for place, bucket in self._buckets().items():
            _add_to_bucket(connection, (app, *place), bucket)

    def _buckets(self) -> dict[_Place, _Bucket]:
        buckets: dict[_Place, _Bucket] = {}
        for (minute, *values), tally in self._tallies.items():
            for dimension, value in zip(Dimension, ("", *values), strict=True):
                for width in WIDTHS:
                    place = width, dimension, minute - minute % width, value or ""
                    buckets.setdefault(place, _Bucket()).tally.add(tally)
        for minute, traces in self._traces.items():
            for width in WIDTHS:
                place = width, Dimension.NONE, minute - minute % width, ""
                buckets.setdefault(place, _Bucket()).traces.join(traces)
        return buckets


def _add_to_bucket(connection: apsw.Connection, place: tuple[Any, ...], bucket: _Bucket) -> None:
    tally, traces = bucket.tally, bucket.traces
    found = one(connection, "histograms_of_bucket", *place)
    latencies, durations = map(decode_histogram, found) if found else ({}, {})
    add_up(latencies, tally.latencies)
    add_up(durations, traces.durations)
    numbers = tally.calls, tally.priced_calls, tally.cost, tally.input_tokens, tally.output_tokens, tally.errors
    began = traces.count, traces.failed
    kept = msgspec.msgpack.encode(latencies), msgspec.msgpack.encode(durations)
    one(connection, "add_to_bucket", *place, *numbers, kept[0], *began, kept[1])
    if min(tally.calls, tally.errors, traces.count) < 0:
        one(connection, "delete_empty_bucket", *place)


def decode_histogram(blob: bytes) -> Histogram:
    """A histogram as the table keeps it."""
    return msgspec.msgpack.decode(blob, type=Histogram)


class _Seen(msgspec.Struct, gc=False):
    """What changes for one user."""

    sessions: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    first: int | None = None
    last: int | None = None
    left: bool = False
    """Whether a session may have lost the first or the last time of the user."""


class UserSums:
    """The numbers of users, as one write changes them."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def note(self, old: tuple[Totals, Labels], new: tuple[Totals, Labels]) -> None:
        """Note a session as it was, and as it is now."""
        (totals_before, before), (totals, labels) = old, new
        for user in before.users:
            seen = self._seen.setdefault(user, _Seen())
            seen.sessions -= 1
            seen.totals = seen.totals.minus(totals_before)
            seen.left |= user not in labels.users or _shrank(before, labels)
        for user in labels.users:
            seen = self._seen.setdefault(user, _Seen())
            seen.sessions += 1
            seen.totals = seen.totals.plus(totals)
            seen.first = min((at for at in (seen.first, labels.start) if at is not None), default=None)
            seen.last = max((at for at in (seen.last, labels.end) if at is not None), default=None)

    def write(self, connection: apsw.Connection, app: int) -> None:
        """Bring the rows up to date, once those of sessions are; users without a session go."""
        for user, seen in self._seen.items():
            totals = seen.totals
            sums = totals.trace_count, totals.call_count, totals.error_count, totals.input_tokens
            more = totals.output_tokens, totals.cost, totals.priced_calls
            left = one(
                connection, "add_to_user", app, user, seen.sessions, *sums, *more, seen.first, seen.last
            )
            if left == 0:
                one(connection, "delete_user", app, user)
            elif seen.left:
                first, last = one(connection, "times_of_user", app, user)
                one(connection, "put_times_of_user", first, last, app, user)


def _shrank(before: Labels, now: Labels) -> bool:
    """Whether a session begins later or ends earlier than it did."""
    later = before.start is not None and (now.start is None or now.start > before.start)
    earlier = before.end is not None and (now.end is None or now.end < before.end)
    return later or earlier
