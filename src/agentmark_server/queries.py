"""What the store is asked: which things, in which order."""

from enum import IntEnum, StrEnum

import msgspec

from agentmark_server.filters import Filter
from agentmark_server.model import SessionStatus


class Order(StrEnum):
    """What a list of sessions can be sorted by."""

    START = "start"
    END = "end"
    NAME = "name"
    USER = "user_id"
    DURATION = "duration_ms"
    ACTIVE = "active_ms"
    LATENCY = "latency_ms"
    COST = "total_cost"
    TOKENS = "total_tokens"
    TRACES = "trace_count"
    SPANS = "span_count"
    ERRORS = "error_count"


class LabelKind(IntEnum):
    """What a session has several of. The numbers stand in files: append, never reorder."""

    USER = 1
    MODEL = 2
    AGENT = 3
    SERVICE = 4
    ENVIRONMENT = 5
    RELEASE = 6
    TAG = 7
    METADATA = 8


class Labelled(msgspec.Struct, frozen=True):
    """Sessions that have any of `values` of a kind; of metadata, under `key`."""

    kind: LabelKind
    values: tuple[str, ...]
    key: str = ""


class Between(msgspec.Struct, frozen=True):
    """Sessions with a number from `least` to `most`, in the model's units; None is no bound."""

    column: str
    least: float | None = None
    most: float | None = None


class Activity(msgspec.Struct, frozen=True):
    """What tells the status of sessions: the time now, and how long after its last span one falls idle (ns)."""

    now: int
    idle: int


class SessionQuery(msgspec.Struct, frozen=True):
    """Which sessions are asked for, all conditions together, and in which order.

    An empty tuple asks for nothing in particular; of several values any will do.
    """

    names: tuple[str, ...] = ()
    """Parts of the name, in any case."""
    labelled: tuple[Labelled, ...] = ()
    since: int | None = None
    """Sessions that ended at this time or later: with `until` those that overlap a range."""
    until: int | None = None
    """Sessions that started at this time or earlier."""
    between: tuple[Between, ...] = ()
    statuses: tuple[SessionStatus, ...] = ()
    filter: Filter | None = None
    search: tuple[str, ...] = ()
    """Parts of the id or of the name, in any case."""
    q: tuple[str, ...] = ()
    """Texts of which all words are in the messages: words.py says what a word is."""
    activity: Activity = Activity(0, 0)
    """For whatever asks for the status."""
    order: Order = Order.END
    ascending: bool = False


class UserOrder(StrEnum):
    """What a list of users can be sorted by."""

    LAST = "last_seen"
    FIRST = "first_seen"
    ID = "id"
    SESSIONS = "session_count"
    TRACES = "trace_count"
    COST = "total_cost"
    TOKENS = "total_tokens"
    ERRORS = "error_count"


class UserQuery(msgspec.Struct, frozen=True):
    """Which users are asked for, in which order; with a range of time, by the sessions that overlap it."""

    searches: tuple[str, ...] = ()
    """Parts of the id, in any case."""
    since: int | None = None
    until: int | None = None
    order: UserOrder = UserOrder.LAST
    ascending: bool = False


class Dimension(StrEnum):
    """What calls are told apart by."""

    MODEL = "model"
    AGENT = "agent"
    SERVICE = "service"
    ENVIRONMENT = "environment"


class BucketWidth(StrEnum):
    """How long the stretches of a time series are."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def minutes(self) -> int:
        """How many minutes that is."""
        return {"minute": 1, "hour": 60, "day": 1440, "week": 10_080}[self]


class MetricsQuery(msgspec.Struct, frozen=True):
    """Which numbers of which time (ns) are asked for; None is as far as there is anything."""

    since: int | None = None
    until: int | None = None
    width: BucketWidth | None = None
    """None is what suits the range."""
    group_by: Dimension | None = None
    only: tuple[tuple[Dimension, tuple[str, ...]], ...] = ()
    """Calls that have any of some values of a dimension, of each that stands here."""
    sessions: bool = True
    """Whether sessions are counted: in a long range that takes the most time."""


class ScoreQuery(msgspec.Struct, frozen=True):
    """Which scores are asked for, all conditions together; of several values any will do."""

    resource_types: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()
    """In hex: those of the traces, and of their spans."""
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    since: int | None = None
    until: int | None = None
    ascending: bool = False
