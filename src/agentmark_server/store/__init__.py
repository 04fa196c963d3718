"""The store: keeps spans, derives sessions from them, answers questions about both.

`Store` is the contract that every engine keeps, in prose and types; one suite of tests runs on all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from agentmark_server.intervals import Intervals
from agentmark_server.model import Origin, Page, ReceivedSpan, Score, Session, Slice, Span, Trace, User
from agentmark_server.moments import Series
from agentmark_server.packing import Reader, Share
from agentmark_server.queries import MetricsQuery, ScoreQuery, SessionQuery, UserQuery
from agentmark_server.spans import ListedSpan, SpanQuery, TraceQuery


class StoreError(Exception):
    """The store cannot be opened or used; the text is one line that says why and what to do."""


class BadCursorError(ValueError):
    """A cursor that no page of this list gave."""


class TooManyBucketsError(ValueError):
    """A time series that would have more points than anybody can look at."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__(
            f"the range has {count:,} of them, and {most:,} are the most: take longer ones, or a shorter range"
        )


class SpanReader(Reader, Protocol):
    """How a store reads the spans that it keeps: handed to it, for it knows neither OTLP nor conventions."""

    def normalise(self, origin: Origin, raw: bytes) -> Span:
        """The facts of a span that was received, by today's rules."""
        ...

    def texts(self, origin: Origin, raw: bytes) -> Iterable[str]:
        """What is said in the messages of a span: its words are what the span is found by."""
        ...


class Appended(msgspec.Struct, frozen=True):
    """What `append` did: which sessions it changed, and which spans (trace id, span id) it refused."""

    session_ids: frozenset[str] = frozenset()
    refused: frozenset[tuple[bytes, bytes]] = frozenset()


class Change(msgspec.Struct, frozen=True):
    """A session that was written to, or deleted."""

    session_id: str
    deleted: bool


class Changes(msgspec.Struct, frozen=True):
    """Changed sessions, each once, and the token to ask for those after them."""

    items: list[Change]
    token: str
    lost: bool = False
    """Whether sessions are gone, too, whose ids are not known any more: who keeps a list compares it."""


class SessionSelector(msgspec.Struct, frozen=True):
    """One session, with all spans that it owns."""

    session_id: str


class TraceSelector(msgspec.Struct, frozen=True):
    """One trace, with all of its spans, whoever owns them."""

    trace_id: bytes


Selector = SessionSelector | TraceSelector


class Stretch(msgspec.Struct, frozen=True):
    """Some of a session's traces, as `list_session_traces` gives them, and what came before those."""

    session: Session
    page: Page[Trace]
    before: bytes | None
    """The id of the trace before the first."""
    end_before: int | None
    """When the last of all the traces before ended."""
    busy: Intervals
    """When calls, tools and retrievals of the session were under way."""


class Edit(msgspec.Struct, frozen=True):
    """What people say of a session, which joins what its spans say; what is UNSET stays as it is.

    `name` wins over every name that spans state; None leaves it to them again. `tags` are those that people
    gave it, all of them: spans' tags stay beside them.
    """

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class OwnedSpans(msgspec.Struct, frozen=True):
    """A trace of a session, and the spans of it that the session owns: as received, in order of arrival."""

    trace: Trace
    spans: Iterator[ReceivedSpan]


