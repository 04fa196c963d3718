"""Lists of traces and spans, and trees, are a function of the spans: the store against the oracle."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from agentmark_server.model import Page, Slice, Trace
from agentmark_server.spans import ListedSpan, SpanOrder, SpanQuery, TraceOrder, TraceQuery
from agentmark_server.store import BadCursorError, Store
from support.oracle import Sent, spans_of, whole_traces_of
from support.spans import span, trace_id
from support.stores import APP, ENGINES, Engine, append_all, decoded, received, temporary
from support.traffic import MODELS, SESSIONS, USERS, body, deliveries, traffic

Answer = dict[str, Any]

RANDOM = st.randoms(use_true_random=False)
many = settings(
    deadline=None, max_examples=80, suppress_health_check=list(HealthCheck), report_multiple_bugs=False
)
pytestmark = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)

TRACE_SORTS: dict[TraceOrder, str] = {
    TraceOrder.START: "start",
    TraceOrder.END: "end",
    TraceOrder.DURATION: "duration",
    TraceOrder.COST: "cost",
    TraceOrder.TOKENS: "tokens",
    TraceOrder.SPANS: "span_count",
    TraceOrder.ERRORS: "error_count",
}
SPAN_SORTS: dict[SpanOrder, str] = {
    SpanOrder.START: "start",
    SpanOrder.END: "end",
    SpanOrder.DURATION: "duration",
    SpanOrder.COST: "cost",
    SpanOrder.TOKENS: "tokens",
}
NAMES = ["span 0", "PAN 1", "2", "nothing"]


def filled(store: Store, random: Random) -> list[Sent]:
    sent = traffic(random, traces=4, spans=6)
    for one in sent:
        note(f"{one.service!r} {one.span}")
    append_all(store, [decoded(*body(random, batch)) for batch in deliveries(random, sent)])
    return sent


def some(random: Random, values: Sequence[Any]) -> tuple[Any, ...]:
    """Mostly nothing; else some of the values."""
    return tuple(random.sample(values, random.randint(1, 2))) if random.randrange(3) == 2 else ()


def times(random: Random, rows: Sequence[Answer]) -> tuple[int | None, int | None]:
    known = sorted({row[key] for row in rows for key in ("start", "end") if row[key] is not None})
    since, until = (random.choice([None, None, *known, *[time + 1 for time in known]]) for _ in range(2))
    return since, until


def overlaps(row: Answer, since: int | None, until: int | None) -> bool:
    if since is None and until is None:
        return True
    start, end = row["start"], row["end"]
    if start is None:
        return False
    last = max(start, start if end is None else end)
    return (until is None or start <= until) and (since is None or last >= since)


def has_part(name: str, parts: Sequence[str]) -> bool:
    return not parts or any(part.casefold() in name.casefold() for part in parts)


def in_order(rows: Sequence[Answer], key: str, ids: Sequence[str], *, ascending: bool) -> list[Answer]:
    def place(row: Answer) -> tuple[Any, ...]:
        value = row.get(key)
        return value is None, (value if ascending else -value) if value is not None else 0, *(row[i] for i in ids)

    return sorted(rows, key=place)


def walk(random: Random, ask: Callable[[Slice], Page[Any]]) -> list[Any]:
    """The whole list by cursor, in pages of a random size; by offset each page is the same."""
    limit = random.randint(1, 7)
    found: list[Any] = []
    part = Slice(limit)
    while True:
        page = ask(part)
        assert ask(Slice(limit, offset=len(found))).items == page.items
        found += page.items
        if page.next_cursor is None:
            assert page.total == len(found)
            return found
        assert len(page.items) == limit
        part = Slice(limit, cursor=page.next_cursor)


def listed_trace(trace: Trace) -> Answer:
    totals, labels = trace.totals, trace.labels
    return {
        "id": trace.id,
        "name": trace.name,
        "status": trace.status,
        "session_ids": list(trace.session_ids),
        "start": labels.start,
        "end": labels.end,
        "user_id": labels.user and labels.user[-1],
        "user_ids": sorted(labels.users),
        "models": sorted(labels.models),
        "tags": sorted(labels.tags),
        "metadata": {key: said[-1] for key, said in labels.metadata.items()},
        **{
            name: getattr(totals, name)
            for name in ("trace_count", "failed_trace_count", "timed_trace_count", "duration", "span_count")
        },
        **{name: getattr(totals, name) for name in ("call_count", "error_count", "input_tokens", "output_tokens")},
    }


def with_sums(row: Answer) -> Answer:
    duration = row["duration"] if row["timed_trace_count"] else None
    return row | {"duration": duration, "tokens": row["input_tokens"] + row["output_tokens"], "cost": None}


def fits_trace(query: TraceQuery, row: Answer) -> bool:
    return (
        (not query.session_ids or not set(query.session_ids).isdisjoint(row["session_ids"]))
        and (not query.user_ids or not set(query.user_ids).isdisjoint(row["user_ids"]))
        and (not query.models or not set(query.models).isdisjoint(row["models"]))
        and (not query.statuses or row["status"] in query.statuses)
        and has_part(row["name"], query.names)
        and overlaps(row, query.since, query.until)
    )


@many
@given(random=RANDOM)
def test_traces(engine: Engine, random: Random) -> None:
    """Whole traces by every filter and in every order are the oracle's, page by page, and each opens alike."""
    with temporary(engine) as store:
        expected = whole_traces_of(filled(store, random))
        since, until = times(random, expected)
        query = TraceQuery(
            session_ids=some(random, [str(one).strip() for one in SESSIONS]),
            user_ids=some(random, USERS),
            names=some(random, NAMES),
            statuses=some(random, ["unset", "ok", "error"]),
            models=some(random, MODELS),
            since=since,
            until=until,
            order=random.choice(list(TRACE_SORTS)),
            ascending=random.choice([False, True]),
        )
        found = walk(random, lambda part: store.list_traces(APP, query, part))
        rows = {row["id"]: row for row in expected}
        for trace in found:
            listed = listed_trace(trace)
            assert listed == {key: rows[trace.id][key] for key in listed}
            assert store.get_trace(APP, trace.id) == trace
        fitting = [with_sums(row) for row in expected if fits_trace(query, row)]
        key = TRACE_SORTS[query.order]
        assert [trace.id for trace in found] == [
            row["id"] for row in in_order(fitting, key, ["id"], ascending=query.ascending)
        ]


