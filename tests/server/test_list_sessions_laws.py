"""The list of sessions against the oracle: on any spans, whatever is asked, sorted and paged through."""

from collections.abc import Sequence
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from agentmark_server.filters import METADATA, SESSION, SPAN
from agentmark_server.model import SessionStatus, Slice
from agentmark_server.queries import Activity, Between, LabelKind, Labelled, Order, SessionQuery
from agentmark_server.store import Store
from support.filter_strategies import filters
from support.list_oracle import LABELS, Listed, found, listed
from support.spans import START
from support.stores import APP, ENGINES, EVERYTHING, Engine, decoded, temporary
from support.traffic import NAMES, body, deliveries, traffic

RANDOM = st.randoms(use_true_random=False)
SECOND = 10**9
NUMBERS = [
    *("duration_ms", "active_ms", "latency_ms", "total_cost", "trace_count", "span_count", "call_count"),
    *("error_count", "failed_trace_count", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    *("total_tokens", "unpriced_calls", "unmetered_calls", "unaccounted_tokens"),
]
_UNITS = {"duration_ms": 10**6, "active_ms": 10**6, "latency_ms": 10**6, "total_cost": 10**12}
_ACTIVITIES = st.builds(
    Activity, st.integers(START - SECOND, START + 8 * SECOND) | st.just(2 * START), st.sampled_from([0, SECOND])
)

many = settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
some = settings(many, max_examples=15)

pytestmark = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def fill(store: Store, random: Random, activity: Activity) -> list[Listed]:
    """Append random spans, and say which sessions that makes."""
    sent = traffic(random, traces=5, spans=5)
    for one in sent:
        note(f"{one.service!r} {one.span}")
    for batch in deliveries(random, sent):
        assert not store.append(APP, decoded(*body(random, batch))).refused
    return listed(sent, now=activity.now, idle=activity.idle)


def all_of(store: Store, query: SessionQuery) -> list[str]:
    page = store.list_sessions(APP, query, EVERYTHING)
    ids = [one.id for one in page.items]
    assert (page.total, page.next_cursor) == (len(ids), None)
    return ids


def walked(store: Store, query: SessionQuery, limit: int) -> list[str]:
    """All pages by cursor, each full but the last; `total` counts the whole list on each."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = store.list_sessions(APP, query, Slice(limit, cursor=cursor))
        ids += [one.id for one in page.items]
        cursor = page.next_cursor
        assert len(ids) <= page.total
        if cursor is None:
            assert page.total == len(ids)
            return ids
        assert len(page.items) == limit


@st.composite
def queries(draw: Any, everything: Sequence[Listed], activity: Activity) -> SessionQuery:
    """A query about given sessions, which often leaves some of them."""
    sessions = [one.session for one in everything]
    times = [time for one in sessions for time in (one["start"], one["end"]) if time is not None] or [START]
    time = st.none() | st.builds(int.__add__, st.sampled_from(times), st.sampled_from([-1, 0, 1, SECOND]))
    chosen = draw(
        st.sets(st.sampled_from(["names", "labelled", "times", "between", "statuses", "filter"]), max_size=3)
    )
    spans = [span for one in everything for span in one.spans]
    parts: dict[str, st.SearchStrategy[dict[str, Any]]] = {
        "names": st.fixed_dictionaries({"names": _some(st.sampled_from([n.upper() for n in NAMES] + ["", "i"]))}),
        "labelled": st.fixed_dictionaries({"labelled": _some(_labels(sessions))}),
        "times": st.fixed_dictionaries({"since": time, "until": time}),
        "between": st.fixed_dictionaries({"between": _some(_bounds(sessions))}),
        "statuses": st.fixed_dictionaries({"statuses": _some(st.sampled_from(get_args(SessionStatus)))}),
        "filter": st.fixed_dictionaries({"filter": filters(sessions, spans)}),
    }
    asked = {name: value for part in sorted(chosen) for name, value in draw(parts[part]).items()}
    return SessionQuery(
        **asked, activity=activity, order=draw(st.sampled_from(Order)), ascending=draw(st.booleans())
    )


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=2, unique=True).map(tuple)


def _labels(sessions: Sequence[dict[str, Any]]) -> st.SearchStrategy[Labelled]:
    known = [
        Labelled(kind, (value,)) for one in sessions for kind, name in LABELS.items() for value in one[name]
    ] + [Labelled(LabelKind.METADATA, (value,), key) for one in sessions for key, value in one["metadata"].items()]
    both = [Labelled(one.kind, (*one.values, "none"), one.key) for one in known]
    return st.sampled_from(
        [*known, *both, Labelled(LabelKind.TAG, ("X",)), Labelled(LabelKind.METADATA, ("",), "plan")]
    )


@st.composite
def _bounds(draw: Any, sessions: Sequence[dict[str, Any]]) -> Between:
    column = draw(st.sampled_from(NUMBERS))
    known = [int(one[column] * _UNITS.get(column, 1)) for one in sessions if one[column] is not None] or [0]
    bound = st.none() | st.builds(int.__add__, st.sampled_from(known), st.sampled_from([-1, 0, 1]))
    least = draw(bound)
    return Between(column, least, draw(bound.filter(lambda most: most is not None or least is not None)))


@many
@given(random=RANDOM, activity=_ACTIVITIES, data=st.data())
def test_any_question(engine: Engine, random: Random, activity: Activity, data: st.DataObject) -> None:
    """Whatever is asked, the list holds the sessions that fit, in order; offset and cursor cut it anywhere."""
    with temporary(engine) as store:
        everything = fill(store, random, activity)
        for _ in range(4):
            query = data.draw(queries(everything, activity))
            expected = found(everything, query)
            assert all_of(store, query) == expected
            limit, offset = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 5))
            page = store.list_sessions(APP, query, Slice(limit, offset))
            assert ([one.id for one in page.items], page.total) == (
                expected[offset : offset + limit],
                len(expected),
            )
            assert walked(store, query, limit) == expected


@some
@given(random=RANDOM, data=st.data())
def test_apps_are_apart(engine: Engine, random: Random, data: st.DataObject) -> None:
    """No filter of one app finds, or counts, what another has; not by spans that say the same either."""
    activity = Activity(START, 0)
    with temporary(engine) as store:
        everything = fill(store, random, activity)
        for _ in range(2):
            for batch in deliveries(random, traffic(random, traces=3, spans=3)):
                store.append("another app", decoded(*body(random, batch)))
        spans = [span for one in everything for span in one.spans]
        query = SessionQuery(filter=data.draw(filters((), spans, session_fields=["id"])), activity=activity)
        assert all_of(store, query) == found(everything, query)


@some
@given(random=RANDOM)
def test_every_order(engine: Engine, random: Random) -> None:
    """By every column, both ways: ties by id, sessions without a value last."""
    with temporary(engine) as store:
        everything = fill(store, random, Activity(START, 0))
        for order in Order:
            for ascending in (False, True):
                query = SessionQuery(order=order, ascending=ascending)
                assert all_of(store, query) == found(everything, query)
                assert walked(store, query, 2) == found(everything, query)


@many
@given(random=RANDOM, activity=_ACTIVITIES, data=st.data())
def test_any_filter(engine: Engine, random: Random, activity: Activity, data: st.DataObject) -> None:
    """A filter finds the sessions for which it holds, about any field of theirs and of their spans."""
    with temporary(engine) as store:
        everything = fill(store, random, activity)
        sessions = [one.session for one in everything]
        spans = [span for one in everything for span in one.spans]
        # Of several fields at a time one seldom decides.
        names = data.draw(st.lists(st.sampled_from([*SESSION.fields, METADATA.name]), min_size=3, max_size=3))
        alone = [filters(sessions, session_fields=[name], span_fields=()) for name in names]
        names = data.draw(st.lists(st.sampled_from([*SPAN.fields, METADATA.name]), min_size=3, max_size=3))
        alone += [filters((), spans, session_fields=["id"], span_fields=[name]) for name in names]
        for strategy in [*alone, *[filters(sessions, spans)] * 3]:
            query = SessionQuery(filter=data.draw(strategy), activity=activity)
            assert all_of(store, query) == found(everything, query)
