"""GET /v1/metrics, and the numbers over time behind it."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmark_server.moments import Point, Series, percentiles
from agentmark_server.queries import BucketWidth, Dimension, MetricsQuery
from agentmark_server.store import SessionSelector, Store, TraceSelector
from conftest import RunningServer, start_server
from support.numbers import calls_of, close, merged, nearest_rank, sessions_at, traces_at
from support.oracle import Sent, spans_owned_by
from support.spans import MS, START, call, post, span
from support.stores import APP, ENGINES, Engine, append_all, decoded, plain, temporary
from support.traffic import body, deliveries, shuffled, traffic

RANDOM = st.randoms(use_true_random=False)
MINUTE_MS = 60_000
SHARES = (0.5, 0.9, 0.99)

laws = settings(
    deadline=None, max_examples=60, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def spread(random: Random, sent: Sequence[Sent]) -> list[Sent]:
    """The same spans over some days: every time of a trace that is no broken clock's moves by as much."""
    moves: dict[bytes, int] = {}
    for one in sent:
        by = moves.setdefault(one.span.trace_id, random.choice([0, 1, 59, 61, 1500, 11_000]) * MINUTE_MS * MS)
        for name in ("start_time_unix_nano", "end_time_unix_nano"):
            time = getattr(one.span, name)
            if START - 10**12 < time < START + 10**12:
                setattr(one.span, name, time + by + random.choice([0, 0, 40_000 * MS]))
    return list(sent)


def agrees(store: Store, sent: Sequence[Sent]) -> None:
    """Every width, over all time, says what the oracle adds up."""
    for width in BucketWidth:
        if (
            width is BucketWidth.MINUTE
            and len(store.get_metrics(APP, MetricsQuery(width=BucketWidth.HOUR)).points) > 30
        ):
            continue
        series = store.get_metrics(APP, MetricsQuery(width=width))
        calls = calls_of(sent, width.minutes)
        sessions, traces = sessions_at(sent, width.minutes), traces_at(sent, width.minutes)
        known = {point.start for point in series.points}
        assert {place[0] for place in calls} | sessions.keys() <= known
        for point in series.points:
            says_calls(point, merged(one for place, one in calls.items() if place[0] == point.start))
            says_traces(point, traces.get(point.start, []))
            assert point.sessions == len(sessions.get(point.start, ()))
        everything = merged(calls.values())
        says_calls(series.totals, everything)
        assert series.totals.sessions == len(set().union(*sessions.values()))
        groups_agree(store.get_metrics(APP, MetricsQuery(width=width, group_by=Dimension.MODEL)), calls)
        if width is BucketWidth.HOUR:
            for service in {place[2] for place in calls} - {None}:
                only = ((Dimension.SERVICE, (str(service),)),)
                said = store.get_metrics(APP, MetricsQuery(width=width, only=only)).totals
                says_calls(said, merged(one for place, one in calls.items() if place[2] == service))
                assert (said.sessions, said.traces, said.durations) == (None, None, None)


def says_calls(point: Point, answer: dict[str, Any]) -> None:
    tally = point.tally
    found = {name: getattr(tally, name) for name in ("calls", "input_tokens", "output_tokens", "errors")}
    assert found == {name: answer[name] for name in found}
    for share, said in zip(SHARES, percentiles(tally.latencies, SHARES), strict=True):
        assert close(said, nearest_rank(answer["latencies"], share))


def says_traces(point: Point, traces: Sequence[dict[str, Any]]) -> None:
    assert point.traces == len(traces)
    assert point.failed_traces == sum(trace["failed_trace_count"] for trace in traces)
    durations = [trace["duration"] for trace in traces if trace["timed_trace_count"]]
    for share, said in zip(SHARES, percentiles(point.durations or {}, SHARES), strict=True):
        assert close(said, nearest_rank(durations, share))


