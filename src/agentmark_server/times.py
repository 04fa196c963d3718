"""Times as people write them: RFC 3339 times, and dates in UTC, each a stretch of nanoseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

_WRITTEN: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d))?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NS_IN_MS: Final = 10**6
NS_IN_S: Final = 10**9
_DAY: Final = 24 * 3600 * NS_IN_S


def rfc3339(time: int | None) -> str | None:
    """Nanoseconds since 1970 as RFC 3339 in UTC, always with nine digits and `Z`."""
    if time is None:
        return None
    seconds, nanoseconds = divmod(time, NS_IN_S)
    return f"{_to_the_second(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=4096)  # the spans of a trace share seconds
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class Stretch(NamedTuple):
    """The first and the last nanosecond of what was written, both of it: of a time they are the same."""

    first: int
    last: int


def parse_time(text: str) -> Stretch:
    """Read a time with up to nine digits of a second and `Z` or an offset, or a date, which means its whole day.

    Raises ValueError for anything else; its text says what to write.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(_EXPECTED)
    date, clock, fraction, offset = written.groups()
    try:
        read = datetime.fromisoformat(f"{date}T{clock or '00:00:00'}{(offset or 'Z').upper()}")
    except ValueError as error:  # a month 13, say
        raise ValueError(_EXPECTED) from error
    first = (read - _EPOCH) // timedelta(seconds=1) * NS_IN_S + int((fraction or "0").ljust(9, "0"))
    return Stretch(_held(first), _held(first if clock else first + _DAY - 1))


def _held(time: int) -> int:
    """As near as 64 bits hold it: they reach from 1677 to 2262, and what happens happens in between."""
    return max(-(2**63), min(time, 2**63 - 1))


_EXPECTED: Final = "a time like 2026-11-23T09:30:00Z or a date like 2026-11-23"
