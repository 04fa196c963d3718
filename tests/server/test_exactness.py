"""Sessions and totals are a function of the spans: the store against the oracle, on any traffic."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from agentmark_server.store import SessionSelector, Store, TraceSelector
from conftest import RunningServer
from support.oracle import Sent, sessions_of, spans_owned_by
from support.stores import APP, ENGINES, Engine, answers, append_all, decoded, ids, plain, temporary
from support.traffic import NAMES, USERS, batches, body, deliveries, shuffled, traffic

RANDOM = st.randoms(use_true_random=False)

many = settings(
    deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
some = settings(many, max_examples=60)

pytestmark = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def append(store: Store, random: Random, batch: Sequence[Sent]) -> frozenset[str]:
    appended = store.append(APP, decoded(*body(random, batch)))
    assert not appended.refused
    return appended.session_ids


def drawn(random: Random) -> list[Sent]:
    sent = traffic(random, traces=3, spans=6)
    for one in sent:
        note(f"{one.service!r} {one.span}")
    return sent


def expected_ids(sent: Sequence[Sent], field: str, value: str) -> list[str]:
    return [one["id"] for one in sessions_of(sent) if value in (one[field] or "")]


@many
@given(random=RANDOM)
def test_any_way(engine: Engine, random: Random) -> None:
    """After every batch, in any order, cut, repetition and encoding, the store answers what the oracle does."""
    sent = drawn(random)
    with temporary(engine) as store:
        so_far: list[Sent] = []
        for batch in deliveries(random, sent):
            before = plain(store)
            told = append(store, random, batch)
            so_far += batch
            now = plain(store)
            assert now == sessions_of(so_far)
            changed = [one for one in (*before, *now) if one not in before or one not in now]
            assert {one["id"] for one in changed} <= told
        assert store.count_spans(APP) == len({(one.span.trace_id, one.span.span_id) for one in sent})
        for user in USERS:
            assert ids(store, user_ids=(user,)) == expected_ids(sent, "user_ids", user)
        for name in NAMES:
            assert ids(store, names=(name.upper(),)) == expected_ids(sent, "name", name)


@some
@given(random=RANDOM)
def test_rebuild(engine: Engine, random: Random) -> None:
    """Deriving everything anew changes no answer, and what comes afterwards joins as before."""
    sent = drawn(random)
    first, *rest = deliveries(random, sent)
    with temporary(engine) as store:
        append(store, random, first)
        before = answers(store)
        assert store.rebuild() == store.count_spans(APP)
        assert answers(store) == before
        for batch in rest:
            append(store, random, batch)
        assert plain(store) == sessions_of(sent)
        before = answers(store)
        store.rebuild()
        assert answers(store) == before


@some
@given(random=RANDOM)
def test_two_stores(engine: Engine, random: Random) -> None:
    """Two stores that were fed the same spans in two ways are equal in every answer, to the last field."""
    sent = drawn(random)
    with temporary(engine) as one, temporary(engine) as other:
        for batch in deliveries(random, sent):
            append(one, random, batch)
        append_all(other, [decoded(*body(random, sent))])
        assert answers(one) == answers(other)


@some
@given(random=RANDOM)
def test_as_if_never_sent(engine: Engine, random: Random) -> None:
    """After a session or a trace is forgotten, all answers are as if its spans had never been sent."""
    sent = drawn(random)
    with temporary(engine) as store:
        for batch in deliveries(random, sent):
            append(store, random, batch)
        session_ids = [one["id"] for one in sessions_of(sent)]
        if session_ids and random.random() < 0.7:
            session_id = random.choice(session_ids)
            gone = spans_owned_by(session_id, sent)
            count = store.forget(APP, SessionSelector(session_id))
        else:
            trace_id = random.choice(sent).span.trace_id
            gone = {(one.span.trace_id, one.span.span_id) for one in sent if one.span.trace_id == trace_id}
            count = store.forget(APP, TraceSelector(trace_id))
        left = [one for one in sent if (one.span.trace_id, one.span.span_id) not in gone]
        assert count == len(gone)
        assert plain(store) == sessions_of(left)
        assert store.count_spans(APP) == len({(one.span.trace_id, one.span.span_id) for one in left})
        for user in USERS:
            assert ids(store, user_ids=(user,)) == expected_ids(left, "user_ids", user)
        before = answers(store)
        store.rebuild()
        assert answers(store) == before


def rfc3339(time: int | None) -> str | None:
    if time is None:
        return None
    seconds, rest = divmod(time, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def over_http(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of the oracle as the API gives it, without its traces."""
    left_out = {"running_since", "timed_trace_count", "duration", "traces"}
    timed = answer["timed_trace_count"]
    return {
        **{key: value for key, value in answer.items() if key not in left_out},
        "start": rfc3339(answer["start"]),
        "end": rfc3339(answer["end"]),
        "latency_ms": pytest.approx(answer["duration"] / timed / 10**6) if timed else None,
        "total_tokens": answer["input_tokens"] + answer["output_tokens"],
        "total_cost": None if answer["total_cost"] is None else float(answer["total_cost"]),
    }


def trace_over_http(answer: dict[str, Any]) -> dict[str, Any]:
    of_sessions = {"trace_count", "failed_trace_count", "user_ids", "outcome"}
    shape = {key: value for key, value in over_http(answer).items() if key not in of_sessions}
    return shape | {"id": answer["id"].hex()}


def only(keys: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    return {key: shape[key] for key in keys}


def test_many_programs_at_once(engine: Engine, server: RunningServer) -> None:  # noqa: ARG001  # one server for all
    """After programs sent at the same time, the same spans too, the server answers what the oracle does."""
    random = Random(20261123)  # noqa: S311  # traffic is no secret
    sent = traffic(random, traces=120, spans=8)
    assert len(sent) > 200
    # Three programs send everything in their own order; a fourth sends a part of it as one batch.
    requests = [body(random, batch) for _ in range(3) for batch in batches(random, shuffled(random, sent))]
    requests.append(body(random, shuffled(random, sent)[:100]))

    def post(request: tuple[bytes, str]) -> None:
        content, content_type = request
        reply = httpx2.post(f"{server.url}/v1/traces", content=content, headers={"Content-Type": content_type})
        assert (reply.status_code, reply.content) in {(200, b""), (200, b"{}")}

    with ThreadPoolExecutor(8) as programs:
        list(programs.map(post, shuffled(random, requests)))
    expected = sessions_of(sent)
    listed = server.get("/v1/sessions", limit=1000)
    assert listed["pagination"]["total"] == len(expected)
    for session, shape in zip(listed["data"], expected, strict=True):
        assert only(over_http(shape), session) == over_http(shape)
        opened = server.get(f"/v1/sessions/{session['id']}", limit=1000)["data"]
        assert {**session, "traces": opened["traces"], "scores": []} == opened
        for trace, trace_shape in zip(opened["traces"], shape["traces"], strict=True):
            assert only(trace_over_http(trace_shape), trace) == trace_over_http(trace_shape)
