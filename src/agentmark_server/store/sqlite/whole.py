"""A trace as a whole: the sum and the join of its parts."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agentmark_server.grouping import Part
from agentmark_server.model import Labels, Totals
from agentmark_server.packing import STATUSES

Sums = tuple[Any, ...]
"""The columns of the table of traces that questions use, in the order of `sum_trace`."""

_NONE: Final[Sums] = (None,) * 9


def whole(parts: Sequence[Part]) -> Part:
    """One part for all sessions: it counts as one trace, from its first start to its last end."""
    first = parts[0]
    if len(parts) == 1:
        return first
    totals, labels = Totals(), Labels()
    for part in parts:
        totals, labels = totals.plus(part.totals), labels.joined(part.labels)
    times = () if labels.start is None or labels.end is None else (max(0, labels.end - labels.start),)
    totals.trace_count, totals.failed_trace_count = 1, first.totals.failed_trace_count
    totals.timed_trace_count, totals.duration = len(times), sum(times)
    return msgspec.structs.replace(first, totals=totals, labels=labels)


def sums_of(parts: Sequence[Part]) -> Sums:
    """What a trace with these parts is listed by."""
    if not parts:
        return _NONE
    trace = whole(parts)
    totals, labels = trace.totals, trace.labels
    return (
        trace.name,
        STATUSES.index(trace.status),
        labels.start,
        labels.end,
        totals.duration if totals.timed_trace_count else None,
        totals.cost if totals.priced_calls else None,
        totals.input_tokens + totals.output_tokens,
        totals.span_count,
        totals.error_count,
    )
