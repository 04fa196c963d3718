"""Numbers of users and of time, added up in the plainest way from what the oracle says of sessions and spans."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from support.oracle import Answer, Member, Sent, _has_usage, _is_time, _model, _traces, sessions_of, tokens_of

MINUTE = 60 * 10**9


def users_of(sent: Sequence[Sent], first: int | None = None, last: int | None = None) -> dict[str, Answer]:
    """Every user, with the sums over the sessions that have it; of a range (ns), over those that overlap it."""
    by_user: dict[str, list[Answer]] = defaultdict(list)
    for session in sessions_of(sent):
        if first is not None and last is not None and not _overlaps(session, first, last):
            continue
        for user in session["user_ids"]:
            by_user[user].append(session)
    return {user: _user(sessions) for user, sessions in by_user.items()}


def _overlaps(session: Answer, first: int, last: int) -> bool:
    known = session["start"] is not None and session["end"] is not None
    return known and session["end"] >= first and session["start"] <= last


def _user(sessions: Sequence[Answer]) -> Answer:
    sums = ("trace_count", "call_count", "error_count", "input_tokens", "output_tokens")
    return {
        "session_count": len(sessions),
        **{name: sum(session[name] for session in sessions) for name in sums},
        "first": min((one["start"] for one in sessions if one["start"] is not None), default=None),
        "last": max((one["end"] for one in sessions if one["end"] is not None), default=None),
    }


def calls_of(sent: Iterable[Sent], minutes: int) -> dict[tuple[int, str | None, str | None], Answer]:
    """What is counted of the spans of sessions, by start of the stretch (ns), model and service."""
    members = [member for trace in _traces(sent) for member in trace.members if member.owner]
    found: dict[tuple[int, str | None, str | None], list[Member]] = defaultdict(list)
    for member in members:
        if _is_time(member.span.start_time_unix_nano) and (member.counts or member.is_failure):
            start = stretch(member.span.start_time_unix_nano, minutes)
            found[start, _model(member.span), member.service or None].append(member)
    return {place: _calls(those) for place, those in found.items()}


def stretch(time: int, minutes: int) -> int:
    """The start of the stretch that a time is in; weeks begin on Monday, as 1970-01-05 was."""
    origin = 4 * 24 * 60 * MINUTE if minutes == 7 * 24 * 60 else 0
    return (time - origin) // (minutes * MINUTE) * minutes * MINUTE + origin


def _calls(members: Sequence[Member]) -> Answer:
    calls = [member.span for member in members if member.counts]
    return {
        "calls": len(calls),
        "input_tokens": sum(tokens_of(span, "input_tokens") or 0 for span in calls if _has_usage(span)),
        "output_tokens": sum(tokens_of(span, "output_tokens") or 0 for span in calls if _has_usage(span)),
        "errors": sum(member.is_failure for member in members),
        "latencies": sorted(
            max(0, span.end_time_unix_nano - span.start_time_unix_nano)
            for span in calls
            if _is_time(span.end_time_unix_nano)
        ),
    }


def sessions_at(sent: Iterable[Sent], minutes: int) -> dict[int, set[str]]:
    """The sessions of which a span starts in each stretch."""
    found: dict[int, set[str]] = defaultdict(set)
    for trace in _traces(sent):
        for member in trace.members:
            if member.owner and _is_time(member.span.start_time_unix_nano):
                found[stretch(member.span.start_time_unix_nano, minutes)].add(member.owner)
    return found


def traces_at(sent: Sequence[Sent], minutes: int) -> dict[int, list[Answer]]:
    """What sessions own of traces, by the stretch in which that begins."""
    found: dict[int, list[Answer]] = defaultdict(list)
    for session in sessions_of(sent):
        for trace in session["traces"]:
            if trace["start"] is not None:
                found[stretch(trace["start"], minutes)].append(trace)
    return found


def nearest_rank(values: Sequence[int], share: float) -> int | None:
    """The value that so large a share does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


def close(found: float | None, exact: int | None) -> bool:
    """Whether a percentile is right: at most one part in 128 off."""
    if found is None or exact is None:
        return found is exact
    return abs(found - exact) <= exact / 128 + 1


def merged(answers: Iterable[Answer]) -> Answer:
    """Several stretches, models or services together."""
    total: dict[str, Any] = {"calls": 0, "input_tokens": 0, "output_tokens": 0, "errors": 0, "latencies": []}
    for answer in answers:
        total = {name: value + answer[name] for name, value in total.items()}
    return total