def listed_span(listed: ListedSpan) -> Answer:
    span = listed.span
    return {
        "trace_id": span.trace_id,
        "id": span.span_id,
        "name": span.name,
        "status": span.status,
        "kind": span.kind.value,
        "session_id": listed.session_id,
        "counted": listed.counted,
        "user_id": span.context.user_id,
        "model": span.model,
    }


def fits_span(query: SpanQuery, row: Answer) -> bool:
    return (
        (not query.trace_ids or row["trace_id"] in query.trace_ids)
        and (not query.session_ids or row["session_id"] in query.session_ids)
        and (not query.user_ids or row["user_id"] in query.user_ids)
        and (not query.models or row["model"] in query.models)
        and (not query.statuses or row["status"] in query.statuses)
        and (not query.kinds or row["kind"] in query.kinds)
        and has_part(row["name"], query.names)
        and overlaps(row, query.since, query.until)
    )


@many
@given(random=RANDOM)
def test_spans(engine: Engine, random: Random) -> None:
    """Spans by every filter and in every order are the oracle's, page by page, and each opens alike."""
    with temporary(engine) as store:
        expected = spans_of(filled(store, random))
        since, until = times(random, expected)
        query = SpanQuery(
            trace_ids=some(random, [*{row["trace_id"] for row in expected}, bytes(16)]),
            session_ids=some(random, [str(one).strip() for one in SESSIONS]),
            user_ids=some(random, USERS),
            names=some(random, NAMES),
            kinds=some(random, ["llm", "tool", "agent", "embedding", "function"]),
            statuses=some(random, ["unset", "ok", "error"]),
            models=some(random, MODELS),
            since=since,
            until=until,
            order=random.choice(list(SPAN_SORTS)),
            ascending=random.choice([False, True]),
        )
        found = walk(random, lambda part: store.list_spans(APP, query, part))
        rows = {(row["trace_id"], row["id"]): row for row in expected}
        for one in found:
            listed = listed_span(one)
            row = rows[listed["trace_id"], listed["id"]]
            assert listed == {key: row[key] for key in listed}
            opened = store.get_span(APP, one.span.trace_id, one.span.span_id)
            assert opened is not None
            assert listed_span(opened) == listed
            assert opened.content is not None
        fitting = [row for row in expected if fits_span(query, row)]
        key = SPAN_SORTS[query.order]
        assert [one.span.span_id for one in found] == [
            row["id"] for row in in_order(fitting, key, ["trace_id", "id"], ascending=query.ascending)
        ]


@many
@given(random=RANDOM)
def test_trees(engine: Engine, random: Random) -> None:
    """The spans of a trace come as the tree that the oracle walks, with its depths, also page by page."""
    with temporary(engine) as store:
        expected = spans_of(filled(store, random))
        for trace_id in {row["trace_id"] for row in expected}:

            def ask(part: Slice, trace_id: bytes = trace_id) -> Page[ListedSpan]:
                return store.list_trace_spans(APP, trace_id, part)

            found = walk(random, ask)
            assert [(one.span.span_id, one.depth) for one in found] == [
                (row["id"], row["depth"]) for row in expected if row["trace_id"] == trace_id
            ]


def test_cursor_of_another_order(engine: Engine) -> None:
    """A cursor continues the order that it is of, and no other."""
    with temporary(engine) as store:
        store.append(APP, received(span("a", "root"), span("a", "child", "root")))
        cursor = store.list_spans(APP, SpanQuery(), Slice(1)).next_cursor
        assert cursor
        for query in (SpanQuery(order=SpanOrder.END), SpanQuery(ascending=True)):
            with pytest.raises(BadCursorError):
                store.list_spans(APP, query, Slice(1, cursor=cursor))
        with pytest.raises(BadCursorError):
            store.list_traces(APP, TraceQuery(), Slice(1, cursor=cursor))
        with pytest.raises(BadCursorError):
            store.list_trace_spans(APP, trace_id("a"), Slice(1, cursor=cursor))


def test_apps_are_apart(engine: Engine) -> None:
    """No answer holds anything of another app, and an app that has nothing answers nothing."""
    with temporary(engine) as store:
        root = span("a", "root")
        store.append(APP, received(root))
        assert store.list_traces("other", TraceQuery(), Slice()) == Page([], 0, None)
        assert store.list_spans("other", SpanQuery(), Slice()) == Page([], 0, None)
        assert store.list_spans("other", SpanQuery(trace_ids=(root.trace_id,)), Slice()) == Page([], 0, None)
        assert store.list_trace_spans("other", root.trace_id, Slice()) == Page([], 0, None)
        assert store.get_trace("other", root.trace_id) is None
        assert store.get_span("other", root.trace_id, root.span_id) is None
