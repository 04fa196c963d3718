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