def groups_agree(series: Series, calls: dict[Any, Any]) -> None:
    assert series.groups is not None
    assert {group.value for group in series.groups} == {place[1] for place in calls}
    assert len(series.groups) == series.group_count
    for group in series.groups:
        says_calls(group.totals, merged(one for place, one in calls.items() if place[1] == group.value))
        for point in group.points:
            here = [one for place, one in calls.items() if place[:2] == (point.start, group.value)]
            says_calls(point, merged(here))


@engines
@laws
@given(random=RANDOM)
def test_any_way(engine: Engine, random: Random) -> None:
    """In any order, cut and repetition of the spans, and after a rebuild, numbers over time are the oracle's."""
    sent = spread(random, traffic(random, traces=3, spans=6))
    with temporary(engine) as store:
        append_all(store, [decoded(*body(random, batch)) for batch in deliveries(random, sent)])
        agrees(store, sent)
        store.rebuild()
        agrees(store, sent)


@engines
@laws
@given(random=RANDOM)
def test_what_is_deleted_counts_no_more(engine: Engine, random: Random) -> None:
    """After deletions the numbers are those of the spans that are left, and with nothing left there is no row."""
    sent = spread(random, traffic(random, traces=3, spans=4))
    with temporary(engine) as store:
        append_all(store, [decoded(*body(random, shuffled(random, sent)))])
        session_id = random.choice(["a", "b", "c"])
        store.forget(APP, SessionSelector(session_id))
        gone = spans_owned_by(session_id, sent)
        left = [one for one in sent if (one.span.trace_id, one.span.span_id) not in gone]
        agrees(store, left)
        for trace_id in {one.span.trace_id for one in left}:
            store.forget(APP, TraceSelector(trace_id))
        assert store.get_metrics(APP, MetricsQuery()).points == []


@engines
@laws
@given(random=RANDOM)
def test_totals_are_those_of_sessions(engine: Engine, random: Random) -> None:
    """Over all time the totals are the sums of the sessions, where no clock is broken."""
    sent = [
        one
        for one in traffic(random, traces=3, spans=5)
        if START - 10**12 < one.span.start_time_unix_nano < START + 10**12
    ]
    with temporary(engine) as store:
        append_all(store, [decoded(*body(random, sent))] if sent else [])
        sessions = plain(store)
        tally = store.get_metrics(APP, MetricsQuery()).totals.tally
        assert tally.calls == sum(one["call_count"] for one in sessions)
        assert tally.input_tokens == sum(one["input_tokens"] for one in sessions)
        assert tally.output_tokens == sum(one["output_tokens"] for one in sessions)
        assert tally.errors == sum(one["error_count"] for one in sessions)


