"""What the spans of a trace add to the numbers of each minute, and how durations are kept so that they add up.

A moment is a minute and what tells calls apart in it (model, agent, service, environment); it has a `Tally`.
Tallies add and subtract, exactly: what a trace added before is taken off when it is grouped anew.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from agentmark_server.model import EARLIEST, LATEST, Span

MINUTE: Final = 60 * 10**9
"""Nanoseconds in one minute."""

Moment = tuple[int, str | None, str | None, str | None, str | None]
"""Minutes since 1970, model, agent, service and environment."""
Histogram = dict[int, int]
"""How many durations lie in each class: see `class_of`."""

_DIGITS: Final = 7
"""Binary digits of a duration that are kept: a class is at most 1/64 wide, and its middle at most 1/128 off."""


class Tally(msgspec.Struct, array_like=True, gc=False):
    """What adds up over the spans of a moment."""

    calls: int = 0
    priced_calls: int = 0
    cost: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    errors: int = 0
    latencies: Histogram = {}
    """How long the calls took."""

    def add(self, other: "Tally", times: int = 1) -> None:
        """Take in another, or with -1 take it off again."""
        self.calls += times * other.calls
        self.priced_calls += times * other.priced_calls
        self.cost += times * other.cost
        self.input_tokens += times * other.input_tokens
        self.output_tokens += times * other.output_tokens
        self.errors += times * other.errors
        add_up(self.latencies, other.latencies, times)

    def add_call(self, span: Span, cost: int | None) -> None:
        """Count a span whose usage counts."""
        self.calls += 1
        self.input_tokens += span.usage.input_tokens or 0
        self.output_tokens += span.usage.output_tokens or 0
        if cost is not None:
            self.priced_calls += 1
            self.cost += cost
        if EARLIEST <= span.end < LATEST:
            add_up(self.latencies, {class_of(max(0, span.end - span.start)): 1})


def minute_of(time: int | None) -> int | None:
    """The minute of a time; none of one that is unknown or a broken clock's."""
    return time // MINUTE if time is not None and EARLIEST <= time < LATEST else None


def moment_of(span: Span, minute: int) -> Moment:
    """The moment that a span counts in."""
    return minute, span.model, span.agent, span.context.service, span.context.environment


def add_up(histogram: Histogram, other: Histogram, times: int = 1) -> None:
    """Take in another, or with -1 take it off again; classes without any durations go."""
    for number, count in other.items():
        left = histogram.get(number, 0) + times * count
        if left:
            histogram[number] = left
        else:
            histogram.pop(number, None)


def class_of(duration: int) -> int:
    """The class of a duration (ns, not negative): itself while small, else its first binary digits."""
    shift = max(0, duration.bit_length() - _DIGITS)
    return (shift << (_DIGITS - 1)) + (duration >> shift)


def middle_of(number: int) -> float:
    """The duration (ns) in the middle of a class."""
    shift = max(0, (number >> (_DIGITS - 1)) - 1)
    first = number - (shift << (_DIGITS - 1))
    return (first << shift) + ((1 << shift) - 1) / 2


def percentiles(histogram: Histogram, shares: Iterable[float]) -> list[float | None]:
    """The durations (ns) that so large shares of all do not exceed (nearest rank); None where there are none."""
    total = sum(histogram.values())
    ordered = sorted(histogram.items())
    return [_nearest(ordered, share * total) if total else None for share in shares]


def _nearest(ordered: list[tuple[int, int]], rank: float) -> float:
    passed, number = 0, 0
    waiting = iter(ordered)
    while passed < rank:
        number, count = next(waiting)
        passed += count
    return middle_of(number)


class Point(msgspec.Struct, gc=False):
    """The numbers of one stretch of time. What is None was not asked for, or has no meaning there."""

    start: int
    """Nanoseconds since 1970."""
    tally: Tally = msgspec.field(default_factory=Tally)
    sessions: int | None = None
    """Those of which a span starts in it."""
    traces: int | None = None
    """What sessions own of traces, where that begins in it."""
    failed_traces: int | None = None
    durations: Histogram | None = None
    """How long those took."""


class Group(msgspec.Struct, gc=False):
    """The calls of one value of a dimension; of those that have none the value is None."""

    value: str | None
    points: list[Point]
    totals: Point


class Series(msgspec.Struct, gc=False):
    """Numbers over time: one point for each stretch, with nothing left out, and those of the whole range."""

    minutes: int
    """How long a stretch is."""
    start: int | None
    """Nanoseconds since 1970; None where nothing is known."""
    end: int | None
    """The first nanosecond behind the last stretch."""
    points: list[Point]
    totals: Point
    groups: list[Group] | None = None
    """Those with the most calls first."""
    group_count: int | None = None
    """How many there are, shown or not."""
