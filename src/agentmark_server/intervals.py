"""Stretches of time, each from a start to an end, in order and apart from each other."""

from collections.abc import Iterable
from itertools import chain

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]


def union(intervals: Iterable[Interval]) -> Intervals:
    """What at least one of the intervals covers."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    return tuple(merged)


def joined(a: Intervals, b: Intervals) -> Intervals:
    """What either covers."""
    if not a or not b:
        return a or b
    if a[-1][1] < b[0][0]:
        return a + b
    return union(chain(a, b))


def length(intervals: Intervals) -> int:
    """How long they are together."""
    return sum(end - start for start, end in intervals)
