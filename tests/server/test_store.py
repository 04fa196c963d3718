"""What every engine keeps of the contract in `agentmark_server.store`; the sums are in test_exactness.py."""

import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from agentmark_server.decoding import SpanReader
from agentmark_server.model import Origin, Page, Slice, Span
from agentmark_server.queries import LabelKind, Labelled, SessionQuery
from agentmark_server.store import (
    Appended,
    BadCursorError,
    Change,
    Selector,
    SessionSelector,
    Store,
    StoreError,
    TraceSelector,
)
from support.oracle import sessions_of
from support.spans import MS, START, call, pairs, span, trace_id
from support.stores import (
    APP,
    ENGINES,
    EVERYTHING,
    Engine,
    answers,
    append_all,
    decoded,
    expected,
    ids,
    opened,
    packed,
    plain,
    received,
    temporary,
    traces,
)
from support.traffic import body, deliveries, shuffled, traffic

OTHER = "another app"
NEW = {"service.name": "new"}


class Stores:
    """Opens the engine's store of one test, again and again, on the same file."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._store: Store | None = None

    def open(self, reader: SpanReader | None = None) -> Store:
        self.close()
        self._store = self._engine.open(self.path, reader or SpanReader())
        return self._store

    def close(self) -> None:
        if self._store:
            self._store.close()
        self._store = None

    def dump(self) -> bytes:
        self.close()
        return self._engine.dump(self.path)


@pytest.fixture(scope="module", params=ENGINES.values(), ids=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def stores(engine: Engine, tmp_path: Path) -> Iterator[Stores]:
    stores = Stores(engine, tmp_path / "store.db")
    yield stores
    stores.close()


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.open()


def conversation(session_id: str, count: int = 2, first: int = 0) -> list[SpanMessage]:
    """Spans of a session of traces, each of a root and a call below it that has no key."""
    spans: list[SpanMessage] = []
    for number in range(first, count):
        trace, times = f"{session_id} {number}", {"start_ms": number * 10, "end_ms": number * 10 + 5}
        spans += [
            span(trace, "turn", session__id=session_id, user__id=f"user of {session_id}", **times),
            call(trace, "call", "turn", gen_ai__usage__input_tokens=3, **times),
        ]
    return spans


def shared_trace() -> list[SpanMessage]:
    """A worker's trace: a root, and jobs for two sessions, each with a call below that has no key."""
    return [
        span("worker", "worker"),
        span("worker", "job 1", "worker", start_ms=1, session__id="one"),
        call("worker", "call 1", "job 1", start_ms=2, gen_ai__usage__input_tokens=1),
        span("worker", "job 2", "worker", start_ms=3, session__id="two"),
        call("worker", "call 2", "job 2", start_ms=4, gen_ai__usage__input_tokens=20),
    ]


def of_users(*users: str) -> SessionQuery:
    """Sessions of any of some users."""
    return SessionQuery(labelled=(Labelled(LabelKind.USER, users),))


def places(spans: list[SpanMessage], appended: Appended) -> set[int]:
    """Which of the spans were refused."""
    return {n for n, one in enumerate(spans) if (one.trace_id, one.span_id) in appended.refused}


def tied_versions() -> tuple[SpanMessage, SpanMessage]:
    """Two versions of a span between which only their content decides."""
    return span("tied", "a", session__id="tied", x=1), span("tied", "a", session__id="tied", x=2)


def after_now() -> dict[str, int]:
    """Times of a span that starts later than anything that the test did so far."""
    now = (time.time_ns() - START) // MS + 60_000
    return {"start_ms": now, "end_ms": now + 1}


def state(store: Store, app: str = APP) -> tuple[Any, ...]:
    return answers(store, app), store.count_spans(app), store.changes(app)


