"""The things that the server speaks of: spans as facts, and the sessions and traces derived from them.

Times are integers of nanoseconds since 1970, UTC. Money is an integer of 1e-12 US dollars.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

PICO: Final = 10**12
"""Units of money in one US dollar."""

EARLIEST: Final = 946_684_800 * 10**9
"""2000-01-01: a time before it is a broken clock's, kept but not counted with."""
LATEST: Final = 4_102_444_800 * 10**9
"""2100-01-01: likewise, after it."""

SpanStatus = Literal["unset", "ok", "error"]
SessionStatus = Literal["active", "idle", "ended"]


class Kind(StrEnum):
    """What a span does."""

    LLM = "llm"
    TOOL = "tool"
    AGENT = "agent"
    RETRIEVAL = "retrieval"
    EMBEDDING = "embedding"
    GUARDRAIL = "guardrail"
    FUNCTION = "function"


class Role(StrEnum):
    """What the usage on a span is of: one request to a model, a repeat of what lies below, or unclear."""

    CALL = "call"
    ROLL_UP = "roll-up"
    UNKNOWN = "unknown"
    EVENT = "event"
    """No span of its own: a log record, of which the content is joined to the span above it."""


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the spans of one OTLP `ScopeSpans` share: resource and scope, as protobuf bytes."""

    resource: bytes
    scope: bytes
    resource_schema_url: str = ""
    scope_schema_url: str = ""


class SessionKey(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A session id as one span states it: which attribute said it, and whether the application meant it.

    The smaller `rank` wins over others on the same span.
    """

    rank: int
    value: str
    attribute: str
    application: bool


class Context(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a span says of its surroundings. Spans of one trace mostly say the same, so it is kept once."""

    keys: tuple[SessionKey, ...] = ()
    """Every session id on the span, the best first."""
    session_name: str | None = None
    user_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    service: str | None = None
    environment: str | None = None
    release: str | None = None
    scope: str = ""
    """The instrumentation that wrote the span."""
    outcome: str | None = None
    """What became of the session, where the program says that it ended."""

    def key(self, *, application: bool) -> SessionKey | None:
        """The best key of one kind."""
        for key in self.keys:
            if key.application is application:
                return key
        return None


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Tokens and cost as a span states them; None is "not stated", which is not 0."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: int | None = None
    cost_stated: bool = False
    """Whether the program said the cost; else it comes from a price list."""

    @property
    def stated(self) -> bool:
        """Whether there is anything to count."""
        return self.input_tokens is not None or self.output_tokens is not None or self.cost is not None


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One span, normalised: what its attributes say, in one vocabulary, whatever the convention was."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    start: int
    end: int
    status: SpanStatus = "unset"
    kind: Kind = Kind.FUNCTION
    role: Role = Role.UNKNOWN
    usage: Usage = Usage()
    provider: str | None = None
    model: str | None = None
    response_id: str | None = None
    agent: str | None = None
    trace_name: str | None = None
    has_input: bool = False
    """Whether something of it may tell what was asked; what it tells is read when it is wanted."""
    has_output: bool = False
    """Whether something of it may tell what was answered."""
    context: Context = Context()
    status_message: str | None = None
    """What the program says of the status, at most STATUS_MESSAGE characters."""
    prompt_name: str | None = None

    @property
    def counted_end(self) -> int:
        """The end of a span of which the clock is not broken: never before a start that is not broken either."""
        return self.start if self.end < self.start < LATEST else self.end


PREVIEW: Final = 160
"""Characters of a preview."""
STATUS_MESSAGE: Final = 1000
"""Characters of what a span says of its status; the whole of it is in its bytes."""

Preview = tuple[str | None, str | None]
"""The start of the newest user message, and of what was answered: at most PREVIEW characters each."""


class ReceivedSpan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span as the store takes it: the facts, and what they were read from.

    `raw` is an OTLP `Span` message, kept whole. `attribute_count` decides between versions of equal end.
    """

    span: Span
    raw: bytes
    origin: Origin
    attribute_count: int
    view: "SpanView | None" = None
    """The span opened, where it still is."""


class Totals(msgspec.Struct, array_like=True, gc=False):
    """What adds up: over the spans of a trace, and over the traces of a session."""

    trace_count: int = 0
    failed_trace_count: int = 0
    timed_trace_count: int = 0
    """Traces that have a duration: those whose start and end are known."""
    duration: int = 0
    """The durations of those traces, added up."""
    span_count: int = 0
    call_count: int = 0
    error_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    priced_calls: int = 0
    unpriced_calls: int = 0
    unmetered_calls: int = 0
    unaccounted_tokens: int = 0
    """What roll-ups state beyond the calls below them: shown, never added."""

    def plus(self, other: "Totals") -> "Totals":
        """Both together."""
        return Totals(*map(int.__add__, self.numbers(), other.numbers()))

    def minus(self, other: "Totals") -> "Totals":
        """What is left without the other."""
        return Totals(*map(int.__sub__, self.numbers(), other.numbers()))

    def numbers(self) -> tuple[int, ...]:
        """The fields' values, in the order of the fields."""
        numbers: tuple[int, ...] = msgspec.structs.astuple(self)
        return numbers


Said = tuple[int, bytes, bytes, str]
"""When a text was said, trace and span id to settle ties, and the text: a total order."""

Ordered = TypeVar("Ordered", int, Said)
Item = TypeVar("Item")


class Labels(msgspec.Struct, array_like=True, gc=False):
    """What does not add up but joins: sets, and texts of which the earliest or the latest stays.

    Joining is commutative, associative and idempotent, so that no order or repetition matters.
    """

    start: int | None = None
    end: int | None = None
    running_since: int | None = None
    """The latest start of a span that has no end yet."""
    name: Said | None = None
    outcome: Said | None = None
    user: Said | None = None
    input: Said | None = None
    output: Said | None = None
    users: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()
    releases: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    metadata: dict[str, Said] = {}
    other_keys: frozenset[str] = frozenset()
    """Session ids on the spans that lost to the one that owns them."""

    def joined(self, other: "Labels") -> "Labels":
        """What holds of both together."""
        if self == _NOTHING:
            return other
        return Labels(
            start=_least(self.start, other.start),
            end=_greatest(self.end, other.end),
            running_since=_greatest(self.running_since, other.running_since),
            name=_greatest(self.name, other.name),
            outcome=_greatest(self.outcome, other.outcome),
            user=_least(self.user, other.user),
            input=_least(self.input, other.input),
            output=_greatest(self.output, other.output),
            users=self.users | other.users,
            models=self.models | other.models,
            agents=self.agents | other.agents,
            services=self.services | other.services,
            environments=self.environments | other.environments,
            releases=self.releases | other.releases,
            tags=self.tags | other.tags,
            metadata=latest_of_each(self.metadata, other.metadata),
            other_keys=self.other_keys | other.other_keys,
        )

    def covers(self, other: "Labels") -> bool:
        """Whether joining the other would change nothing."""
        return self == other or self.joined(other) == self


_NOTHING: Final = Labels()


def _least(a: Ordered | None, b: Ordered | None) -> Ordered | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: Ordered | None, b: Ordered | None) -> Ordered | None:
    return b if a is None else a if b is None else max(a, b)


