"""What a filter can ask for: the fields of a session and of a span, and what each is compared with."""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, get_args

import msgspec

from agentmark_server.filters.operators import EQUALITY, ORDER, PARTS, Operator
from agentmark_server.model import Kind, Role, SpanStatus


class Type(StrEnum):
    """What a field holds, in the words of messages and of docs/filters.md."""

    TEXT = "text"
    TEXTS = "set of text"
    WORD = "word"
    NUMBER = "number"
    MONEY = "US dollars"
    MILLISECONDS = "milliseconds"
    TIME = "time"

    @property
    def operators(self) -> frozenset[Operator]:
        """The operators that compare it with a value."""
        if self is Type.WORD:
            return EQUALITY
        return PARTS if self in {Type.TEXT, Type.TEXTS} else ORDER


class Field(msgspec.Struct, frozen=True):
    """A field by its one name, whichever of its names the filter used; `key` is that of a metadata field."""

    name: str
    type: Type
    words: tuple[str, ...] = ()
    """The values that a field of type WORD can have."""
    key: str | None = None


METADATA: Final = Field("metadata", Type.TEXT)
"""With a key: its value there."""


class Subject(msgspec.Struct, frozen=True):
    """What a comparison is about: what its fields begin with, and which they are, by every name they have."""

    prefix: str
    fields: Mapping[str, Field]

    @property
    def metadata(self) -> str:
        """What a metadata field begins with, before its key."""
        return f"{self.prefix}{METADATA.name}."

    def field(self, written: str) -> Field | None:
        """The field that is written so."""
        return self.fields.get(written.removeprefix(self.prefix)) if written.startswith(self.prefix) else None

    def suggestion(self, written: str) -> str:
        """What to write instead of a field that is not there."""
        near = get_close_matches(written.removeprefix(self.prefix)[:_LONGEST].lower(), self.fields, n=1)
        if near:
            return f"did you mean {self.prefix}{near[0]}?"
        return f"write one of {', '.join(self.prefix + name for name in self.fields)}, {self.metadata}<key>"


_LONGEST: Final = 40
"""Characters that are compared with the names of fields."""


def _fields(type_: Type, *names: str, words: tuple[str, ...] = ()) -> dict[str, Field]:
    return {name: Field(name, type_, words) for name in names}


def _aliases(field: Field, *names: str) -> dict[str, Field]:
    return dict.fromkeys((field.name, *names), field)


_STATUSES: Final = ("active", "idle", "ended")

SESSION: Final = Subject(
    "",
    _fields(Type.TEXT, "id", "name")
    | _aliases(Field("user_ids", Type.TEXTS), "user_id")
    | _fields(Type.TIME, "start", "end")
    | _fields(Type.MILLISECONDS, "duration_ms", "active_ms", "latency_ms")
    | _fields(Type.NUMBER, "trace_count", "span_count", "call_count", "error_count", "failed_trace_count")
    | _fields(Type.NUMBER, "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "total_tokens")
    | _fields(Type.MONEY, "total_cost")
    | _fields(Type.NUMBER, "unpriced_calls", "unmetered_calls", "unaccounted_tokens")
    | _aliases(Field("models", Type.TEXTS), "model")
    | _aliases(Field("agents", Type.TEXTS), "agent")
    | _aliases(Field("services", Type.TEXTS), "service")
    | _aliases(Field("environments", Type.TEXTS), "environment")
    | _aliases(Field("releases", Type.TEXTS), "release")
    | _aliases(Field("tags", Type.TEXTS), "tag")
    | _fields(Type.WORD, "status", words=_STATUSES)
    | _fields(Type.TEXT, "outcome", "input_preview", "output_preview"),
)

SPAN: Final = Subject(
    "span.",
    _fields(Type.TEXT, "id", "trace_id", "parent_id", "name")
    | _fields(Type.WORD, "kind", words=tuple(Kind))
    | _fields(Type.WORD, "role", words=(Role.CALL, Role.ROLL_UP, Role.UNKNOWN))
    | _fields(Type.WORD, "status", words=get_args(SpanStatus))
    | _fields(Type.TEXT, "status_message")
    | _fields(Type.TIME, "start", "end")
    | _aliases(Field("duration_ms", Type.MILLISECONDS), "latency_ms")
    | _fields(Type.TEXT, "session_id", "user_id", "model", "provider")
    | _fields(Type.NUMBER, "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "total_tokens")
    | _fields(Type.MONEY, "cost")
    | _fields(Type.TEXT, "service_name", "scope_name", "prompt_name"),
)