class TestAppend:
    def test_tells_what_changed(self, store: Store) -> None:
        """`append` names the sessions that it changed, and none when nothing is new."""
        spans = received(*conversation("a"), *conversation("b"), span("t", "no session"))
        assert store.append(APP, spans) == Appended(frozenset({"a", "b"}))
        assert store.append(APP, spans) == Appended()
        assert store.append(APP, []) == Appended()

    def test_versions_in_one_batch(self, store: Store) -> None:
        """Of versions within one batch the same one stays as of versions in several."""
        running = span("t", "a", end_ms=None, session__id="s")
        ended = span("t", "a", end_ms=9, session__id="s")
        one, other = tied_versions()
        versions = [running, ended, one, other]
        for backwards in (False, True):
            for number, batch in enumerate([versions, versions * 2, versions + versions[::-1]]):
                app = f"{number} {backwards}"
                store.append(app, received(*(batch[::-1] if backwards else batch)))
                assert store.count_spans(app) == 2
                assert plain(store, app) == expected(ended, other)

    @pytest.mark.parametrize("backwards", [False, True])
    def test_one_span_of_two_origins(self, store: Store, backwards: bool) -> None:
        """Which of two origins stays does not depend on which came first."""
        spans = [received(span("t", "a", session__id="s"), resource={"service.name": n})[0] for n in ("x", "y")]
        append_all(store, [spans], "together")
        append_all(store, [[one] for one in (spans[::-1] if backwards else spans)], "apart")
        assert answers(store, "together") == answers(store, "apart")
        [(session, _)] = answers(store, "apart")
        assert session.labels.services == {"y"}

    def test_visible_at_once(self, store: Store) -> None:
        """What was appended is in the next answer, from any thread."""
        with ThreadPoolExecutor() as other:
            for number in range(5):
                store.append(APP, received(span("t", f"{number}", session__id=f"s{number}")))
                assert len(other.submit(ids, store).result()) == number + 1

    def test_stays_after_reopening(self, stores: Stores) -> None:
        """A store that is opened again answers as before, and goes on from there."""
        store = stores.open()
        store.append(APP, received(*conversation("a"), *conversation("b")))
        before = state(store)
        store = stores.open()
        assert state(store) == before
        store.append(APP, received(*conversation("a", 3)))
        assert plain(store) == expected(*conversation("a", 3), *conversation("b"))

    def test_huge_ids(self, store: Store) -> None:
        """Session ids of any length and with any characters are kept apart, found and paged through."""
        start = "🦊/%\n\0'\" " * 20_000
        given = [start + end for end in "xyz"] + ["\0", "\0\0", "a\0b", "a\0c", "%", "_", "ﬃ"]
        for number, session_id in enumerate(given):
            store.append(APP, received(span(f"{number}", "a", session__id=session_id)))
        found = ids(store)
        assert len(found) == len(given)
        assert set(found) >= set(given[3:])
        assert [one.id for one in walked(lambda part: store.list_sessions(APP, SessionQuery(), part), 1)] == found
        for session_id in found:
            session = store.get_session(APP, session_id)
            assert session
            assert (session.id, len(traces(store, session_id))) == (session_id, 1)

    def test_from_many_threads(self, store: Store) -> None:
        """Threads that append at the same time, the same spans too, leave what the oracle says."""
        random = Random(1)  # noqa: S311  # traffic is no secret
        sent = traffic(random, traces=30, spans=6)
        batches = [decoded(*body(random, batch)) for _ in range(3) for batch in deliveries(random, sent)]
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda batch: store.append(APP, batch), shuffled(random, batches)))
        assert plain(store) == sessions_of(sent)

    def test_a_reader_sees_whole_writes(self, store: Store) -> None:
        """Whoever asks while others append sees all of a batch or nothing of it."""
        traces_of_batch, batches = 6, 15
        stop = threading.Event()

        def ask() -> set[tuple[int, int, int]]:
            seen: set[tuple[int, int, int]] = set()
            while not stop.is_set():
                session = store.get_session(APP, "s")
                page = store.list_session_traces(APP, "s", EVERYTHING)
                listed = sum(trace.totals.span_count for trace in page.items)
                seen.add((session.totals.span_count if session else 0, listed, store.count_spans(APP)))
            return seen

        with ThreadPoolExecutor() as threads:
            asked = [threads.submit(ask) for _ in range(3)]
            for number in range(batches):
                names = [f"{number} {n}" for n in range(traces_of_batch)]
                roots = [span(name, "root", session__id="s") for name in names]
                store.append(APP, received(*roots, *(span(name, "child", "root") for name in names)))
            stop.set()
        seen = {number for one in asked for numbers in one.result() for number in numbers}
        assert seen <= set(range(0, 2 * traces_of_batch * batches + 1, 2 * traces_of_batch))


