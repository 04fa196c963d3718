"""Numbers over time, from the sums that every write keeps: see tallies.py."""

from itertools import groupby
from operator import itemgetter
from typing import Final

import apsw
import msgspec

from agentmark_server.model import EARLIEST, LATEST
from agentmark_server.moments import MINUTE, Group, Point, Series, Tally, add_up
from agentmark_server.queries import BucketWidth, MetricsQuery
from agentmark_server.store import TooManyBucketsError
from agentmark_server.store.sqlite.questions import Where
from agentmark_server.store.sqlite.statements import Row, one, rows
from agentmark_server.store.sqlite.tallies import MINUTES_IN_HOUR, decode_histogram

MOST_BUCKETS: Final = 11_000
"""A week of minutes is 10,080."""
MOST_GROUPS: Final = 20
_DAY: Final = 1440
_MONDAY: Final = 4 * _DAY
"""The first one since 1970, where weeks are counted from."""
_SUITABLE: Final = (
    (MINUTES_IN_HOUR * 3, BucketWidth.MINUTE),
    (_DAY * 8, BucketWidth.HOUR),
    (_DAY * 400, BucketWidth.DAY),
)
"""The width for a range of up to so many minutes; for longer ones it is a week."""


class _Range(msgspec.Struct, frozen=True):
    """Whole stretches of time, in minutes since 1970; `end` is the first minute behind them."""

    width: int
    start: int
    end: int

    @property
    def count(self) -> int:
        return (self.end - self.start) // self.width

    def place(self, minute: int) -> int:
        """The number of the stretch that a minute is in."""
        return (minute - self.start) // self.width

    def points(self) -> list[Point]:
        """One for each stretch, with nothing in it."""
        return [Point(minute * MINUTE) for minute in range(self.start, self.end, self.width)]

    @property
    def kept(self) -> int:
        """The width of the sums that this is added up from."""
        return 1 if self.width % MINUTES_IN_HOUR else MINUTES_IN_HOUR


def get_metrics(connection: apsw.Connection, app: int | None, query: MetricsQuery) -> Series:
    """The numbers of a range of time. Raises TooManyBucketsError."""
    span = _range(connection, app, query)
    points, groups = _calls(connection, app, query, span) if span else ([], {})
    totals = _sum(points)
    if not query.only:
        _add_traces(connection, app, span, points, totals)
        _add_sessions(connection, app, span, points, totals)
    series = Series(_width(query, span), None, None, points, totals)
    if span:
        series.start, series.end = span.start * MINUTE, span.end * MINUTE
    if query.group_by:
        found = [Group(value, own, _sum(own)) for value, own in groups.items()]
        found.sort(key=lambda group: (-group.totals.tally.calls, group.value is None, group.value or ""))
        series.groups, series.group_count = found[:MOST_GROUPS], len(found)
    return series


def _range(connection: apsw.Connection, app: int | None, query: MetricsQuery) -> _Range | None:
    """The stretches that are asked for: from the first to the last that there is, where no end is given."""
    first, last = one(connection, "reach_of_presences", app)
    if query.since is not None:
        first = _minute(query.since)
    if query.until is not None:
        last = _minute(query.until)
    if first is None or last is None:
        first = last = first if last is None else last
    if first is None or first > last:
        return None
    width = (query.width or _suitable(last - first + 1)).minutes
    origin = _MONDAY if width == BucketWidth.WEEK.minutes else 0
    start = first - (first - origin) % width
    found = _Range(width, start, last - (last - origin) % width + width)
    if found.count > MOST_BUCKETS:
        raise TooManyBucketsError(found.count, MOST_BUCKETS)
    return found


def _width(query: MetricsQuery, span: _Range | None) -> int:
    return span.width if span else (query.width or BucketWidth.HOUR).minutes


def _minute(time: int) -> int:
    return min(max(time, EARLIEST), LATEST - 1) // MINUTE


def _suitable(minutes: int) -> BucketWidth:
    return next((width for most, width in _SUITABLE if minutes <= most), BucketWidth.WEEK)


def _calls(
    connection: apsw.Connection, app: int | None, query: MetricsQuery, span: _Range
) -> tuple[list[Point], dict[str | None, list[Point]]]:
    """What is counted of calls, of all and of each group."""
    where = Where("app = ?", app)
    where.add("width = ?", span.kept)
    where.add("start >= ? AND start < ?", span.start, span.end)
    for dimension, values in query.only:
        where.add(f"{dimension} IN ({', '.join('?' * len(values))})", *values)
    value = str(query.group_by) if query.group_by else "''"
    sql = f"""SELECT start, {value}, calls, priced_calls, cost, input_tokens, output_tokens, errors, latencies
        FROM call_bucket WHERE {where}"""  # noqa: S608  # names of ours, and no values
    points = span.points()
    groups: dict[str | None, list[Point]] = {}
    found: list[Row] = connection.execute(sql, where.bindings).fetchall()
    for minute, text, *numbers, latencies in found:
        tally, place = Tally(*numbers), span.place(minute)
        tally.latencies = decode_histogram(latencies)
        points[place].tally.add(tally)
        if query.group_by:
            if (text or None) not in groups:
                groups[text or None] = span.points()
            groups[text or None][place].tally.add(tally)
    return points, groups


def _sum(points: list[Point]) -> Point:
    total = Point(points[0].start if points else 0)
    for point in points:
        total.tally.add(point.tally)
    return total


def _add_traces(
    connection: apsw.Connection, app: int | None, span: _Range | None, points: list[Point], totals: Point
) -> None:
    for point in (*points, totals):
        point.traces = point.failed_traces = 0
        point.durations = {}
    if span is None:
        return
    for minute, traces, failed, blob in rows(connection, "trace_buckets", app, span.kept, span.start, span.end):
        durations = decode_histogram(blob)
        for point in (points[span.place(minute)], totals):
            point.traces = (point.traces or 0) + traces
            point.failed_traces = (point.failed_traces or 0) + failed
            point.durations = point.durations or {}
            add_up(point.durations, durations)


def _add_sessions(
    connection: apsw.Connection, app: int | None, span: _Range | None, points: list[Point], totals: Point
) -> None:
    for point in (*points, totals):
        point.sessions = 0
    if span is None:
        return
    everywhere: set[int] = set()
    # Counted here, for SQLite's count(DISTINCT) takes several times as long.
    found = rows(connection, "presences", span.width, span.start, app, span.end)
    for place, pairs in groupby(found, key=itemgetter(0)):
        here = {session for _, session in pairs}
        points[place].sessions = len(here)
        everywhere |= here
    totals.sessions = len(everywhere)