def latest_of_each(a: dict[str, Said], b: dict[str, Said]) -> dict[str, Said]:
    """Of every key the text said last."""
    if not b or a == b:
        return a
    return b if not a else {**a, **b, **{key: max(a[key], b[key]) for key in a.keys() & b.keys()}}


class Session(msgspec.Struct, frozen=True):
    """A session as derived from its spans."""

    id: str
    totals: Totals
    labels: Labels
    active: int | None
    """Nanoseconds in which a call, a tool or a retrieval was under way; None where no time is known."""


class Trace(msgspec.Struct, frozen=True):
    """A trace, or that share of it which one session owns."""

    id: bytes
    name: str
    status: SpanStatus
    totals: Totals
    labels: Labels
    session_ids: tuple[str, ...]


RUNNING_AT_MOST: Final = 24 * 3600 * 10**9
"""Nanoseconds for which a span that has not ended counts as running; then its program is taken for dead."""


class Slice(msgspec.Struct, frozen=True):
    """Which part of a list is asked for: by offset, or from a cursor that an earlier page gave."""

    limit: int = 50
    offset: int = 0
    cursor: str | None = None


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list: `total` counts the whole of it, `next_cursor` continues it, None at its end."""

    items: list[Item]
    total: int
    next_cursor: str | None


class User(msgspec.Struct, frozen=True):
    """A user of sessions, with the sums over all sessions that have this user."""

    id: str
    session_count: int
    trace_count: int
    call_count: int
    error_count: int
    input_tokens: int
    output_tokens: int
    cost: int
    priced_calls: int
    first: int | None
    """When the first of the sessions begins."""
    last: int | None
    """When the last of the sessions ends."""


ResourceType = Literal["session", "trace", "span"]


class Score(msgspec.Struct, frozen=True):
    """What somebody or something thinks of a session, a trace or a span. Ids of traces and spans are in hex."""

    id: str
    resource_type: ResourceType
    resource_id: str
    trace_id: str | None
    """Of a trace its own, of a span that of its trace."""
    name: str
    score: float
    label: str | None
    reason: str | None
    source: str
    created_at: int


Value = str | bool | int | float | bytes | list["Value"] | dict[str, "Value"] | None
"""An attribute's value as OTLP's `AnyValue` can hold it."""


class Shape:
    """The keys of a span's attributes, in order: spans that are written at one place in a program have the same.

    One shape equals itself alone, so that what is worked out for it can be remembered by it.
    """

    __slots__ = ("keys", "places")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.places = {key: place for place, key in enumerate(keys)}
        """Where each key stands: of one that is there twice the last counts."""


class Attributes(Protocol):
    """A span's attributes, of which only those that are asked for are turned into Python's types."""

    @property
    def shape(self) -> Shape:
        """The keys. Spans of the same keys mostly share one."""
        ...

    @property
    def pairs(self) -> Sequence[bytes]:
        """Each attribute as it came, key and value, in the order of `shape.keys`."""
        ...

    def at(self, place: int, /) -> Value:
        """The value at a place of `shape.keys`."""
        ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def __contains__(self, key: object, /) -> bool: ...

    def __getitem__(self, key: str, /) -> Value: ...


class Events(Protocol):
    """A span's events, each its name and its attributes, opened when they are asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[str, dict[str, Value]]]: ...


class SpanView(msgspec.Struct):
    """A span as it came, opened for reading: what conventions look at.

    Spans of one OTLP `ResourceSpans` may share one `resource`, which never changes.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    start: int
    end: int
    status: SpanStatus
    attributes: Attributes
    resource: "Resource"
    scope_name: str
    events: "Events"
    status_message: str = ""


LOG_EVENT: Final = "agentmark.log_event"
"""The attribute that marks a log record which came as a span's child."""


class Resource:
    """What sends spans: its attributes. One resource equals itself alone, so that it can be remembered by."""

    def __init__(self, attributes: Mapping[str, Value]) -> None:
        self.attributes = attributes