class StuckReader(SpanReader):
    """A reader that stops a write in its middle, until it is let go on, or breaks it with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.error = error

    def canonical(self, raw: bytes) -> bytes:
        self.reached.set()
        if self.error:
            raise self.error
        assert self.go_on.wait(10)
        return super().canonical(raw)


class FailingReader(SpanReader):
    """A reader that cannot read the `fails_at`-th span that it is asked for."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.left = fails_at

    def normalise(self, origin: Origin, raw: bytes) -> Span:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken")
        return super().normalise(origin, raw)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """What a full disk is like: nothing is written beyond the first `size` bytes of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestAllOrNothing:
    @pytest.mark.parametrize("place", [0, 3, 6])
    def test_append_that_breaks(self, stores: Stores, place: int) -> None:
        """When `append` breaks in its middle, nothing of the batch is there, and it may be sent again."""
        reader = StuckReader(RuntimeError("broken"))
        store = stores.open(reader)
        one, other = tied_versions()
        store.append(APP, received(one, *conversation("before")))
        before = state(store)
        batch = received(*conversation("a"), *conversation("before", 3, 2), resource=NEW)
        batch[place:place] = received(other)
        with pytest.raises(RuntimeError, match="broken"):
            store.append(APP, batch)
        assert state(store) == before
        reader.error = None
        reader.go_on.set()
        store.append(APP, batch)
        after = answers(store)
        with temporary_copy(stores, [*received(one, *conversation("before")), *batch]) as copy:
            assert after == answers(copy)
        store = stores.open()
        store.rebuild()
        assert answers(store) == after

    def test_asking_never_waits_for_a_write(self, stores: Stores) -> None:
        """While a write is in its middle, questions are answered by what was before it."""
        reader = StuckReader()
        store = stores.open(reader)
        one, other = tied_versions()
        store.append(APP, received(one))
        before = state(store)
        with ThreadPoolExecutor() as threads:
            writing = threads.submit(store.append, APP, received(*conversation("a"), other))
            assert reader.reached.wait(10)
            assert state(store) == before
            reader.go_on.set()
            assert writing.result().session_ids == {"a", "tied"}
        assert set(ids(store)) == {"a", "tied"}

    def test_rebuild_that_breaks(self, stores: Stores) -> None:
        """When `rebuild` breaks in its middle, everything stands as before."""
        store = stores.open(FailingReader(7))
        spans = [one for name in "abc" for one in conversation(name)]
        store.append(APP, received(*spans))
        before = state(store)
        with pytest.raises(RuntimeError, match="broken"):
            store.rebuild()
        assert state(store) == before
        store.append(APP, received(*conversation("d")))
        assert plain(store) == expected(*spans, *conversation("d"))

    @pytest.mark.parametrize("room", [0, 10_000, 300_000])
    def test_full_disk(self, stores: Stores, room: int) -> None:
        """A full disk is a StoreError that leaves nothing behind; with room again, all works as if never full."""
        store = stores.open()
        store.append(APP, received(*conversation("a")))
        before = state(store)
        noise = Random(room)  # noqa: S311  # bytes that do not compress
        large = [span("large", f"{n}", session__id="b", data=noise.randbytes(5000)) for n in range(200)]
        batch = received(*conversation("a", 4, 2), *large, resource=NEW)
        with no_file_beyond(room):
            for _ in range(2):
                with pytest.raises(StoreError) as caught:
                    store.append(APP, batch)
                assert "\n" not in str(caught.value)
            if not room:
                with pytest.raises(StoreError):
                    store.forget(APP, SessionSelector("a"))
                with pytest.raises(StoreError):
                    store.rebuild()
                with pytest.raises(StoreError):
                    store.check()
            assert state(store) == before
        store.check()
        store.append(APP, batch)
        later = received(span("a 0", "late", "turn", x=1), span("new", "a", session__id="c"), resource=NEW)
        store.append(APP, later)
        after = answers(store)
        with temporary_copy(stores, [*received(*conversation("a")), *batch, *later]) as copy:
            assert after == answers(copy)
        store = stores.open()
        assert answers(store) == after
        store.rebuild()
        assert answers(store) == after


@contextmanager
def temporary_copy(stores: Stores, spans: list[Any]) -> Iterator[Store]:
    """Another store, to which the spans came in one batch."""
    with temporary(stores._engine) as store:
        store.append(APP, spans)
        yield store


@pytest.mark.parametrize("method", ["append", "forget session", "forget trace", "rebuild"])
def test_apps_are_apart(stores: Stores, method: str) -> None:
    """The same ids in two apps are two things: nothing done in one shows in the other."""
    store = stores.open()
    spans = received(*conversation("a"), *shared_trace())
    store.append(APP, spans)
    store.append(OTHER, spans)
    assert answers(store, APP) == answers(store, OTHER)
    before = state(store, OTHER)
    late = received(span("a 0", "late", "turn", start_ms=7), span("new", "a", session__id="a", user__id="eve"))
    if method == "append":
        store.append(APP, late)
    elif method == "forget session":
        store.forget(APP, SessionSelector("a"))
        store.append(APP, late)
    elif method == "forget trace":
        store.forget(APP, TraceSelector(trace_id("a 0")))
    else:
        store.forget(APP, SessionSelector("one"))
        store.rebuild()
        before = (*before[:2], store.changes(OTHER))  # all has changed: a rebuild is of all apps
    assert answers(store, APP) != answers(store, OTHER)
    assert state(store, OTHER) == before
    assert state(store, "nobody's")[:2] == ([], 0)
    store = stores.open()
    assert state(store, OTHER) == before
    assert not store.append(OTHER, late).refused


class TestForget:
    def test_session(self, store: Store) -> None:
        """A forgotten session is in no answer; the others stand as if it had never been."""
        others = [*conversation("b"), *shared_trace(), span("t", "no session")]
        store.append(APP, received(*conversation("a"), *others))
        assert store.forget(APP, SessionSelector("a")) == 4
        assert store.get_session(APP, "a") is None
        assert traces(store, "a") == []
        assert ids(store, user_ids=("user of a",)) == []
        assert plain(store) == expected(*others)
        assert store.count_spans(APP) == len(others)
        assert store.forget(APP, SessionSelector("a")) == 0

    def test_trace(self, store: Store) -> None:
        """A forgotten trace goes from all sessions that owned a span of it, and a session with it alone goes."""
        store.append(APP, received(*conversation("a"), *shared_trace(), *conversation("one")))
        assert store.forget(APP, TraceSelector(trace_id("worker"))) == 5
        assert plain(store) == expected(*conversation("a"), *conversation("one"))
        assert store.forget(APP, TraceSelector(trace_id("a 1"))) == 2
        assert plain(store) == expected(*conversation("a", 1), *conversation("one"))
        assert store.forget(APP, TraceSelector(trace_id("nobody's"))) == 0

    @pytest.mark.parametrize(("session_id", "left"), [("one", [3, 4]), ("two", [0, 1, 2])])
    def test_shared_trace(self, store: Store, session_id: str, left: list[int]) -> None:
        """Of a trace that serves two sessions go the spans of the forgotten one; the other's totals stay right."""
        spans = shared_trace()
        store.append(APP, received(*spans))
        assert store.forget(APP, SessionSelector(session_id)) == 5 - len(left)
        assert plain(store) == expected(*(spans[place] for place in left))
        assert store.count_spans(APP) == len(left)
        # What is left is still received spans, and takes more.
        more = call("worker", "call 3", spans[left[-1]].name, start_ms=9, gen_ai__usage__input_tokens=300)
        store.append(APP, received(more))
        assert plain(store) == expected(*(spans[place] for place in left), more)
        store.rebuild()
        assert plain(store) == expected(*(spans[place] for place in left), more)

    @pytest.mark.parametrize("one_by_one", [False, True])
    @pytest.mark.parametrize(
        ("selector", "gone"),
        [
            (SessionSelector("a"), {0, 1, 2, 3}),
            (SessionSelector("one"), {4, 5, 6}),
            (SessionSelector("two"), {7, 8}),
            (TraceSelector(trace_id("a 1")), {2, 3}),
            (TraceSelector(trace_id("worker")), {4, 5, 6, 7, 8}),
        ],
        ids=["session", "session 1 of a shared trace", "session 2 of a shared trace", "trace", "shared trace"],
    )
    def test_sent_again(self, store: Store, selector: Selector, gone: set[int], one_by_one: bool) -> None:
        """What was forgotten is refused when it is sent again, and nothing changes."""
        spans = [*conversation("a"), *shared_trace()]
        store.append(APP, received(*spans))
        assert store.forget(APP, selector) == len(gone)
        before = state(store)
        if one_by_one:
            refused = {n for n, one in enumerate(spans) if store.append(APP, received(one)).refused}
        else:
            refused = places(spans, store.append(APP, received(*spans)))
        assert state(store)[:2] == before[:2]
        assert refused == gone

    @pytest.mark.parametrize(
        "late",
        [
            [span("new", "a", start_ms=5, session__id="a")],
            [span("new", "a", start_ms=5, gen_ai__conversation__id="a")],
            [span("a 0", "more", "turn", start_ms=5)],
            [span("a 0", "turn", start_ms=0, end_ms=9999, session__id="a")],
            [span("a 0", "other", start_ms=0, session__id="b")],
            [span("new", "a", session__id="a"), span("new", "b", "a"), span("new", "c", "b")],
            [span("new", "c", "b"), span("new", "b", "a"), span("new", "a", gen_ai__conversation__id="a")],
            [span("new", "a", start_ms=-START // MS, end_ms=None, session__id="a")],
        ],
        ids=[
            "new trace",
            "new trace of a framework",
            "below a span",
            "newer version",
            "other key in the trace",
            "below the key",
            "before a framework's key",
            "broken clock",
        ],
    )
    def test_late(self, store: Store, late: list[SpanMessage]) -> None:
        """Spans of a forgotten session that started before it was forgotten are refused, however late."""
        store.append(APP, received(*conversation("a"), *conversation("c")))
        store.forget(APP, SessionSelector("a"))
        other = conversation("d")
        before = expected(*conversation("c"), *other)
        appended = store.append(APP, received(*late, *other))
        refused = places([*late, *other], appended)
        assert (appended.session_ids, refused) == ({"d"}, set(range(len(late))))
        assert plain(store) == before
        assert store.count_spans(APP) == 8
        store.rebuild()
        assert plain(store) == before

    def test_others_are_not_refused(self, store: Store) -> None:
        """A span that names a forgotten session but belongs to another is that one's, and is taken."""
        spans = [
            span("t", "root", session__id="b"),
            span("t", "sub-agent", "root", gen_ai__conversation__id="a"),
            span("t", "both", "root", session__id="b", gen_ai__conversation__id="a"),
        ]
        store.append(APP, received(span("u", "a", gen_ai__conversation__id="a")))
        store.forget(APP, SessionSelector("a"))
        assert store.append(APP, received(*spans)) == Appended(frozenset({"b"}))
        assert plain(store) == expected(*spans)

    def test_before_it_came(self, store: Store) -> None:
        """What was forgotten before the store knew it is refused as well."""
        assert store.forget(APP, SessionSelector("a")) == 0
        assert store.forget(APP, TraceSelector(trace_id("b 1"))) == 0
        spans = [*conversation("b"), span("new", "a", session__id="a")]
        assert places(spans, store.append(APP, received(*spans))) == {2, 3, 4}
        assert plain(store) == expected(*conversation("b", 1))

    @pytest.mark.parametrize("trace", ["a 0", "new"])
    @pytest.mark.parametrize("reopened", [False, True])
    def test_begins_anew(self, stores: Stores, trace: str, reopened: bool) -> None:
        """A span under the old id that starts after it was forgotten begins a new session."""
        store = stores.open()
        store.append(APP, received(*conversation("a")))
        token = store.changes(APP).token
        store.forget(APP, SessionSelector("a"))
        if reopened:
            store = stores.open()
            store.rebuild()
        new = [span(trace, "new", session__id="a", **after_now()), span(trace, "child", "new", **after_now())]
        spans = [*new, *conversation("a")]
        appended = store.append(APP, received(*spans))
        assert (appended.session_ids, places(spans, appended)) == ({"a"}, {2, 3, 4, 5})
        assert plain(store) == expected(*new)
        assert store.changes(APP, token).items == [Change("a", deleted=False)]

    @pytest.mark.parametrize("selector", [SessionSelector("one"), TraceSelector(trace_id("worker"))])
    def test_survives(self, stores: Stores, selector: Selector) -> None:
        """What was forgotten stays so, and refused, after reopening and rebuilding."""
        store = stores.open()
        store.append(APP, received(*conversation("a"), *shared_trace()))
        store.forget(APP, selector)
        before = state(store)
        store = stores.open()
        assert state(store)[:2] == before[:2]
        assert store.changes(APP).lost
        store.rebuild()
        assert answers(store) == before[0]
        store = stores.open()
        assert 1 in places(shared_trace(), store.append(APP, received(*shared_trace())))
        assert "one" not in ids(store)

    @pytest.mark.parametrize("selector", [SessionSelector("one"), TraceSelector(trace_id("worker"))])
    def test_nothing_is_left_of_it(self, stores: Stores, selector: Selector) -> None:
        """No table of the database holds what the forgotten spans said, in older versions of them neither."""
        secrets = [f"secret {number}" for number in range(8)]
        said = {
            "agentmark__session_name": secrets[0],
            "user__id": secrets[1],
            "agentmark__metadata__plan": secrets[2],
            "agentmark__tags": f'["{secrets[3]}"]',
            "agentmark__input": secrets[4],
        }
        one = span("worker", "job 1", "worker", session__id="one", **said)
        one.events.add(name="event", attributes=pairs({"said": secrets[5]}))
        older = span("worker", "job 1", "worker", end_ms=None, session__id="one", x=secrets[6])
        below = span("worker", secrets[7], "job 1")
        kept = span("worker", "job 2", session__id="two", x="not a secret")
        store = stores.open()
        store.append(APP, received(kept, older))
        store.append(APP, received(one, below))
        dump = stores.dump()
        assert all(secret.encode() in dump for secret in (*secrets[:6], secrets[7], "not a secret"))
        store = stores.open()
        store.forget(APP, selector)
        assert ids(store, names=("secret",)) == ids(store, user_ids=(secrets[1],)) == []
        dump = stores.dump()
        assert [secret for secret in secrets if secret.encode() in dump] == []
        assert (b"not a secret" in dump) == isinstance(selector, SessionSelector)

    def test_while_spans_come(self, store: Store) -> None:
        """However `forget` and `append` meet, nothing of the session is there afterwards."""
        for number in range(15):
            session_id = f"s{number}"
            store.append(APP, received(span(session_id, "first", session__id=session_id)))
            forgotten = threading.Event()

            def send(session_id: str = session_id, forgotten: threading.Event = forgotten) -> None:
                sent = 0
                while not forgotten.is_set():
                    sent += 1
                    store.append(APP, received(span(session_id, f"late {sent}", session__id=session_id)))

            with ThreadPoolExecutor() as threads:
                sending = [threads.submit(send) for _ in range(2)]
                store.forget(APP, SessionSelector(session_id))
                forgotten.set()
            assert [one.result() for one in sending] == [None, None]
            assert store.get_session(APP, session_id) is None


def told(store: Store, token: str | None, limit: int = 1000) -> tuple[dict[str, bool], str]:
    """All changes since a token, asked for in portions: for each session the last one, and the last token."""
    last: dict[str, bool] = {}
    while True:
        changes = store.changes(APP, token, limit)
        last |= {change.session_id: change.deleted for change in changes.items}
        if not changes.items:
            return last, changes.token
        assert changes.token != token
        token = changes.token


class RenamingReader(SpanReader):
    """Another rule for session ids: they are in capitals."""

    def normalise(self, origin: Origin, raw: bytes) -> Span:
        message = SpanMessage.FromString(raw)
        for pair in message.attributes:
            if pair.key == "session.id":
                pair.value.string_value = pair.value.string_value.upper()
        return super().normalise(origin, message.SerializeToString())


class TestChanges:
    def test_each_once(self, store: Store) -> None:
        """Every session stands there once, where it changed last; after the token stands what changed since."""
        assert store.changes(APP).items == []
        for name in "abac":
            store.append(APP, received(span(f"{time.time_ns()}", "a", session__id=name)))
        first = store.changes(APP)
        assert first.items == [Change(name, deleted=False) for name in "bac"]
        assert store.changes(APP, first.token).items == []
        store.append(APP, received(*conversation("b")))
        store.append(APP, received(*conversation("b")))
        assert store.changes(APP, first.token).items == [Change("b", deleted=False)]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_limit(self, store: Store, limit: int) -> None:
        """Asked for in portions of any size, every change is told."""
        store.append(APP, received(*(span(f"{n}", "a", session__id=f"{n}") for n in range(5))))
        for number in range(5, 9):
            store.append(APP, received(span(f"{number}", "a", session__id=f"{number}")))
        store.forget(APP, SessionSelector("3"))
        store.forget(APP, SessionSelector("7"))
        assert told(store, None, limit)[0] == {f"{n}": n in {3, 7} for n in range(9)}

    @pytest.mark.parametrize("token", ["", "x", "-1", "1.5", "²", " 1", "1\n", "9" * 5000])
    def test_bad_token(self, store: Store, token: str) -> None:
        """What is no token of a store is a BadCursorError."""
        with pytest.raises(BadCursorError):
            store.changes(APP, token)

    def test_after_reopening(self, stores: Stores) -> None:
        """A token holds after reopening."""
        store = stores.open()
        store.append(APP, received(*conversation("a")))
        token = store.changes(APP).token
        store = stores.open()
        assert store.changes(APP, token).items == []
        store.append(APP, received(*conversation("b")))
        assert store.changes(APP, token).items == [Change("b", deleted=False)]

    def forgotten(self, store: Store) -> None:
        store.forget(APP, SessionSelector("a"))

    def trace_forgotten(self, store: Store) -> None:
        store.forget(APP, TraceSelector(trace_id("t")))

    def moved(self, store: Store) -> None:
        store.append(APP, received(span("t", "root", agentmark__session_id="b")))

    def forgotten_renewed_moved(self, store: Store) -> None:
        store.forget(APP, SessionSelector("a"))
        store.append(APP, received(span("u", "x", gen_ai__conversation__id="a", **after_now())))
        _, self.token = told(store, self.token)
        store.append(APP, received(span("u", "y", session__id="b", **after_now())))

    @pytest.mark.parametrize("how", [forgotten, trace_forgotten, moved, forgotten_renewed_moved])
    def test_deleted(self, store: Store, how: Callable[[Any, Store], None]) -> None:
        """A session that is no more is told as deleted, whatever ended it."""
        store.append(APP, received(span("t", "below", "root", gen_ai__conversation__id="a"), *conversation("c")))
        _, self.token = told(store, None)
        how(self, store)
        assert store.get_session(APP, "a") is None
        assert told(store, self.token)[0].get("a") is True
        assert told(store, None)[0].get("a") in {True, None}

    def test_rebuilt(self, stores: Stores) -> None:
        """After a rebuild a token of before still holds: everything has changed, also what other rules ended."""
        store = stores.open()
        store.append(APP, received(*conversation("a"), *conversation("B"), *conversation("c")))
        store.forget(APP, SessionSelector("c"))
        token = store.changes(APP).token
        store.rebuild()
        assert {name: gone for name, gone in told(store, token)[0].items() if not gone} == {"a": False, "B": False}
        store = stores.open(RenamingReader())
        store.rebuild()
        assert told(store, token)[0] | {"c": True} == {"A": False, "B": False, "a": True, "c": True}

    @pytest.mark.parametrize("limit", [1, 3])
    def test_while_spans_come(self, store: Store, limit: int) -> None:
        """Who follows the changes while several threads write ends up with the last state of every session."""
        seen: dict[str, int | None] = {}

        def follow(token: str | None) -> str | None:
            changes = store.changes(APP, token, limit)
            for change in changes.items:
                session = store.get_session(APP, change.session_id)
                seen[change.session_id] = session.totals.span_count if session else None
            return changes.token

        def write(writer: int) -> None:
            for number in range(25):
                session_id = f"{number * 7 % 5}"
                store.append(APP, received(span(f"{writer} {number}", "a", session__id=session_id, **after_now())))
                if number % 10 == 9:
                    store.forget(APP, SessionSelector(session_id))

        token: str | None = None
        with ThreadPoolExecutor() as threads:
            writing = [threads.submit(write, writer) for writer in range(3)]
            while not all(one.done() for one in writing):
                token = follow(token)
        assert [one.result() for one in writing] == [None] * 3
        while (after := follow(token)) != token:
            token = after
        left = {session.id: session.totals.span_count for session, _ in answers(store)}
        assert {session_id: count for session_id, count in seen.items() if count} == left


class TestRebuild:
    def test_keeps_what_was_received(self, stores: Stores) -> None:
        """Every span is read again from the bytes and the origin with which it came: nothing of it is lost."""

        class Recording(SpanReader):
            def normalise(self, origin: Origin, raw: bytes) -> Span:
                read.add((origin, raw))
                return super().normalise(origin, raw)

        read: set[tuple[Origin, bytes]] = set()
        one = span("t", "a", session__id="s", nothing=None, many=["x", 1, b"\0", 0.5, True], text="ü" * 10_000)
        one.events.add(name="event", time_unix_nano=5, attributes=pairs({"a": 1}))
        one.links.add(trace_id=b"1" * 16, span_id=b"2" * 8, trace_state="x=y")
        one.MergeFromString(b"\xf2\x07\x03new")  # a field of a later OTLP
        sent = opened(one, resource={"service.name": "x", "host": "h"}, scope="library")
        sent += opened(*conversation("a"), *conversation("b"), resource={"service.name": "y"})
        store = stores.open(Recording())
        for number in range(0, len(sent), 2):
            store.append(APP, packed(sent[number : number + 2]))
        assert store.rebuild() == len(sent)
        assert read == {(received.origin, received.raw) for received in sent}

    def test_by_other_rules(self, stores: Stores) -> None:
        """A reader that reads otherwise gives, after a rebuild, what it would have given from the beginning."""
        sent = opened(*conversation("a"), *conversation("B"), *shared_trace())
        stores.open().append(APP, packed(sent))
        reader = RenamingReader()
        store = stores.open(reader)
        assert set(ids(store)) == {"a", "B", "one", "two"}
        store.rebuild()
        reread = [msgspec.structs.replace(one, span=reader.normalise(one.origin, one.raw)) for one in sent]
        with temporary_copy(stores, packed(reread)) as copy:
            assert answers(store) == answers(copy)
        assert set(ids(store)) == {"A", "B", "ONE", "TWO"}
        assert ids(store, user_ids=("user of a",)) == ["A"]
        stores.open().rebuild()
        assert set(ids(stores.open())) == {"a", "B", "one", "two"}

    def test_progress(self, store: Store) -> None:
        """Progress goes up to all, for all apps together."""
        for app in (APP, OTHER):
            store.append(app, received(*(span(f"{n}", "a", session__id="s") for n in range(150))))
        said: list[tuple[int, int]] = []
        assert store.rebuild(lambda done, of: said.append((done, of))) == 300
        assert said == sorted(said)
        assert {of for _, of in said} == {300}
        assert said[-1] == (300, 300)

    def test_empty(self, store: Store) -> None:
        """An empty store is rebuilt to an empty one."""
        assert store.rebuild() == 0
        assert state(store)[:2] == ([], 0)


def walked(ask: Callable[[Slice], Page[Any]], limit: int) -> list[Any]:
    """A whole list, page by page with the cursors."""
    found: list[Any] = []
    cursors: list[str | None] = [None]
    while True:
        page = ask(Slice(limit=limit, cursor=cursors[-1]))
        assert len(page.items) <= limit
        found += page.items
        if page.next_cursor is None:
            return found
        assert page.next_cursor not in cursors
        cursors.append(page.next_cursor)


BY_NAME = SessionQuery(names=("even",))


@pytest.fixture(scope="module")
def filled(engine: Engine) -> Iterator[Store]:
    """23 sessions, some with the same end, some without; one has 17 traces, some with the same start."""
    with temporary(engine) as store:
        for number in range(22):
            name = "even" if number % 2 == 0 else "odd"
            ends = {"end_ms": None if number % 5 == 0 else number // 3}
            one = span(f"{number}", "a", session__id=f"{number}", agentmark__session_name=name, **ends)
            store.append(APP, received(one))
        for number in range(17):
            start = -START // MS if number % 6 == 0 else number // 4
            store.append(APP, received(span(f"big {number}", "a", start_ms=start, session__id="big")))
        yield store


class TestPages:
    ASKED: tuple[tuple[str, Callable[[Store, Slice], Page[Any]], int], ...] = (
        ("sessions", lambda store, part: store.list_sessions(APP, SessionQuery(), part), 23),
        ("some sessions", lambda store, part: store.list_sessions(APP, BY_NAME, part), 11),
        ("traces", lambda store, part: store.list_session_traces(APP, "big", part), 17),
        ("nothing", lambda store, part: store.list_session_traces(APP, "no", part), 0),
    )
    asked = pytest.mark.parametrize(("ask", "count"), [one[1:] for one in ASKED], ids=[one[0] for one in ASKED])

    @asked
    def test_any_limit(self, filled: Store, ask: Callable[[Store, Slice], Page[Any]], count: int) -> None:
        """By cursor and by offset, in pages of any size, a list is the same, and its total too."""
        whole = ask(filled, EVERYTHING)
        assert (len(whole.items), whole.total, whole.next_cursor) == (count, count, None)
        for limit in range(1, count + 3):
            assert walked(lambda part: ask(filled, part), limit) == whole.items
            for offset in range(count + 2):
                page = ask(filled, Slice(limit, offset))
                assert (page.items, page.total) == (whole.items[offset : offset + limit], count)
                assert (page.next_cursor is None) == (offset + limit >= count)

    def test_order(self, filled: Store) -> None:
        """The last to end comes first, ties by id, then those without an end; traces come by start likewise."""
        sessions = filled.list_sessions(APP, SessionQuery(), EVERYTHING).items
        ends = [one.labels.end for one in sessions]
        assert ends == sorted((end for end in ends if end), reverse=True) + [None] * ends.count(None)
        assert sessions == sorted(sessions, key=lambda one: (-(one.labels.end or 0), one.id))
        listed = traces(filled, "big")
        assert listed == sorted(listed, key=lambda one: (one.labels.start or 2**64, one.id))
        assert listed[-1].labels.start is None

    @asked
    @settings(deadline=None, max_examples=200)
    @given(data=st.data())
    def test_bad_cursor(
        self, filled: Store, ask: Callable[[Store, Slice], Page[Any]], count: int, data: st.DataObject
    ) -> None:
        """What is no cursor is a BadCursorError or, at worst, another place in the list; never anything else."""
        good = ask(filled, Slice(limit=4)).next_cursor or "x"
        start = data.draw(st.integers(0, len(good)))
        end = data.draw(st.integers(start, len(good)))
        cursor = good[:start] + data.draw(st.text(max_size=3)) + good[end:]
        try:
            page = ask(filled, Slice(limit=4, cursor=cursor))
        except BadCursorError:
            return
        assert page.total == count

    def test_cursor_of_another_list(self, filled: Store) -> None:
        """A cursor that another list gave is a BadCursorError."""
        of_sessions = filled.list_sessions(APP, SessionQuery(), Slice(limit=3)).next_cursor
        of_traces = filled.list_session_traces(APP, "big", Slice(limit=3)).next_cursor
        with pytest.raises(BadCursorError):
            filled.list_sessions(APP, SessionQuery(), Slice(cursor=of_traces))
        with pytest.raises(BadCursorError):
            filled.list_session_traces(APP, "big", Slice(cursor=of_sessions))

    def test_walk_while_spans_come(self, store: Store) -> None:
        """A walk by cursor gives every session that does not change meanwhile exactly once."""
        for number in range(20):
            store.append(APP, received(span(f"{number}", "a", end_ms=number // 2, session__id=f"{number}")))
        changes = iter(range(20))

        def ask(part: Slice) -> Page[Any]:
            page = store.list_sessions(APP, SessionQuery(), part)
            at = next(changes)
            store.append(APP, received(span(f"more {at}", "a", end_ms=at, session__id=f"{at * 3 % 10}")))
            store.append(APP, received(span(f"new {at}", "a", end_ms=at, session__id=f"new {at}")))
            if at < 3:
                store.forget(APP, SessionSelector(f"{at}"))
            return page

        found = [one.id for one in walked(ask, 2)]
        assert [one for one in found if one in {f"{n}" for n in range(10, 20)}] == [
            *("18", "19", "16", "17", "14", "15", "12", "13", "10", "11"),
        ]


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (SessionQuery(), {"a", "b", "c", "d"}),
            (SessionQuery(names=("weather",)), {"a"}),
            (SessionQuery(names=("WEA", "STRASSE")), {"a", "b"}),
            (SessionQuery(names=("%",)), {"c"}),
            (SessionQuery(names=("_",)), set()),
            (of_users("ann"), {"a", "b"}),
            (of_users("ann", "bob"), {"a", "b", "c"}),
            (of_users("an"), set()),
            (of_users("Ann"), set()),
            (SessionQuery(names=("straße",), labelled=of_users("bob", "ann").labelled), {"b"}),
        ],
    )
    def test_sessions(self, store: Store, query: SessionQuery, found: set[str]) -> None:
        """Any of the names as a part, in any case, and any of the users; both where both are asked for."""
        for session_id, name, users in (
            ("a", "The Weather", ["ann"]),
            ("b", "Lange Straße", ["ann", "bob"]),
            ("c", "100%", ["bob"]),
            ("d", None, []),
        ):
            for app, prefix in ((APP, ""), (OTHER, "other ")):
                said = {"agentmark__session_name": name} if name else {}
                spans = [span(prefix + session_id, "a", session__id=prefix + session_id, **said)]
                spans += [
                    span(prefix + session_id, user, session__id=prefix + session_id, user__id=user)
                    for user in users
                ]
                store.append(app, received(*spans))
        page = store.list_sessions(APP, query, EVERYTHING)
        assert {one.id for one in page.items} == found
        assert page.total == len(found)
