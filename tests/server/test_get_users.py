"""GET /v1/users and GET /v1/users/{id}, and the sums by user behind them."""

from collections.abc import Iterator
from random import Random
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmark_server.model import Page, User
from agentmark_server.queries import UserOrder, UserQuery
from agentmark_server.store import SessionSelector, Store, TraceSelector
from conftest import RunningServer, start_server
from support.numbers import users_of
from support.oracle import Sent, spans_owned_by
from support.spans import MS, START, call, post, span
from support.stores import APP, ENGINES, EVERYTHING, Engine, append_all, decoded, temporary
from support.traffic import body, deliveries, shuffled, traffic

RANDOM = st.randoms(use_true_random=False)

laws = settings(
    deadline=None, max_examples=60, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
SUMS = (
    "session_count",
    "trace_count",
    "call_count",
    "error_count",
    "input_tokens",
    "output_tokens",
    "first",
    "last",
)


def plain(page: Page[User]) -> dict[str, dict[str, Any]]:
    assert page.total == len(page.items)
    return {user.id: {name: getattr(user, name) for name in SUMS} for user in page.items}


def users(store: Store, **query: Any) -> dict[str, dict[str, Any]]:
    return plain(store.list_users(APP, UserQuery(**query), EVERYTHING))


@engines
@laws
@given(random=RANDOM)
def test_any_way(engine: Engine, random: Random) -> None:
    """After every batch, in any order and repetition, users are what the oracle adds up from sessions."""
    sent = traffic(random, traces=3, spans=5)
    with temporary(engine) as store:
        so_far: list[Sent] = []
        for batch in deliveries(random, sent):
            append_all(store, [decoded(*body(random, batch))])
            so_far += batch
            assert users(store) == users_of(so_far)
        for user in store.list_users(APP, UserQuery(), EVERYTHING).items:
            assert store.get_user(APP, user.id) == user
        store.rebuild()
        assert users(store) == users_of(sent)


@engines
@laws
@given(random=RANDOM)
def test_of_a_range(engine: Engine, random: Random) -> None:
    """With a range of time the sums are over the sessions that overlap it, and only over those."""
    sent = traffic(random, traces=3, spans=5)
    first, last = sorted(START + random.randint(-1, 10) * 500 * MS for _ in range(2))
    with temporary(engine) as store:
        append_all(store, [decoded(*body(random, sent))])
        assert users(store, since=first, until=last) == users_of(sent, first, last)
        assert users(store, since=0) == users_of(sent, 0, 2**63 - 1)


@engines
@laws
@given(random=RANDOM)
def test_what_is_deleted_counts_no_more(engine: Engine, random: Random) -> None:
    """After deletions the users are those of what is left; one without a session is none."""
    sent = traffic(random, traces=4, spans=3)
    with temporary(engine) as store:
        append_all(store, [decoded(*body(random, shuffled(random, sent)))])
        for session_id in ("a", "b"):
            store.forget(APP, SessionSelector(session_id))
            gone = spans_owned_by(session_id, sent)
            sent = [one for one in sent if (one.span.trace_id, one.span.span_id) not in gone]
            assert users(store) == users_of(sent)
        for trace_id in {one.span.trace_id for one in sent}:
            store.forget(APP, TraceSelector(trace_id))
        assert users(store) == {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Four users, the n-th of which has n sessions, one a day; a session of the last two users; one of nobody."""
    running = start_server(tmp_path_factory.mktemp("users") / "agentmark.db")
    usage = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 20}
    day = 24 * 3600 * 1000
    for n in range(1, 5):
        for k in range(n):
            at = {"start_ms": k * day, "end_ms": k * day + n}
            common = {"session__id": f"s{n}-{k}", "user__id": f"User {n}/ß"}
            post(running.url, span(f"t{n}-{k}", "root", error=n == 2, **at, **common))
            if n > 2:
                model = {"gen_ai__request__model": "gpt-4o" if n == 3 else "mine"}
                post(running.url, call(f"t{n}-{k}", "chat", "root", **at, **usage, **model))
    post(running.url, span("more", "root", session__id="s4-0", user__id="User 3/ß"))
    post(running.url, span("nobody", "root", session__id="nobody"))
    yield running
    running.stop()


def ids(server: RunningServer, **params: Any) -> list[str]:
    return [user["id"] for user in server.get("/v1/users", **params)["data"]]


def test_fields(server: RunningServer) -> None:
    """A user says what its sessions add up to; what has no price has no cost."""
    three, four = (server.get(f"/v1/users/User%20{n}%2F%C3%9F")["data"] for n in (3, 4))
    assert three == {
        "id": "User 3/ß",
        "session_count": 4,
        "trace_count": 5,
        "call_count": 4,
        "error_count": 0,
        "input_tokens": 400,
        "output_tokens": 80,
        "total_tokens": 480,
        "total_cost": pytest.approx(3 * (100 * 2.5 + 20 * 10) / 10**6),
        "first_seen": "2025-11-24T16:00:00.000000000Z",
        "last_seen": "2025-11-26T16:00:00.003000000Z",
    }
    assert (four["session_count"], four["trace_count"], four["total_cost"]) == (4, 5, None)


def test_orders(server: RunningServer) -> None:
    """Users come by the time of their last session, or as is asked; ties by id, those without a value last."""
    one, two, three, four = (f"User {n}/ß" for n in range(1, 5))
    assert ids(server) == [four, three, two, one]
    assert ids(server, sort_by="id", sort_order="asc") == [one, two, three, four]
    assert ids(server, sort_by="total_cost") == [three, one, two, four]
    assert ids(server, sort_by="total_cost", sort_order="asc") == [three, one, two, four]
    assert ids(server, sort_by="session_count") == [three, four, two, one]
    assert ids(server, sort_by="error_count") == [two, one, three, four]
    for order in UserOrder:
        assert len(ids(server, sort_by=order)) == 4


@pytest.mark.parametrize("order", UserOrder)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_walk(server: RunningServer, order: str, direction: str) -> None:
    """A walk by cursor gives every user once, in the order of the list."""
    asked = {"sort_by": order, "sort_order": direction}
    walked: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(10):
        body = server.get("/v1/users", limit=1, **asked, **cursor)
        walked += [user["id"] for user in body["data"]]
        assert body["pagination"]["total"] == 4
        if body["pagination"]["next_cursor"] is None:
            break
        cursor = {"cursor": body["pagination"]["next_cursor"]}
    assert walked == ids(server, **asked)
    assert ids(server, **asked, limit=2, offset=1) == walked[1:3]


def test_search(server: RunningServer) -> None:
    """`search` finds a part of the id in any case; a repeated one means any of them."""
    assert ids(server, search="uSER 3/SS") == ["User 3/ß"]
    assert ids(server, search=["r 3", "R 1"]) == ["User 3/ß", "User 1/ß"]
    body = server.get("/v1/users", search="%", limit=1)
    assert (body["data"], body["pagination"]["total"]) == ([], 0)


def test_dates(server: RunningServer) -> None:
    """With dates the sums are over the sessions that overlap the range, and users without one are not there."""
    body = server.get("/v1/users", start_date="2025-11-26", end_date="2025-11-26")
    found = {user["id"]: (user["session_count"], user["total_tokens"]) for user in body["data"]}
    assert found == {"User 4/ß": (1, 120), "User 3/ß": (1, 120)}
    assert body["pagination"]["total"] == 2
    assert ids(server, start_date="2025-11-27") == ["User 4/ß"]
    assert ids(server, end_date="2025-11-23") == []


def test_nobody(server: RunningServer) -> None:
    """A user that no session has is a 404."""
    reply = httpx2.get(f"{server.url}/v1/users/nobody")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


WRONG = {
    "sort_by=color": "sort_by",
    "sort_order=up": "sort_order",
    "start_date=yesterday": "start_date",
    "name=a": "name",
    "cursor=nonsense": "cursor",
    "limit=0": "limit",
}


@pytest.mark.parametrize(("query", "place"), WRONG.items(), ids=WRONG.keys())
def test_wrong_parameters(server: RunningServer, query: str, place: str) -> None:
    """An unknown parameter or a wrong value is a 400 that names it."""
    reply = httpx2.get(f"{server.url}/v1/users?{query}")
    assert reply.status_code == 400
    assert place in reply.json()["error"]["message"]
