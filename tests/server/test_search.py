"""Finding sessions by text: `search` and `q` of GET /v1/sessions, and of the store."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from agentmark_server.decoding import SpanReader
from agentmark_server.model import Origin, Slice
from agentmark_server.queries import SessionQuery
from agentmark_server.store import Selector, SessionSelector, Store, TraceSelector
from conftest import RunningServer
from support.spans import call, post, span, trace_id
from support.stores import APP, ENGINES, EVERYTHING, Engine, answers, received, temporary
from support.word_oracle import has_part, says


@pytest.fixture(scope="module", params=ENGINES.values(), ids=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    with temporary(engine) as store:
        yield store


def indexed(store: Store) -> Store:
    """A store in which no words wait."""
    while store.index():
        pass
    return store


def found(store: Store, *, app: str = APP, **query: Any) -> set[str]:
    page = store.list_sessions(app, SessionQuery(**query), EVERYTHING)
    assert page.total == len(page.items)
    return {one.id for one in page.items}


def chat(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def saying(
    trace: str, name: str, text: str, answer: str = "", *, session: str | None = None, **options: Any
) -> Any:
    """A call with a message and an answer, in a session where one is named."""
    keys = {"session__id": session} if session else {}
    said = {"gen_ai__input__messages": chat("user", text), "gen_ai__output__messages": chat("assistant", answer)}
    return call(trace, name, **keys, **said, **options)


def named(session_id: str, name: str | None = None) -> SpanMessage:
    said = {"agentmark__session_name": name} if name else {}
    return span(session_id, "root", session__id=session_id, **said)


PIECES = st.sampled_from(
    [
        *(
            "straße",
            "STRASSE",
            "café",
            "cafe\u0301",
            "Çelik",
            "İstanbul",
            "ΣΊΣΥΦΟΣ",
            "ﬁsh",
            "x²",
            "Ж",
            "नमस्ते",
            "한국어",
        ),
        *(
            "AND",
            "OR",
            "NOT",
            "NEAR(",
            "*",
            '"',
            "'",
            '""',
            "^a",
            "a:b",
            "col:",
            "{x}",
            "-",
            "--",
            ";",
            "\\",
            "(",
            ")",
        ),
        *(
            "%",
            "_",
            "\0",
            "a\0b",
            "\ufffd",
            "🙂",
            "👩\u200d🚀",
            "東京",
            "京都",
            "天気予報",
            "カタカナ",
            "สวัสดี",
            "a東",
            "snake_case",
        ),
        *(" ", "  ", "\n", "\t", "1", "12", "123", "a", "ab", "abc", "order-17", "o'clock", "http://x.y/z?q=1"),
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=5).map("".join)
SENTENCES = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=6).map(" ".join)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(data=st.data())
def test_search_oracle(engine: Engine, data: st.DataObject) -> None:
    """`search` finds the sessions of which it is a part of the id or name, whatever characters they are of."""
    sessions = data.draw(st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS)), min_size=1, max_size=6))
    with temporary(engine) as store:
        for number, (session_id, name) in enumerate(sessions):
            said = {"agentmark__session_name": name} if name else {}
            store.append(APP, received(span(f"{number}", "root", session__id=session_id, **said)))
        kept = [(one.id, one.labels.name and one.labels.name[-1]) for one, _ in answers(store)]
        parts = st.sampled_from([text for pair in [*kept, *sessions] for text in pair if text] or ["x"]).flatmap(
            _part
        )
        for term in data.draw(st.lists(st.one_of(parts, parts.map(str.swapcase), TEXTS), max_size=8)):
            expected = {session_id for session_id, name in kept if has_part(term, session_id, name)}
            assert found(store, search=(term,)) == expected


def _part(text: str) -> st.SearchStrategy[str]:
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    return ends.map(lambda pair: text[min(pair) : max(pair)])


SPANS = st.lists(
    st.tuples(
        st.integers(0, 2),  # trace
        st.integers(0, 3),  # span
        st.integers(0, 2),  # session
        st.integers(1, 4),  # end: of two versions the later stays
        SENTENCES,
        SENTENCES,
        st.booleans(),  # whether everything is indexed afterwards
    ),
    max_size=8,
)


# The same examples each time: rare characters stand in some tables of Unicode, and in others not yet.
@settings(deadline=None, max_examples=60, derandomize=True)
@given(sent=SPANS, data=st.data())
def test_q_oracle(engine: Engine, sent: list[Any], data: st.DataObject) -> None:
    """`q` finds the sessions with all of its words in their spans' messages: of versions, in that which stays."""
    kept: dict[tuple[int, int], tuple[int, int, str, str]] = {}
    with temporary(engine) as store:
        for trace, name, session, end, asked, answer, at_once in sent:
            if end > kept.get((trace, name), (0,))[0]:
                kept[trace, name] = end, session, asked, answer
                one = saying(f"{trace}", f"{name}", asked, answer, session=f"s{session}", end_ms=end)
                store.append(APP, received(one))
            if at_once:
                indexed(store)
        said: dict[str, list[str]] = {}
        for _, session, asked, answer in kept.values():
            said.setdefault(f"s{session}", []).extend([asked, answer])
        texts = [text for texts in said.values() for text in texts]
        some = st.lists(st.sampled_from([word for text in texts for word in text.split()] or ["x"]), max_size=3)
        queries = data.draw(st.lists(st.one_of(some.map(" ".join), SENTENCES), max_size=6))
        for query in queries:
            # Before everything is indexed, something may be missing, but nothing is wrong.
            assert found(store, q=(query,)) <= {session for session, texts in said.items() if says(query, texts)}
        indexed(store)
        for query in queries:
            assert found(store, q=(query,)) == {session for session, texts in said.items() if says(query, texts)}