class Store(Protocol):
    """Facts in, derived sessions out.

    **Apps are apart.** Every method but `rebuild` and `close` is about one app; the same ids in two apps are two
    things, and no answer depends on another app's spans.

    **What is true is a function** of the set of spans appended, of what was edited and forgotten, of the rules of
    `SpanReader` and of the prices; not of the order, of how spans came in batches, of repetition, or of which
    of several writers took them. A span is known by app, trace id and span id. Of two versions the one that
    ends later stays (an end of 0 is before any end), then the one with more attributes, then the greater in
    the canonical encoding; origin and encoding break what tie is left.

    **Durable and visible.** When a method that writes returns, what it did survives a crash of the process and
    of the machine, and is in every answer that is asked for afterwards, from any thread or process. When it
    raises, nothing of it is; it raises StoreError where that may pass (a full disk, say). A reader sees the whole
    of a write or nothing of it, and is never blocked by one.

    **Words come later.** What `append` took is found by `SessionQuery.q` once `index` has come to it, be it after
    a crash. What was replaced, deleted or went to another session is never found where it was.

    **Cost.** Appending costs, amortised, what the batch is worth, not the size of the trace or of the session
    that it joins. Methods may be called from any thread; writers wait for each other.
    """

    def append(self, app: str, shares: Sequence[Share]) -> Appended:
        """Take spans, made ready by `packing.pack`: facts only; what is derived is the store's own business.

        The same span may come any number of times, also within one call. A span of a forgotten session or
        trace that started before it was forgotten is refused.
        """
        ...

    def changes(self, app: str, after: str | None = None, limit: int = 1000) -> Changes:
        """Sessions changed or deleted since the token `after` (None: since the beginning), oldest change first.

        Each session stands there once, with its last change. The token is opaque; one of a store that has been
        rebuilt since still holds: every session has changed then. No change is ever left out by asking with
        the token of the answer before, with several writers too; a change may be told again. The ids of sessions
        that are gone are not kept in files, so that after a reopening `lost` may be all that is told of them.
        Raises BadCursorError for a token that this store did not give.
        """
        ...

    def forget(self, app: str, selector: Selector) -> int:
        """Delete a session or a trace, remember that, and say how many spans went.

        Of a session go the spans that it owns. Its id, and the ids of the traces that it owned alone, are
        remembered with the time, for `append` to refuse what comes late; a new span under the old id, started
        after that, begins anew.
        """
        ...

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Derive everything anew from what was received, for all apps; say how many spans were read.

        Changes no answer as long as the rules are the same. `progress` is called with spans done and all.
        """
        ...

    def list_sessions(self, app: str, query: SessionQuery, part: Slice) -> Page[Session]:
        """Sessions that fit, in the order that is asked for; ties by id, those without what it sorts by last.

        Raises BadCursorError.
        """
        ...

    def get_session(self, app: str, session_id: str) -> Session | None:
        """One session."""
        ...

    def list_session_traces(self, app: str, session_id: str, part: Slice) -> Page[Trace]:
        """The traces of one session in order of their start, each with what of it the session owns.

        Raises BadCursorError.
        """
        ...

    def list_traces(self, app: str, query: TraceQuery, part: Slice) -> Page[Trace]:
        """Whole traces that fit, also those that no session owns: each the sum and the join of its shares.

        A trace of which only log records came is none. Raises BadCursorError, also for a cursor of another order.
        """
        ...

    def get_trace(self, app: str, trace_id: bytes) -> Trace | None:
        """One whole trace."""
        ...

    def list_trace_spans(
        self, app: str, trace_id: bytes, part: Slice, *, contents: bool = False
    ) -> Page[ListedSpan]:
        """The spans of a trace as a tree: each before those below it, with its depth (`tree.in_tree_order`).

        With `contents` each with what it holds. Of an unknown trace there are none. Raises BadCursorError.
        """
        ...

    def list_spans(self, app: str, query: SpanQuery, part: Slice, *, contents: bool = False) -> Page[ListedSpan]:
        """Spans of all traces that fit; log records are none of them. Raises BadCursorError as `list_traces`."""
        ...

    def get_span(self, app: str, trace_id: bytes, span_id: bytes) -> ListedSpan | None:
        """One span, with what it holds."""
        ...

    def session_stretch(self, app: str, session_id: str, part: Slice) -> Stretch | None:
        """Some traces of one session in order of their start, with what came before; None without the session.

        Raises BadCursorError.
        """
        ...

    def read_trace(self, app: str, trace_id: bytes) -> list[ReceivedSpan]:
        """All spans of a trace as they were received, each once, log records too; none without the trace."""
        ...

    def edit(self, app: str, session_id: str, edit: Edit) -> bool:
        """Say something of a session; say whether it is there.

        It holds until the session is deleted: for spans that come later too, and where the session goes and
        comes back as spans change owners.
        """
        ...

    def has(self, app: str, selector: Selector) -> bool:
        """Whether anything of a session or trace is kept."""
        ...

    def latest(self, app: str) -> str:
        """The token after which `changes` tells what is still to come."""
        ...

    def read_session(self, app: str, session_id: str) -> Iterator[OwnedSpans]:
        """The traces of a session in order of their start, with their spans; empty without the session.

        Takes memory for one trace, and keeps no writer from its work however slowly it is read: each trace is
        read as it is when its turn comes. The spans of a trace are to be read before the next trace.
        """
        ...

    def count_spans(self, app: str) -> int:
        """How many spans are kept: each once, whatever it was sent as."""
        ...

    def index(self) -> bool:
        """Bring the words of some of the spans into the index that `SessionQuery.q` asks; False when all are.

        Meant to be called again and again by one thread, beside those that append and ask, to whom it gives way.
        """
        ...

    def index_lag(self) -> int | None:
        """For how long the oldest of the spans that are not in that index have waited (ns); None when all are."""
        ...

    def list_users(self, app: str, query: UserQuery, part: Slice) -> Page[User]:
        """Users that fit, in the order that is asked for; ties by id, those without what it sorts by last.

        The sums are over the sessions that have the user: of several users each has the session. With a range
        of time they are over those of them that overlap it. Raises BadCursorError.
        """
        ...

    def get_user(self, app: str, user_id: str) -> User | None:
        """One user, with the sums over all sessions."""
        ...

    def get_metrics(self, app: str, query: MetricsQuery) -> Series:
        """Numbers over time, of what sessions own, by the start of spans and of traces.

        Stretches are whole: one that the range touches counts with all that is in it. Spans of broken clocks
        are left out. Raises TooManyBucketsError.
        """
        ...

    def put_score(self, app: str, score: Score) -> None:
        """Keep a score, of anything, there or not; one of the same id is replaced, but for its time.

        It goes when its session, trace or span is forgotten; `rebuild` leaves it.
        """
        ...

    def get_score(self, app: str, score_id: str) -> Score | None:
        """One score."""
        ...

    def delete_score(self, app: str, score_id: str) -> bool:
        """Delete a score; say whether it was there."""
        ...

    def list_scores(self, app: str, query: ScoreQuery, part: Slice) -> Page[Score]:
        """Scores that fit, in order of their time; ties by id. Raises BadCursorError."""
        ...

    def check(self) -> None:
        """Raises StoreError where the store cannot write."""
        ...

    def close(self) -> None:
        """Let go of the files. No other method may be called afterwards."""
        ...


def open_store(path: Path, reader: SpanReader) -> Store:
    """Open the store in the file `path`, which is made, or brought to today's schema, as needed.

    Raises StoreError: the file is no database, is newer than this program, or is in use by another server.
    """
    from agentmark_server.store.sqlite import SqliteStore  # noqa: PLC0415  # the engine is chosen here

    return SqliteStore(path, reader)