USAGE = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 20}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Two sessions: one at 16:00 and 16:02, the other at 17:30, of one model each; and a trace of none."""
    running = start_server(tmp_path_factory.mktemp("metrics") / "agentmark.db")
    resource = {"service.name": "bot", "deployment.environment.name": "prod"}
    for number, (session, minute, model) in enumerate([("a", 0, "gpt-4o"), ("a", 2, "gpt-4o"), ("b", 90, "mine")]):
        at = minute * MINUTE_MS
        times = {"start_ms": at, "end_ms": at + 1000}
        spans = [
            span(f"t{number}", "root", session__id=session, error=session == "b", **times),
            call(f"t{number}", "chat", "root", gen_ai__request__model=model, **USAGE, **times),
        ]
        assert post(running.url, *spans, resource=resource).status_code == 200
    post(running.url, call("alone", "chat", gen_ai__request__model="gpt-4o", **USAGE))
    yield running
    running.stop()


def series(server: RunningServer, **params: Any) -> Any:
    return server.get("/v1/metrics", **params)["data"]


def test_fields(server: RunningServer) -> None:
    """A step says what happened in it; what nobody knows the price of has no cost."""
    data = series(server, bucket="hour")
    assert (data["bucket"], data["start"], data["end"]) == (
        "hour",
        "2025-11-24T16:00:00.000000000Z",
        "2025-11-24T18:00:00.000000000Z",
    )
    first, second = data["series"]
    latency, duration = first.pop("latency_ms"), first.pop("duration_ms")
    assert all(abs(value - 1000) < 10 for value in (*latency.values(), *duration.values()))
    assert first == {
        "time": "2025-11-24T16:00:00.000000000Z",
        "sessions": 1,
        "traces": 2,
        "failed_traces": 0,
        "calls": 2,
        "errors": 0,
        "input_tokens": 200,
        "output_tokens": 40,
        "total_tokens": 240,
        "cost": pytest.approx(2 * (100 * 2.5 + 20 * 10) / 10**6),
    }
    assert (second["sessions"], second["calls"], second["cost"], second["errors"]) == (1, 1, None, 1)
    totals = data["totals"]
    assert (totals["sessions"], totals["traces"], totals["failed_traces"], totals["calls"]) == (2, 3, 1, 3)


def test_steps_are_whole(server: RunningServer) -> None:
    """A step that the range touches counts whole, and a step in which nothing happened is there with zeros."""
    data = series(server, bucket="minute", start_date="2025-11-24T16:00:30Z", end_date="2025-11-24T16:03:00Z")
    assert [step["calls"] for step in data["series"]] == [1, 0, 1, 0]
    assert data["series"][1]["latency_ms"] == {"p50": None, "p90": None, "p95": None, "p99": None}
    assert series(server, start_date="2025-11-24", end_date="2025-11-24")["bucket"] == "hour"
    week = series(server, bucket="week")["series"]
    assert [step["time"] for step in week] == ["2025-11-24T00:00:00.000000000Z"]


@pytest.mark.parametrize(
    ("first", "last", "bucket", "steps"),
    [
        ("2025-11-24T16:00:00Z", "2025-11-24T17:59:59Z", "minute", 120),
        ("2025-11-24", "2025-11-30", "hour", 7 * 24),
        ("2025-11-01", "2025-11-30", "day", 30),
        ("2020-01-01", "2025-11-30", "week", 309),
    ],
)
def test_auto(server: RunningServer, first: str, last: str, bucket: str, steps: int) -> None:
    """`auto` takes steps that suit the range."""
    data = series(server, start_date=first, end_date=last)
    assert (data["bucket"], len(data["series"])) == (bucket, steps)


def test_groups_and_filters(server: RunningServer) -> None:
    """Groups are the calls of each value, the most calls first; filtered are calls alone, no traces."""
    data = series(server, group_by="model", bucket="hour")
    assert [(group["value"], group["totals"]["calls"]) for group in data["groups"]] == [
        ("gpt-4o", 2),
        ("mine", 1),
        (None, 0),
    ]
    assert [step["calls"] for step in data["groups"][1]["series"]] == [0, 1]
    only = series(server, model=["mine", "other"], environment="prod")["totals"]
    assert (only["calls"], only["total_tokens"], only["sessions"], only["duration_ms"]) == (1, 120, None, None)
    assert series(server, service="elsewhere")["totals"]["calls"] == 0


def test_empty(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without spans there are no steps, or as many empty ones as are asked for."""
    empty = start_server(tmp_path_factory.mktemp("empty") / "agentmark.db")
    nothing = series(empty)
    day = series(empty, start_date="2025-11-24", end_date="2025-11-24", group_by="agent")
    empty.stop()
    assert (nothing["series"], nothing["start"], nothing["totals"]["calls"]) == ([], None, 0)
    assert ([step["sessions"] for step in day["series"]], day["groups"]) == ([0] * 24, [])


WRONG = {
    "bucket=second": "bucket",
    "group_by=user_id": "group_by",
    "start_date=yesterday": "start_date",
    "start_date=2025-11-25&end_date=2025-11-24": "start_date is after",
    "bucket=minute&start_date=2020-01-01": "bucket",
    "color=red": "color",
}


@pytest.mark.parametrize(("query", "place"), WRONG.items(), ids=WRONG.keys())
def test_wrong_parameters(server: RunningServer, query: str, place: str) -> None:
    """An unknown parameter, a wrong value or too many steps are a 400 that says which."""
    reply = httpx2.get(f"{server.url}/v1/metrics?{query}")
    assert reply.status_code == 400
    assert place in reply.json()["error"]["message"]