class TestQ:
    @pytest.mark.parametrize(
        ("query", "fits"),
        [
            *(("refund", True), ("REFUND order", True), ("refund thunder", False), ("refun", False), ("", True)),
            *(("!?", True), ("cafe", True), ("CAFÉ", True), ("17", True), ("order-17", True), ("order-18", False)),
            *(
                ("天気", True),
                ("気予報", True),
                ("報", True),
                ("予天", False),
                ('"refund', True),
                ("refund OR x", False),
            ),
            *(
                ("lookup", True),
                ("Lisbon", True),
                ("city", True),
                ("sunny", True),
                ("pondering", True),
                ("17.5", True),
            ),
        ],
    )
    def test_words(self, store: Store, query: str, fits: bool) -> None:
        """Whole words count, in any order, case and accents; all syntax is only text.

        In scripts without spaces any part counts; of tools what they were given and gave.
        """
        tool = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": "lookup"}
        arguments, result = '{"city": "Lisbon"}', '{"weather_now": ["sunny", 17.5]}'
        store.append(
            APP,
            received(
                saying("t", "a", "My order-17: a refund?", "At the café 天気予報.", session="s"),
                saying("t", "b", "", session="s"),
                span(
                    "t",
                    "tool",
                    session__id="s",
                    gen_ai__tool__call__arguments=arguments,
                    gen_ai__tool__call__result=result,
                    **tool,
                ),
                call(
                    "t",
                    "thought",
                    session__id="s",
                    gen_ai__output__messages=json.dumps(
                        [{"role": "assistant", "parts": [{"type": "reasoning", "content": "pondering"}]}]
                    ),
                ),
            ),
        )
        assert found(indexed(store), q=(query,)) == ({"s"} if fits else set())

    def test_across_traces(self, store: Store) -> None:
        """The words may stand in different traces of a session, but not in different sessions, nor apps."""
        for app in (APP, "other"):
            store.append(app, received(saying(f"{app} 1", "a", "apple", session="s")))
        store.append(APP, received(saying("2", "a", "pear", session="s"), saying("3", "a", "plum", session="r")))
        indexed(store)
        assert found(store, q=("apple pear",)) == {"s"}
        assert found(store, q=("apple plum",)) == set()
        assert found(store, q=("apple pear", "plum")) == {"s", "r"}
        assert found(store, q=("apple pear",), app="other") == set()
        assert found(store, q=("apple",), search=("r",)) == set()

    def test_shared_trace(self, store: Store) -> None:
        """In a trace of several sessions each is found by what its own spans say."""
        spans = [span("worker", "worker")]
        for number in range(30):
            job = f"job {number}"
            spans.append(span("worker", job, "worker", session__id=f"s{number}"))
            text = f"common number{number}"
            spans.append(saying("worker", f"call {number}", text, parent=job))
        store.append(APP, received(*spans))
        indexed(store)
        assert found(store, q=("common number7",)) == {"s7"}
        assert found(store, q=("common",)) == {f"s{number}" for number in range(30)}
        store.append(APP, received(saying("worker", "late", "number7", "afterwards", session="s9")))
        indexed(store)
        assert found(store, q=("number7",)) == {"s7", "s9"}

    def test_whoever_owns_it(self, store: Store) -> None:
        """Spans that come to a session with their root are found there, and nowhere else, at once."""
        store.append(APP, received(saying("t", "below", "needle", parent="root", gen_ai__conversation__id="a")))
        indexed(store)
        assert found(store, q=("needle",)) == {"a"}
        store.append(APP, received(span("t", "root", agentmark__session_id="b")))
        assert found(store, q=("needle",)) == {"b"}

    def test_replaced(self, store: Store) -> None:
        """What only an older version says is never found once the newer one is there."""
        store.append(APP, received(saying("t", "a", "draft kept", session="s", end_ms=None)))
        indexed(store)
        store.append(APP, received(saying("t", "a", "final kept", session="s", end_ms=5)))
        assert found(store, q=("draft",)) == set()
        indexed(store)
        assert (found(store, q=("draft",)), found(store, q=("final kept",))) == (set(), {"s"})

    def test_large_trace(self, store: Store) -> None:
        """A trace that is grouped later is found by all of its words, whoever owns them in the end."""
        for first in range(0, 1200, 200):
            spans = [saying("big", f"{n}", f"number{n} common", parent="root") for n in range(first, first + 200)]
            store.append(APP, received(*spans))
            store.index()
        store.append(APP, received(span("big", "root", session__id="s")))
        indexed(store)
        assert found(store, q=("number3 number1150 common",)) == {"s"}

    def test_log_records(self, shared_server: RunningServer) -> None:
        """What a span's log records say is found too: they are its messages."""
        one = call("logged", "call", session__id="logged")
        one.events.add(name="gen_ai.user.message").attributes.add(key="content").value.string_value = "xylophone"
        post(shared_server.url, one)
        wait(shared_server)
        assert ids(shared_server, q="xylophone") == ["logged"]

    def test_lag(self, store: Store) -> None:
        """`index_lag` is how long the oldest span has waited, and None when none does."""
        assert store.index_lag() is None
        store.append(APP, received(saying("t", "a", "one", session="s")))
        time.sleep(0.05)
        lag = store.index_lag()
        assert lag is not None
        assert 40 * 10**6 < lag < 60 * 10**9
        indexed(store)
        assert store.index_lag() is None

    def test_unreadable(self, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A span that cannot be read for its words costs no other its own."""

        class Failing(SpanReader):
            def texts(self, origin: Origin, raw: bytes) -> Iterator[str]:
                if b"poison" in raw:
                    raise RecursionError
                return super().texts(origin, raw)

        store = engine.open(tmp_path / "store.db", Failing())
        store.append(APP, received(saying("t", "a", "poison", session="s"), saying("t", "b", "good", session="s")))
        indexed(store)
        assert (found(store, q=("poison",)), found(store, q=("good",))) == (set(), {"s"})
        store.close()
        assert "cannot be read" in caplog.text

    def test_while_spans_come(self, store: Store) -> None:
        """Whoever writes, deletes and asks meanwhile: in the end all that is there is found, and nothing else."""
        done = threading.Event()

        def follow() -> None:
            while not done.is_set():
                store.index()

        indexer = threading.Thread(target=follow)
        indexer.start()
        for number in range(60):
            trace = f"t{number % 7}"
            text = f"common word{number}"
            store.append(
                APP, received(saying(trace, f"{number % 11}", text, session=f"s{number % 7}", end_ms=number))
            )
            if number % 9 == 8:
                store.forget(APP, SessionSelector(f"s{number % 7}"))
                assert f"s{number % 7}" not in found(store, q=("common",))
        done.set()
        indexer.join()
        indexed(store)
        there = {one.id for one, _ in answers(store)}
        assert found(store, q=("common",)) == there
        store.rebuild()
        assert found(store, q=("common",)) == there


SELECTORS = pytest.mark.parametrize("selector", [SessionSelector("gone"), TraceSelector(trace_id("t"))])


class TestForget:
    @SELECTORS
    @pytest.mark.parametrize("when", ["indexed", "waiting"])
    def test_nothing_is_found(self, store: Store, selector: Selector, when: str) -> None:
        """Of what is deleted nothing is found, at once, and no more after what waited is indexed."""
        store.append(APP, received(saying("t", "a", "secret", session="gone"), named("kept", "secret kept")))
        if when == "indexed":
            indexed(store)
        store.forget(APP, selector)
        for _ in range(2):
            assert found(store, q=("secret",)) == set()
            assert found(store, search=("gone",)) == set()
            indexed(store)
        store.append(APP, received(saying("u", "a", "other", session="kept")))
        indexed(store)
        assert found(store, q=("other",)) == found(store, search=("secret",)) == {"kept"}

    def test_share_of_a_trace(self, store: Store) -> None:
        """Where sessions share a trace, only what the deleted one owned is found no more."""
        jobs = [saying("t", name, f"common {name}word", session=name) for name in ("gone", "kept")]
        store.append(APP, received(*jobs))
        indexed(store)
        store.forget(APP, SessionSelector("gone"))
        assert found(store, q=("goneword",)) == set()
        indexed(store)
        assert found(store, q=("common",)) == found(store, q=("keptword",)) == {"kept"}

    @SELECTORS
    def test_nothing_is_in_the_file(self, engine: Engine, tmp_path: Path, selector: Selector) -> None:
        """The words, the id and the name of what is deleted are nowhere in the bytes of the closed file."""
        path = tmp_path / "store.db"
        store = engine.open(path, SpanReader())
        secrets = [f"zq{number}xsecretword" for number in range(40)]
        for number in range(120):
            others = " ".join(f"zq{number}xother{n}" for n in range(20))
            store.append(APP, received(saying(f"o{number}", "a", others, session=f"zq other {number}")))
            if number == 60:
                name = {"agentmark__session_name": "zq secretname"}
                store.append(APP, received(saying("t", "a", " ".join(secrets), session="gone", **name)))
            if number % 7 == 0:
                indexed(store)
        indexed(store)
        store.forget(APP, selector)
        assert len(found(store, q=("zq5xother5",))) == 1
        store.close()
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"zq secretname" not in content
        assert b"xsecretword" not in content
        assert b"secretw" not in content


class TestRebuild:
    def test_same(self, store: Store) -> None:
        """After a rebuild everything is found as before, at once."""
        store.append(APP, received(saying("t", "a", "apple", session="s"), named("named", "A Name")))
        store.append(APP, received(saying("u", "a", "gone", session="g")))
        indexed(store)
        store.forget(APP, SessionSelector("g"))
        for _ in range(2):
            store.rebuild()
            assert store.index_lag() is None
            assert (found(store, q=("apple",)), found(store, q=("gone",))) == ({"s"}, set())
            assert (found(store, search=("a na",)), found(store, search=("g",))) == ({"named"}, set())

    def test_other_rules(self, engine: Engine, tmp_path: Path) -> None:
        """What is read of a span by new rules is found after a rebuild, and what was read by old ones is not."""

        class Shouting(SpanReader):
            def texts(self, origin: Origin, raw: bytes) -> Iterator[str]:
                return (f"{text}loud" for text in super().texts(origin, raw))

        store = engine.open(tmp_path / "store.db", SpanReader())
        store.append(APP, received(saying("t", "a", "hear", session="s")))
        indexed(store).close()
        store = engine.open(tmp_path / "store.db", Shouting())
        assert found(store, q=("hear",)) == {"s"}
        store.rebuild()
        assert (found(store, q=("hear",)), found(store, q=("hearloud",))) == (set(), {"s"})
        # What the old rules put in goes, too, when it is deleted under the new.
        store.forget(APP, SessionSelector("s"))
        assert found(store, q=("hearloud",)) == set()
        store.close()


def test_search_follows_the_name(store: Store) -> None:
    """A session is found by its name of today alone, at once."""
    store.append(APP, received(named("s", "First Name")))
    assert found(store, search=("first",)) == found(store, search=("S",)) == {"s"}
    store.append(
        APP, received(span("s", "later", session__id="s", agentmark__session_name="Second", end_ms=9, start_ms=5))
    )
    assert (found(store, search=("first",)), found(store, search=("second",))) == (set(), {"s"})


def test_search_of_many(store: Store) -> None:
    """More sessions than are named one by one are found and counted all the same, page by page."""
    count = 20_100
    for first in range(0, count, 1005):
        spans = [named(f"chat {n}", "even" if n % 2 == 0 else None) for n in range(first, first + 1005)]
        store.append(APP, received(*spans))
    for terms, total in ((("chat",), count), (("EVEN",), count // 2), (("c",), count), (("even", "t 1"), None)):
        query = SessionQuery(search=terms)
        page = store.list_sessions(APP, query, Slice(limit=7))
        expected = sum(
            any(has_part(term, f"chat {n}", "even" if n % 2 == 0 else None) for term in terms)
            for n in range(count)
        )
        assert (page.total, len(page.items)) == (expected, 7)
        assert total in {None, expected}


def wait(server: RunningServer) -> None:
    """Until everything that was sent is in the index."""
    deadline = time.monotonic() + 20
    while server.get("/v1/sessions", limit=1)["pagination"]["index_lag_ms"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ids(server: RunningServer, **params: Any) -> list[str]:
    return [session["id"] for session in server.get("/v1/sessions", **params)["data"]]


class TestOverHttp:
    def test_list(self, server: RunningServer) -> None:
        """`search` and `q` work together with each other, with all else, and repeated mean any of their values."""
        for number, text in enumerate(["apple pie", "apple cake", "pear cake"]):
            one = saying(
                f"t{number}", "a", text, session=f"Chat-{number}", end_ms=number, user__id=f"u{number % 2}"
            )
            assert post(server.url, one).status_code == 200
        wait(server)
        assert ids(server, q="APPLE") == ["Chat-1", "Chat-0"]
        assert ids(server, q="cake apple") == ["Chat-1"]
        assert ids(server, q=["pie", "pear"]) == ["Chat-2", "Chat-0"]
        assert ids(server, q="cake", search="hat-2") == ["Chat-2"]
        assert ids(server, search=["-0", "t-1"], user_id="u1") == ["Chat-1"]
        assert ids(server, search="CHAT", sort_order="asc", limit=2) == ["Chat-0", "Chat-1"]
        assert server.get("/v1/sessions", q="cake", limit=1)["pagination"]["total"] == 2

    def test_killed_before_it_was_indexed(self, launch: Callable[..., RunningServer]) -> None:
        """What was acknowledged is found after a crash, wherever that hit the index."""
        sent = 0
        for _ in range(2):
            server = launch()
            for _ in range(12):
                spans = [saying(f"t{sent}-{n}", "a", f"common word{sent}", session=f"s{sent}") for n in range(20)]
                assert post(server.url, *spans).status_code == 200
                sent += 1
            server.stop(signal.SIGKILL)
        server = launch()
        wait(server)
        assert server.get("/v1/sessions", q="common")["pagination"]["total"] == sent
        assert [ids(server, q=f"common word{n}") for n in (0, 11, 12, 23)] == [["s0"], ["s11"], ["s12"], ["s23"]]
