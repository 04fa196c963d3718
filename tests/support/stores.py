"""Stores under test: the engines, what goes into them, and everything that they answer."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import zstandard
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agentmark_server import decoding
from agentmark_server.decoding import SpanReader
from agentmark_server.model import PICO, Labels, ReceivedSpan, Session, Slice, Totals, Trace
from agentmark_server.packing import Share, pack
from agentmark_server.queries import LabelKind, Labelled, SessionQuery
from agentmark_server.store import SpanReader as Reader
from agentmark_server.store import Store, open_store
from support.oracle import Sent, sessions_of
from support.spans import request_of

APP = "app"
EVERYTHING = Slice(limit=1_000_000)
LIMIT = 1 << 26

_TOTALS = (
    *("trace_count", "failed_trace_count", "timed_trace_count", "duration", "span_count", "call_count"),
    *("error_count", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    *("unpriced_calls", "unmetered_calls", "unaccounted_tokens"),
)
"""What the oracle knows of totals."""

_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Engine:
    """One kind of store: how one is opened under a path, and what a closed one holds, as one stretch of bytes."""

    open: Callable[[Path, Reader], Store]
    dump: Callable[[Path], bytes]


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"


def _sqlite_dump(path: Path) -> bytes:
    """Every value of every table, unpacked; an index lies in tables as well."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute(_TABLES)]
        rows = [row for name in names for row in connection.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
    values = [value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row]
    unpacked = [zstandard.decompress(value) if value.startswith(_ZSTD) else value for value in values]
    return b"\n".join(unpacked)


ENGINES = {"sqlite": Engine(open_store, _sqlite_dump)}


@contextmanager
def temporary(engine: Engine) -> Iterator[Store]:
    """An empty store in a file that goes with it."""
    with TemporaryDirectory() as folder:
        store = engine.open(Path(folder) / "store.db", SpanReader())
        try:
            yield store
        finally:
            store.close()


def received(*spans: Span, **options: Any) -> list[Share]:
    """Spans as they reach a store, through the same decoding as in the product."""
    return decoded(request_of(*spans, **options).SerializeToString())


def opened(*spans: Span, **options: Any) -> list[ReceivedSpan]:
    """The same, not yet packed."""
    body = decoding.Body(request_of(*spans, **options).SerializeToString(), decoding.PROTOBUF)
    read, rejected = decoding.read(body, LIMIT, SpanReader())
    assert not rejected
    return read


def packed(spans: Sequence[ReceivedSpan]) -> list[Share]:
    return pack(spans, SpanReader())


def decoded(body: bytes, content_type: str = decoding.PROTOBUF) -> list[Share]:
    batch = decoding.decode(decoding.Body(body, content_type), LIMIT, SpanReader())
    assert not batch.rejected
    return batch.shares


def ids(store: Store, app: str = APP, names: tuple[str, ...] = (), user_ids: tuple[str, ...] = ()) -> list[str]:
    """The ids of the sessions that fit, in the order of the list."""
    labelled = (Labelled(LabelKind.USER, user_ids),) if user_ids else ()
    query = SessionQuery(names=names, labelled=labelled)
    return [one.id for one in store.list_sessions(app, query, EVERYTHING).items]


def traces(store: Store, session_id: str, app: str = APP) -> list[Trace]:
    return store.list_session_traces(app, session_id, EVERYTHING).items


def answers(store: Store, app: str = APP) -> list[tuple[Session, list[Trace]]]:
    """Every session with all of its fields, in the order of the list, each with its traces."""
    page = store.list_sessions(app, SessionQuery(), EVERYTHING)
    assert page.total == len(page.items)
    assert [store.get_session(app, session.id) for session in page.items] == page.items
    return [(session, traces(store, session.id, app)) for session in page.items]


def plain(store: Store, app: str = APP) -> list[dict[str, Any]]:
    """The same in the words of the oracle."""
    return [
        {
            **_summary(session.totals, session.labels),
            "id": session.id,
            "traces": [_trace(trace) for trace in owned],
        }
        for session, owned in answers(store, app)
    ]


def _trace(trace: Trace) -> dict[str, Any]:
    labels = {"id": trace.id, "name": trace.name, "status": trace.status, "session_ids": list(trace.session_ids)}
    return _summary(trace.totals, trace.labels) | labels


def _summary(totals: Totals, labels: Labels) -> dict[str, Any]:
    return {
        **{name: getattr(totals, name) for name in _TOTALS},
        "start": labels.start,
        "end": labels.end,
        "running_since": labels.running_since,
        "name": labels.name and labels.name[-1],
        "outcome": labels.outcome and labels.outcome[-1],
        "user_id": labels.user and labels.user[-1],
        "agents": sorted(labels.agents),
        "total_cost": Decimal(totals.cost) / PICO if totals.priced_calls else None,
        "user_ids": sorted(labels.users),
        "models": sorted(labels.models),
        "services": sorted(labels.services),
        "tags": sorted(labels.tags),
        "metadata": {key: said[-1] for key, said in labels.metadata.items()},
    }


def append_all(store: Store, batches: Sequence[Sequence[Share]], app: str = APP) -> None:
    for batch in batches:
        assert not store.append(app, batch).refused


def expected(*spans: Span) -> list[dict[str, Any]]:
    """What the oracle says of spans."""
    return sessions_of(Sent(one) for one in spans)
